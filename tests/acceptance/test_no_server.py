"""Production on no server."""

from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.truth import require, require_last_outcome, unchanged


def test_from_no_server_production_goes_only_to_a_named_server(sound: PairOnAws) -> None:
    _, idle = sound.live_and_idle()
    sound.disassociate("production")
    with unchanged(sound):
        unnamed = sound.execute(sound.about({}))
    assert unnamed.outcome == "PreflightFailed"
    assert "serverName" in unnamed.cause
    execution = sound.execute(sound.about({"serverName": idle}))
    require(sound, execution, "CUT_OVER", live=idle)
    assert execution.output["previous"]["production"]["server"] is None
    assert execution.output["previous"]["staging"]["server"] == idle


def test_without_a_server_to_go_back_to_a_failed_cutover_names_the_commands_that_finish_it(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    sound.deploy(sound.new_release("fails-as-production"), idle)
    sound.disassociate("production")
    execution = sound.execute(sound.about({"serverName": idle}))
    assert execution.outcome == "RollbackFailed"
    assert "500" in execution.cause
    print(execution.cause)
    assert sound.places().production == idle
    require_last_outcome(sound, execution)
    sound.deploy(sound.new_release(), live)
    require(sound, sound.execute(sound.about({"serverName": live})), "CUT_OVER", live=live)
