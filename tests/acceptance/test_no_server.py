"""Production on no server."""

from tests.acceptance.pair_on_aws import PairOnAws, Places
from tests.acceptance.truth import require, require_answers, require_last_outcome, unchanged


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


def test_if_there_is_no_server_to_go_back_to_a_failed_cutover_says_what_a_person_must_do(sound: PairOnAws) -> None:
    live, idle = sound.live_and_idle()
    sound.deploy(sound.new_release("fails-as-production"), idle)
    sound.disassociate("production")
    execution = sound.execute(sound.about({"serverName": idle}))
    assert execution.outcome == "RollbackFailed"
    assert "500" in execution.cause
    assert f'make {live} ({sound.servers[live]}) live with "serverName": "{live}"' in execution.cause
    assert sound.places() == Places(idle, live)
    require_answers(sound, idle)
    require_last_outcome(sound, execution)
    require(sound, sound.execute(sound.about({"serverName": live})), "CUT_OVER", live=live)
