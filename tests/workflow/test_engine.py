"""The engine in process evaluates JSONata as Step Functions does. Each test is a row of docs/emulators.md."""

import json
import time
import uuid
from typing import Any

import pytest

from tests.workflow.account import Aws, Execution

UNDEFINED = ("$states.input.missing", "$neverAssigned", "$neverAssigned.key", "[][0]")


def run(aws: Aws, first: dict[str, Any], value: Any = None) -> Execution:
    """Execute a state machine of this state, which may go on to `Caught`, or to `Next`, which shows `$assigned`."""
    following = {"Caught": {"Type": "Succeed"}, "Next": {"Type": "Succeed", "Output": {"assigned": "{% $assigned %}"}}}
    return executed(
        aws, {"QueryLanguage": "JSONata", "StartAt": "First", "States": {"First": first, **following}}, value
    )


def executed(aws: Aws, definition: dict[str, Any], value: Any = None) -> Execution:
    role = "arn:aws:iam::123456789012:role/workflow"
    machine = aws.sfn.create_state_machine(
        name=f"test-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    return aws.wait(aws.start_text(json.dumps(value or {}), machine))


def evaluated(aws: Aws, expression: str, value: Any = None) -> Any:
    """The result of an expression, as the output of an execution."""
    execution = run(aws, {"Type": "Pass", "Output": {"result": f"{{% {expression} %}}"}, "End": True}, value)
    assert execution.status == "SUCCEEDED", execution.cause
    return execution.output["result"]


CHOICE = {"Condition": "{% $states.input.missing %}", "Next": "Next"}
LIST_QUEUES = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:listQueues", "End": True}
PLACES: dict[str, dict[str, Any]] = {
    "Output": {"Type": "Pass", "Output": "{% $states.input.missing %}", "End": True},
    "a key of Output": {"Type": "Pass", "Output": {"key": ["{% $states.input.missing %}"]}, "End": True},
    "Assign": {"Type": "Pass", "Assign": {"name": "{% $states.input.missing %}"}, "End": True},
    "Condition": {"Type": "Choice", "Choices": [CHOICE], "Default": "Next"},
    "Arguments": {**LIST_QUEUES, "Arguments": {"QueueNamePrefix": "{% $states.input.missing %}"}},
    "Seconds": {"Type": "Wait", "Seconds": "{% $states.input.missing %}", "End": True},
    "Cause": {"Type": "Fail", "Cause": "{% $states.input.missing %}"},
}


@pytest.mark.parametrize("place", PLACES)
def test_an_undefined_result_fails_its_state_wherever_it_is(aws: Aws, place: str) -> None:
    execution = run(aws, PLACES[place])
    assert (execution.status, execution.error) == ("FAILED", "States.QueryEvaluationError")
    assert "'$states.input.missing' returned nothing (undefined)" in str(execution.cause)


@pytest.mark.parametrize("expression", UNDEFINED)
def test_a_result_is_undefined_if_nothing_is_there(aws: Aws, expression: str) -> None:
    execution = run(aws, {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True})
    assert (execution.status, execution.error) == ("FAILED", "States.QueryEvaluationError")


def test_a_variable_that_was_never_assigned_may_be_named(aws: Aws) -> None:
    assert evaluated(aws, "$exists($neverAssigned)") is False
    assert evaluated(aws, "$exists($neverAssigned) ? $neverAssigned : '-'") == "-"
    assert evaluated(aws, "$neverAssigned = 1") is False


def test_an_undefined_value_in_an_object_or_array_is_dropped(aws: Aws) -> None:
    assert evaluated(aws, "{'kept': 1, 'dropped': $neverAssigned}") == {"kept": 1}
    assert evaluated(aws, "[1, $states.input.missing, 2]") == [1, 2]


def test_the_time_is_that_of_the_evaluation_and_not_of_a_parse_before_it(aws: Aws) -> None:
    evaluated(aws, "$millis()")  # from here on, the expression is parsed already
    states = {
        "Parse": {"Type": "Pass", "Output": f"{{% '{uuid.uuid4()}' %}}", "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 100, "Next": "Now"},  # a second here
        "Now": {"Type": "Pass", "Output": {"result": "{% $millis() %}"}, "End": True},
    }
    execution = executed(aws, {"QueryLanguage": "JSONata", "StartAt": "Parse", "States": states})
    assert time.time() - execution.output["result"] / 1000 < 0.7


def test_a_variable_between_two_divisions_has_its_value(aws: Aws) -> None:
    assert evaluated(aws, "[8 / 2, $states.context.Execution.Name != '', 9 / 3]") == [4, True, 3]


def test_null_is_a_value(aws: Aws) -> None:
    nothing = {"empty": None, "inside": {"empty": None}}
    assert evaluated(aws, "$states.input.empty", nothing) is None
    assert evaluated(aws, "$exists($states.input.inside.empty)", nothing) is True
    assert evaluated(aws, "{'kept': $states.input.empty}", nothing) == {"kept": None}
    assigning = {"Type": "Pass", "Assign": {"assigned": "{% $states.input.empty %}"}, "Next": "Next"}
    assert run(aws, assigning, nothing).output == {"assigned": None}


@pytest.mark.parametrize(
    ("expression", "code"), [("$error('a reason')", "D3137"), ("1 + 'text'", "T2002"), ("$nothing()", "T1006")]
)
def test_an_expression_that_throws_fails_its_state_and_can_be_caught(aws: Aws, expression: str, code: str) -> None:
    throwing = LIST_QUEUES | {"Arguments": {"QueueNamePrefix": f"{{% {expression} %}}"}}
    execution = run(aws, throwing)
    assert (execution.status, execution.error) == ("FAILED", "States.QueryEvaluationError")
    assert f"'{expression}' threw an error during evaluation. {code}: " in str(execution.cause)
    catching = throwing | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}
    assert run(aws, catching).states == ["First", "Caught"]


def waiting_for_token(aws: Aws, seconds: str = "{% 30 * 60 %}") -> tuple[str, str]:
    """Starts an execution that writes its token into an item, and waits: its ARN, and the token."""
    pair = f"test-{uuid.uuid4()}"
    arguments = {
        "TableName": aws.table, "Key": {"pair": {"S": pair}}, "UpdateExpression": "SET approvalToken = :token",
        "ExpressionAttributeValues": {":token": {"S": "{% $states.context.Task.Token %}"}},
    }  # fmt: skip
    wait = {
        "Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
        "Arguments": arguments, "TimeoutSeconds": seconds, "Output": "{% $states.result %}", "End": True,
        "Catch": [{"ErrorEquals": ["Rejected"], "Next": "Caught", "Output": "{% $states.errorOutput %}"}],
    }  # fmt: skip
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Wait",
        "States": {"Wait": wait, "Caught": {"Type": "Succeed"}},
    }
    machine = aws.sfn.create_state_machine(
        name=pair, definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/workflow"
    )["stateMachineArn"]
    arn = aws.start_text("{}", machine)
    found: dict[str, Any] = {}

    def is_written() -> bool:
        found.update(aws.dynamodb.get_item(TableName=aws.table, Key={"pair": {"S": pair}}).get("Item", {}))
        return "approvalToken" in found

    aws.until(is_written)
    return arn, found["approvalToken"]["S"]


def test_a_task_that_waits_for_its_token_has_the_result_that_is_sent(aws: Aws) -> None:
    arn, token = waiting_for_token(aws)
    assert aws.status(arn) == "RUNNING"
    aws.sfn.send_task_success(taskToken=token, output='{"approvedBy": "kim"}')
    assert aws.wait(arn).output == {"approvedBy": "kim"}
    with pytest.raises(aws.sfn.exceptions.TaskTimedOut):
        aws.sfn.send_task_failure(taskToken=token, error="Rejected")
    with pytest.raises(aws.sfn.exceptions.InvalidToken):
        aws.sfn.send_task_success(taskToken="of no task", output="{}")


def test_a_failure_that_is_sent_is_caught_by_its_error(aws: Aws) -> None:
    arn, token = waiting_for_token(aws)
    aws.sfn.send_task_failure(taskToken=token, error="Rejected", cause="rejected by kim")
    assert aws.wait(arn).output == {"Error": "Rejected", "Cause": "rejected by kim"}


def test_a_task_that_waits_for_its_token_times_out_in_a_hundredth_of_its_time(aws: Aws) -> None:
    began = time.monotonic()
    arn, _ = waiting_for_token(aws, "{% 1 * 60 %}")
    execution = aws.wait(arn)
    assert (execution.status, execution.error) == ("FAILED", "States.Timeout")
    assert time.monotonic() - began < 10


def test_a_task_that_waits_for_its_token_ends_with_its_execution(aws: Aws) -> None:
    arn, token = waiting_for_token(aws)
    aws.sfn.stop_execution(executionArn=arn)
    assert aws.wait(arn).status == "ABORTED"
    with pytest.raises(aws.sfn.exceptions.TaskTimedOut):
        aws.sfn.send_task_success(taskToken=token, output="{}")


def test_a_function_is_not_a_result(aws: Aws) -> None:
    execution = run(aws, {"Type": "Pass", "Output": "{% function($x) { $x } %}", "End": True})
    assert (execution.status, execution.error) == ("FAILED", "States.QueryEvaluationError")
    assert "unsupported result type" in str(execution.cause)


def test_a_description_of_known_addresses_has_what_moto_answers(aws: Aws) -> None:
    """The look by ids is made without HTTP; the one by a filter is moto's own answer."""
    aws.disassociate(aws.staging)
    ids = [aws.production, aws.staging]
    by_filter = aws.ec2.describe_addresses(Filters=[{"Name": "allocation-id", "Values": ids}])
    assert aws.ec2.describe_addresses(AllocationIds=ids)["Addresses"] == by_filter["Addresses"]
