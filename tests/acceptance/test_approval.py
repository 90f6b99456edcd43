"""A release that is rejected. Only pairs with `approval` wait for one."""

import pytest

from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.truth import require, unchanged


def test_a_release_that_is_rejected_does_not_become_live(sound: PairOnAws) -> None:
    if not sound.approves:
        pytest.skip(f"pair {sound.name} has no `approval` in its configuration, so nobody can reject a release")
    live, _ = sound.live_and_idle()
    with unchanged(sound):
        arn = sound.start(sound.about({"release": sound.new_release()}))
        token, reason = until(lambda: sound.approval_token(arn), f"{arn} waits for approval"), "not during the tests"
        sound.client("stepfunctions").send_task_failure(taskToken=token, error="Rejected", cause=reason)
        execution = sound.wait(arn)
        require(sound, execution, "NotApproved", live=live)
    assert reason in execution.cause
