"""An execution that is redriven after it was stopped and repaired."""

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.executions import Execution, until
from tests.acceptance.pair_on_aws import VERY_SLOW, PairOnAws
from tests.acceptance.test_stopped import repair_of, stopped_in
from tests.acceptance.truth import require_sound, unchanged


def redriven(pair: PairOnAws, arn: str) -> Execution:
    """The execution at its end after `RedriveExecution`."""
    states = pair.client("stepfunctions")
    before = states.describe_execution(executionArn=arn)["redriveCount"]
    states.redrive_execution(executionArn=arn)

    def is_shown() -> bool:
        return bool(states.describe_execution(executionArn=arn)["redriveCount"] > before)

    until(is_shown, f"Step Functions shows that {arn} was redriven")
    return pair.wait(arn)


def test_an_execution_that_is_redriven_has_lost_its_lock_and_changes_nothing(sound: PairOnAws) -> None:
    states, nobody = sound.client("stepfunctions"), sound.state_machine_arn.replace(":stateMachine:", ":execution:")
    try:
        states.redrive_execution(executionArn=f"{nobody}:nobody")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            pytest.skip(f"this AWS redrives no execution. {error}")
    live, _ = sound.live_and_idle()
    arn = stopped_in(sound, sound.about({"release": sound.new_release(VERY_SLOW)}), "DeployRelease", sends_command=True)
    repair_of(sound, arn)
    with unchanged(sound):
        commands, answer = sound.commands(arn), sound.answer("staging")
        execution = redriven(sound, arn)
        assert execution.status == "FAILED", execution
        assert "redriven" in execution.cause
        assert sound.commands(arn) == commands
        assert sound.answer("staging") == answer
        require_sound(sound, live=live)
