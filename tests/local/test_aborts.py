"""Executions that are stopped, in every state of the workflow: what is left behind repairs itself."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from local.aws import LocalAws
from local.faults import Fault


@pytest.fixture
def aws(quick_aws: LocalAws) -> LocalAws:
    quick_aws.reset()
    return quick_aws


def until(found: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while (result := found()) is None:
        assert time.monotonic() < deadline, f"not found within {seconds} s"
        time.sleep(0.005)
    return result


def entered(aws: LocalAws, arn: str) -> list[str]:
    events = aws.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def repair_of(aws: LocalAws, arn: str) -> Any:
    """The repair that EventBridge started for a stopped execution, once it has ended."""
    states = aws.client("stepfunctions")
    machine = aws.state_machine_arn + "-repair"

    def ended() -> Any:
        for started in states.list_executions(stateMachineArn=machine)["executions"]:
            found = states.describe_execution(executionArn=started["executionArn"])
            if json.loads(found["input"])["execution"] == arn and found["status"] != "RUNNING":
                return found
        return None

    return until(ended)


def locks(aws: LocalAws) -> list[Any]:
    (table,) = aws.client("dynamodb").list_tables()["TableNames"]
    found: list[Any] = aws.client("dynamodb").scan(TableName=table)["Items"]
    return found


def stopped_in(aws: LocalAws, state: str, value: object) -> str:
    arn = aws.start(value)
    until(lambda: state in entered(aws, arn) or aws.look(arn).status != "RUNNING" or None)
    assert state in entered(aws, arn), aws.look(arn)
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    assert aws.wait(arn).status == "ABORTED"
    return arn


def assert_repaired(aws: LocalAws, arn: str) -> None:
    repair = repair_of(aws, arn)
    assert repair["status"] == "SUCCEEDED"
    places = aws.holder("production"), aws.holder("staging")
    assert places in (("bittybot", "tao"), ("tao", "bittybot"))
    assert json.loads(repair["output"])["outcome"] in ("REPAIRED", "NOTHING_TO_REPAIR")
    # A lock may stay only if it was acquired by a call that was still in flight, and the next execution takes it over.
    server = str(aws.holder("staging"))
    execution = aws.execute({"serverName": server})
    assert execution.error is None, execution.cause
    assert execution.output["outcome"] == "CUT_OVER"
    assert aws.holder("production") == server
    assert locks(aws) == []


@pytest.mark.parametrize(
    "state",
    [
        "DescribeAddresses",
        "AcquireLock",
        "Preflight",
        "DisassociateStaging",
        "ReassociateProduction",
        "ReassociateStaging",
        "HealthCheckProduction",
    ],
)
def test_a_cutover_that_is_stopped_in_any_state_is_repaired(aws: LocalAws, state: str) -> None:
    assert_repaired(aws, stopped_in(aws, state, {"serverName": "tao"}))


@pytest.mark.parametrize("state", ["RestoreProduction", "RestoreStaging", "DescribeRestored", "HealthCheckRestored"])
def test_a_rollback_that_is_stopped_in_any_state_is_repaired(aws: LocalAws, state: str) -> None:
    aws.servers["tao"].deploy(release=2, behaviour="fails-as-production")
    aws.servers["tao"].restart()
    arn = stopped_in(aws, state, {"serverName": "tao"})
    aws.servers["tao"].deploy(release=1)
    aws.servers["tao"].restart()
    assert_repaired(aws, arn)


def test_a_repair_of_staging_that_is_stopped_is_repaired(aws: LocalAws) -> None:
    aws.place(production="bittybot", staging=None)
    assert_repaired(aws, stopped_in(aws, "RepairStaging", {"serverName": "tao"}))


def test_an_execution_that_is_stopped_while_it_waits_for_a_dead_holder_changes_nothing(aws: LocalAws) -> None:
    over = aws.execute({"dryRun": True}).arn
    item = {"pair": "web", "execution": over, "since": "2026-01-01T00:00:00Z", "server": "tao"}
    (table,) = aws.client("dynamodb").list_tables()["TableNames"]
    aws.client("dynamodb").put_item(TableName=table, Item={key: {"S": value} for key, value in item.items()})
    arn = stopped_in(aws, "WaitForLastCall", {"serverName": "tao"})
    assert (aws.holder("production"), aws.holder("staging")) == ("bittybot", "tao")
    assert_repaired(aws, arn)


def test_production_is_not_moved_by_the_repair(aws: LocalAws) -> None:
    arn = stopped_in(aws, "ReassociateStaging", {"serverName": "tao"})
    repair_of(aws, arn)
    assert (aws.holder("production"), aws.holder("staging")) == ("tao", "bittybot")
    assert locks(aws) == []


def test_a_repair_that_is_stopped_is_repaired_itself(aws: LocalAws) -> None:
    arn = stopped_in(aws, "ReassociateStaging", {"serverName": "tao"})
    states, machine = aws.client("stepfunctions"), aws.state_machine_arn + "-repair"

    def running() -> str | None:
        found = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        return found[0]["executionArn"] if found else None

    first = until(running)
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="slow", seconds=1, times=None))
    until(lambda: "DescribeAddresses" in entered(aws, first) or None)
    states.stop_execution(executionArn=first)
    aws.ec2.faults.clear()
    assert repair_of(aws, arn)["status"] == "ABORTED"
    assert repair_of(aws, first)["status"] == "SUCCEEDED"
    assert (aws.holder("production"), aws.holder("staging")) == ("tao", "bittybot")
    assert locks(aws) == []
