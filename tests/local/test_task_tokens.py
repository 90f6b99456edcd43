"""Tasks that wait for their token, in ministack."""

import json
import time
import uuid
from typing import Any

import pytest

from local.aws import LocalAws
from tests.local.situation import lock_table, until


def waiting(aws: LocalAws, seconds: str = "{% 30 * 60 %}") -> tuple[str, str]:
    """Starts an execution that writes its token into an item, and waits: its ARN, and the token."""
    pair, dynamodb, table = f"test-{uuid.uuid4()}", aws.client("dynamodb"), lock_table(aws)
    arguments = {
        "TableName": table, "Key": {"pair": {"S": pair}}, "UpdateExpression": "SET approvalToken = :token",
        "ExpressionAttributeValues": {":token": {"S": "{% $states.context.Task.Token %}"}},
    }  # fmt: skip
    wait = {
        "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "Arguments": arguments, "TimeoutSeconds": seconds, "Output": "{% $states.result %}", "End": True,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "Output": "{% $states.errorOutput %}"}],
    }  # fmt: skip
    states = {"Wait": wait, "Caught": {"Type": "Pass", "End": True}}
    machine = aws.client("stepfunctions").create_state_machine(
        name=pair,
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "Wait", "States": states}),
        roleArn="arn:aws:iam::000000000000:role/workflow",
    )
    started = aws.client("stepfunctions").start_execution(stateMachineArn=machine["stateMachineArn"])
    found: dict[str, Any] = {}

    def is_written() -> bool:
        found.update(dynamodb.get_item(TableName=table, Key={"pair": {"S": pair}}).get("Item", {}))
        return "approvalToken" in found

    until(is_written)
    dynamodb.delete_item(TableName=table, Key={"pair": {"S": pair}})
    return started["executionArn"], found["approvalToken"]["S"]


def test_the_result_is_what_is_sent_and_the_token_is_good_once(aws: LocalAws) -> None:
    arn, token = waiting(aws)
    sfn = aws.client("stepfunctions")
    sfn.send_task_success(taskToken=token, output='{"approvedBy": "kim"}')
    assert aws.wait(arn).output == {"approvedBy": "kim"}
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_failure(taskToken=token, error="Rejected")
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.send_task_success(taskToken="of no task", output="{}")


def test_a_failure_that_is_sent_can_be_caught(aws: LocalAws) -> None:
    arn, token = waiting(aws)
    aws.client("stepfunctions").send_task_failure(taskToken=token, error="Rejected", cause="rejected by kim")
    assert aws.wait(arn).output == {"Error": "Rejected", "Cause": "rejected by kim"}


def test_a_timeout_in_jsonata_is_evaluated(aws: LocalAws) -> None:
    arn, _ = waiting(aws, "{% 1 * 60 %}")
    assert aws.wait(arn).output["Error"] == "States.Timeout"


def test_a_stopped_execution_does_not_wait_on(aws: LocalAws) -> None:
    arn, token = waiting(aws)
    sfn = aws.client("stepfunctions")
    sfn.stop_execution(executionArn=arn)
    time.sleep(0.5)
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=token, output="{}")
    events = aws.history(arn)
    entered = [each["stateEnteredEventDetails"]["name"] for each in events if "stateEnteredEventDetails" in each]
    assert (aws.look(arn).status, entered) == ("ABORTED", ["Wait"])
