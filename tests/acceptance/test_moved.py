"""Someone else moves an address: between two executions, and while one runs."""

from tests.acceptance.pair_on_aws import SLOW, PairOnAws
from tests.acceptance.third_address import third_address
from tests.acceptance.truth import require, require_answers, unchanged


def test_staging_that_someone_took_away_is_put_back_only_if_it_is_clear_which_server_is_live(sound: PairOnAws) -> None:
    """Until then the pair is not ready."""
    live, _ = sound.live_and_idle()
    assert sound.evaluate()["outcome"] == "READY"
    sound.disassociate("staging")
    with unchanged(sound):
        unclear = sound.execute(sound.about({}))
        assert unclear.outcome == "PreflightFailed"
        assert "serverName" in unclear.cause
        evaluation = sound.evaluate()
    assert evaluation["outcome"] == "NOT_READY"
    assert sound.public_ips["staging"] in str(evaluation["reasons"])
    with unchanged(sound, "production"):
        repaired = sound.execute(sound.about({"serverName": live}))
        require(sound, repaired, "REPAIRED", live=live)
    with unchanged(sound):
        assert sound.evaluate()["outcome"] == "READY"


def test_addresses_that_someone_swaps_meanwhile_stay_where_they_were_put(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    arn = sound.start(sound.about({"release": sound.new_release(SLOW)}))
    sound.await_state(arn, "DeployRelease")
    sound.associate("production", idle)
    sound.associate("staging", live)
    with unchanged(sound):
        execution = sound.wait(arn)
        require(sound, execution, "AddressMoved", live=idle)
    assert f"Production is on {idle} ({sound.servers[idle]}) and staging is on {live}" in execution.cause


def test_an_address_of_someone_else_on_the_idle_server_is_named_and_stays_there(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    sound.disassociate("staging")
    with third_address(sound, idle) as public_ip, unchanged(sound):
        execution = sound.execute(sound.about({"serverName": idle}))
        assert execution.outcome == "PreflightFailed", execution
        assert f"{idle} ({sound.servers[idle]}) holds the Elastic IP address {public_ip}" in execution.cause
        require_answers(sound, live)
