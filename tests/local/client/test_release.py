"""`approve`, `reject` and `status` with an execution that really waits for a task token, as `WaitForApproval` does."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from client.commands import main
from local.aws import LocalAws
from tests.local.client.test_permissions import called_by, documented
from tests.local.situation import lock_table

UNTIL = "2030-02-01T10:30:00Z"
UPDATE = "SET approvalToken = :token, approvesUntil = :until, execution = :execution, since = :since, server = :server"
VALUES = {":token": "{% $states.context.Task.Token %}", ":until": UNTIL, ":since": "2026-02-01T10:30:00Z",
          ":execution": "{% $states.context.Execution.Id %}", ":server": "tao"}  # fmt: skip


@pytest.fixture
def waiting(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Starts an execution that holds the pair web and waits for approval. Returns its ARN."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    states, table = aws.client("stepfunctions"), {"TableName": lock_table(aws), "Key": {"pair": {"S": "web"}}}
    values = {key: {"S": value} for key, value in VALUES.items()}
    wait = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "Arguments": {**table, "UpdateExpression": UPDATE, "ExpressionAttributeValues": values},
        "TimeoutSeconds": 86_400,  # the time scale of the tests shortens it, too
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "WaitForApproval", "States": {"WaitForApproval": wait}}
    machine = states.create_state_machine(
        name=f"waits-{time.time_ns()}", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/x"
    )["stateMachineArn"]

    def start() -> str:
        arn = str(states.start_execution(stateMachineArn=machine)["executionArn"])
        until = time.monotonic() + 20
        while "Item" not in aws.client("dynamodb").get_item(**table):
            assert time.monotonic() < until, "it does not wait"
            time.sleep(0.05)
        return arn

    yield start
    states.delete_state_machine(stateMachineArn=machine)


def ended(aws: LocalAws, arn: str) -> tuple[str, str, str]:
    """The status, the output and the cause of an execution that was answered."""
    until = time.monotonic() + 20
    while (found := aws.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < until, "it still waits"
        time.sleep(0.05)
    return found["status"], found.get("output", ""), found.get("cause", "")


def test_an_execution_is_approved_once_with_the_permissions_of_the_table(
    aws: LocalAws, waiting: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    arn = waiting()
    assert main(["status"]) == 0
    assert (
        f"approval     waits for approval until {UNTIL}\n  cutover.py approve --pair web\n" in capsys.readouterr().out
    )
    assert called_by("approve") == documented()["approve"]
    caller = aws.client("sts").get_caller_identity()["Arn"]
    assert ended(aws, arn)[:2] == ("SUCCEEDED", json.dumps({"approvedBy": caller}))
    assert main(["approve"]) == 1
    assert f"The wait of {arn} has just ended" in capsys.readouterr().err


def test_an_execution_that_is_rejected_fails_with_who_and_why(aws: LocalAws, waiting: Callable[[], str]) -> None:
    arn = waiting()
    assert called_by("reject", "--reason", "not today") == documented()["reject"]
    caller = aws.client("sts").get_caller_identity()["Arn"]
    status, _, cause = ended(aws, arn)
    assert (status, cause) == ("FAILED", f"rejected by {caller}: not today")
