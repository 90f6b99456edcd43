"""Someone else moves an address: while an execution runs, and between two."""

from tests.acceptance.pair_on_aws import SLOW, PairOnAws, Places
from tests.acceptance.truth import require, require_answers, unchanged


def test_staging_that_someone_takes_away_meanwhile_is_reported_and_put_back_on_request(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    arn = sound.start(sound.about({"release": sound.new_release(SLOW)}))
    sound.await_state(arn, "DeployRelease")
    sound.disassociate("staging")
    with unchanged(sound):
        execution = sound.wait(arn)
        assert execution.outcome == "AddressMoved"
        assert sound.public_ips["staging"] in execution.cause
        unclear = sound.execute(sound.about({}))
        assert unclear.outcome == "PreflightFailed"
        assert "serverName" in unclear.cause
        evaluation = sound.evaluate()
    assert evaluation["outcome"] == "NOT_READY"
    assert evaluation["reasons"]
    with unchanged(sound, "production"):
        repaired = sound.execute(sound.about({"serverName": live}))
        require(sound, repaired, "REPAIRED", live=live)
    with unchanged(sound):
        assert sound.evaluate()["outcome"] == "READY"


def test_production_that_someone_moves_meanwhile_stays_where_it_was_put(sound: PairOnAws) -> None:
    _, idle = sound.live_and_idle()
    arn = sound.start(sound.about({"release": sound.new_release(SLOW)}))
    sound.await_state(arn, "DeployRelease")
    sound.associate("production", idle)  # which displaces staging
    with unchanged(sound):
        execution = sound.wait(arn)
    assert execution.outcome == "AddressMoved"
    assert sound.places() == Places(idle, None)
    require_answers(sound, idle)
    with unchanged(sound, "production"):
        require(sound, sound.execute(sound.about({"serverName": idle})), "REPAIRED", live=idle)
