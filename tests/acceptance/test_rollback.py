"""A rollback goes back once, to a server that users were served well by, and asks a running execution to go back."""

import json

from tests.acceptance.pair_on_aws import VERY_SLOW, PairOnAws
from tests.acceptance.truth import require, unchanged
from tests.acceptance.watch import stays_up


def test_two_rollbacks_at_once_take_a_release_back_once_that_only_users_find_broken(sound: PairOnAws) -> None:
    before, idle = sound.live_and_idle()
    former = sound.answer("production")
    cutover = sound.execute(sound.about({"release": sound.new_release("broken-for-users")}))
    require(sound, cutover, "CUT_OVER", live=idle)
    with unchanged(sound):
        require(sound, sound.execute(sound.about({"rollback": True, "dryRun": True})), "DRY_RUN", live=idle)
    with stays_up(sound):
        executions = sound.execute_all([sound.about({"rollback": True})] * 2)
    second, first = sorted(executions, key=lambda execution: execution.outcome)
    require(sound, first, "CUT_OVER", live=before)
    require(sound, second, "ALREADY_LIVE", live=before)
    assert sound.answer("production") == former
    assert json.loads(sound.item()["lastCutover"])["rollback"] is True


def test_a_rollback_ends_a_deployment_that_runs(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    with unchanged(sound):
        arn = sound.start(sound.about({"release": sound.new_release(VERY_SLOW)}))
        sound.await_state(arn, "DeployRelease")
        rollback = sound.execute(sound.about({"rollback": True}))
        require(sound, rollback, "ALREADY_LIVE", live=live)
    execution = sound.wait(arn)
    assert execution.outcome == "DeployFailed"
    assert rollback.arn in execution.cause
    assert arn in json.dumps(rollback.output["warnings"])
