"""A rollback goes back once, to a server that users were served well by, and asks a running execution to go back."""

import json

import pytest

from tests.acceptance.pair_on_aws import SLOW, PairOnAws
from tests.acceptance.truth import require, unchanged


@pytest.fixture
def with_a_way_back(sound: PairOnAws) -> PairOnAws:
    """A sound pair whose record has a server to go back to."""
    if json.loads(sound.item().get("rollbackTo", "{}")).get("server") != sound.places().staging:
        require(sound, sound.execute(sound.about({})), "CUT_OVER", live=sound.live_and_idle()[0])
    return sound


def test_two_rollbacks_at_once_go_back_once(with_a_way_back: PairOnAws) -> None:
    pair = with_a_way_back
    live, before = pair.live_and_idle()
    with unchanged(pair):
        require(pair, pair.execute(pair.about({"rollback": True, "dryRun": True})), "DRY_RUN", live=live)
    executions = pair.execute_all([pair.about({"rollback": True})] * 2)
    first, second = sorted(executions, key=lambda execution: execution.outcome, reverse=True)
    require(pair, first, "CUT_OVER", live=before)
    require(pair, second, "ALREADY_LIVE", live=before)
    assert json.loads(pair.item()["lastCutover"])["rollback"] is True


def test_a_rollback_ends_a_deployment_that_runs(sound: PairOnAws) -> None:
    live, _ = sound.live_and_idle()
    with unchanged(sound):
        arn = sound.start(sound.about({"release": sound.new_release(SLOW)}))
        sound.await_state(arn, "DeployRelease")
        rollback = sound.execute(sound.about({"rollback": True}))
        require(sound, rollback, "ALREADY_LIVE", live=live)
    execution = sound.wait(arn)
    assert execution.outcome == "DeployFailed"
    assert rollback.arn in execution.cause
    assert arn in json.dumps(rollback.output["warnings"])
