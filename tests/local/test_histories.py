"""What GetExecutionHistory shows of an execution in ministack, compared with AWS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.emulator import Emulator
from tests.local.situation import until

ITEM = {"TableName": "none", "Key": {"pair": {"S": "web"}}}
FAILS = {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem", "Arguments": ITEM, "End": True}


@pytest.fixture(scope="module")
def sfn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with Emulator(ec2_endpoint="http://127.0.0.1:1", folder=tmp_path_factory.mktemp("aws")) as emulator:
        emulator.wait_until_ready()
        yield emulator.client("stepfunctions")


def started(sfn: Any, *, start: str, **states: Any) -> str:
    """The ARN of an execution of these states, which has the name of the first."""
    definition = json.dumps({"QueryLanguage": "JSONata", "StartAt": start, "States": states})
    role = "arn:aws:iam::000000000000:role/any"
    machine = sfn.create_state_machine(name=f"machine-of-{start}", definition=definition, roleArn=role)
    return str(sfn.start_execution(stateMachineArn=machine["stateMachineArn"], input="7")["executionArn"])


def history(sfn: Any, execution: str) -> list[dict[str, Any]]:
    until(lambda: sfn.describe_execution(executionArn=execution)["status"] != "RUNNING")
    events: list[dict[str, Any]] = sfn.get_execution_history(executionArn=execution)["events"]
    return events


def linked(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["type"], event.get("previousEventId", 0)) for event in events]


def test_each_event_follows_the_last_one_of_its_branch(sfn: Any) -> None:
    inner = {"First": {"Type": "Pass", "Next": "Second"}, "Second": {"Type": "Pass", "End": True}}
    slow = {"Slow": {"Type": "Wait", "Seconds": 1, "End": True}}
    branches = [{"StartAt": "First", "States": inner}, {"StartAt": "Slow", "States": slow}]
    both = {"Type": "Parallel", "End": True, "Branches": branches}
    events = history(sfn, started(sfn, start="Both", Both=both))
    by_id = {event["id"]: event for event in events}
    assert [*by_id] == [*range(1, len(events) + 1)]
    names = {
        event["stateExitedEventDetails"]["name"]: by_id[event["previousEventId"]]
        for event in events
        if event["type"].endswith("StateExited")
    }
    assert {name: event["type"] for name, event in names.items()} == {
        "First": "PassStateEntered", "Second": "PassStateEntered", "Slow": "WaitStateEntered",
        "Both": "ParallelStateSucceeded",
    }  # fmt: skip
    assert names["Slow"]["stateEnteredEventDetails"]["input"] == "7"
    (parallel,) = (event["id"] for event in events if event["type"] == "ParallelStateStarted")
    assert [event["type"] for event in events if event.get("previousEventId") == parallel][:2] == [
        "PassStateEntered", "WaitStateEntered",
    ]  # fmt: skip


def test_a_task_that_fails_in_a_branch_shows_what_it_called_and_ends_its_parallel(sfn: Any) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    both = {"Type": "Parallel", "Branches": [{"StartAt": "Fails", "States": {"Fails": FAILS}}], "Catch": catch,
            "Next": "Caught"}  # fmt: skip
    events = history(sfn, started(sfn, start="Caught?", Caught={"Type": "Pass", "End": True}, **{"Caught?": both}))
    assert linked(events) == [
        ("ExecutionStarted", 0), ("ParallelStateEntered", 0), ("ParallelStateStarted", 2), ("TaskStateEntered", 3),
        ("TaskScheduled", 4), ("TaskStarted", 5), ("TaskFailed", 6), ("ParallelStateFailed", 3),
        ("ParallelStateExited", 8), ("PassStateEntered", 9), ("PassStateExited", 10), ("ExecutionSucceeded", 11),
    ]  # fmt: skip
    scheduled = events[4]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("dynamodb", "getItem")
    assert json.loads(scheduled["parameters"]) == ITEM
    assert events[6]["taskFailedEventDetails"]["resource"] == "getItem"


def test_a_task_that_takes_too_long_has_an_event_of_its_own(sfn: Any) -> None:
    waits = {**FAILS, "Resource": "arn:aws:states:::aws-sdk:dynamodb:listTables.waitForTaskToken", "TimeoutSeconds": 1,
             "Arguments": {}}  # fmt: skip
    events = history(sfn, started(sfn, start="Waits", Waits=waits))
    assert [event["type"] for event in events[-2:]] == ["TaskTimedOut", "ExecutionFailed"]
    assert events[-2]["taskTimedOutEventDetails"]["error"] == "States.Timeout"
    assert events[-2]["taskTimedOutEventDetails"]["resourceType"] == "aws-sdk:dynamodb"


def test_a_stopped_execution_has_no_later_event(sfn: Any) -> None:
    waits = {"Type": "Wait", "Seconds": 1, "Next": "Fails"}
    arn = started(sfn, start="Stopped", Stopped=waits, Fails={"Type": "Fail", "Error": "No", "Cause": "..."})
    until(lambda: len(sfn.get_execution_history(executionArn=arn)["events"]) > 1)
    sfn.stop_execution(executionArn=arn)
    after = started(sfn, start="After", After={"Type": "Wait", "Seconds": 1, "End": True})
    history(sfn, after)
    assert linked(history(sfn, arn)) == [("ExecutionStarted", 0), ("WaitStateEntered", 0), ("ExecutionAborted", 0)]
    assert sfn.describe_execution(executionArn=arn)["status"] == "ABORTED"
