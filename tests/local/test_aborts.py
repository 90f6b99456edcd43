"""Executions that are stopped, in every state of the workflow: what is left behind repairs itself."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from local.aws import LocalAws
from local.faults import Fault
from stacks.workflow.cutover import NAME as CUTOVER
from stacks.workflow.repair import NAME as REPAIR
from tests.stacks.test_contract import states_of

WHOLE = (("bittybot", "tao"), ("tao", "bittybot"))
Scenario = Callable[[LocalAws], AbstractContextManager[object]]


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
    others: set[str] = set()

    def ended() -> Any:
        repairs = states.list_executions(stateMachineArn=aws.state_machine_arn + "-repair")["executions"]
        for repair in {each["executionArn"] for each in repairs} - others:
            found = states.describe_execution(executionArn=repair)
            if json.loads(found["input"])["execution"] != arn:
                others.add(repair)
            elif found["status"] != "RUNNING":
                return found
        return None

    return until(ended)


def lock_table(aws: LocalAws) -> str:
    (table,) = aws.client("dynamodb").list_tables()["TableNames"]
    return str(table)


def holders(aws: LocalAws) -> list[str]:
    """The executions that hold a lock."""
    found = aws.client("dynamodb").scan(TableName=lock_table(aws))["Items"]
    return [lock["execution"]["S"] for lock in found]


def put_lock(aws: LocalAws, execution: str) -> None:
    item = {"pair": "web", "execution": execution, "since": "2026-01-01T00:00:00Z", "server": "tao"}
    text = {key: {"S": value} for key, value in item.items()}
    aws.client("dynamodb").put_item(TableName=lock_table(aws), Item=text)


def places(aws: LocalAws) -> tuple[str | None, str | None]:
    return aws.holder("production"), aws.holder("staging")


def other(server: str | None) -> str:
    return "tao" if server == "bittybot" else "bittybot"


# What leads an execution to the states that it may be stopped in: each gives the input, and tidies up after the stop.


@contextmanager
def cutover(aws: LocalAws) -> Iterator[object]:
    yield {"serverName": "tao"}


@contextmanager
def rollback(aws: LocalAws) -> Iterator[object]:
    aws.servers["tao"].deploy(release=2, behaviour="fails-as-production")
    aws.servers["tao"].restart()
    yield {"serverName": "tao"}
    aws.servers["tao"].deploy(release=1)
    aws.servers["tao"].restart()


@contextmanager
def staging_on_no_server(aws: LocalAws) -> Iterator[object]:
    aws.place(production="bittybot", staging=None)
    yield {"serverName": "tao"}


@contextmanager
def rollback_to_staging_on_no_server(aws: LocalAws) -> Iterator[object]:
    with staging_on_no_server(aws), rollback(aws) as value:
        yield value


@contextmanager
def rollback_that_cannot_look(aws: LocalAws) -> Iterator[object]:
    # 11 looks until both addresses are back: 1 before the changes, and one before and after each of the 5.
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="denied", nth=12, times=None))
    with rollback(aws) as value:
        yield value
    aws.ec2.faults.clear()


@contextmanager
def repair_only(aws: LocalAws) -> Iterator[object]:
    aws.place(production="bittybot", staging=None)
    yield {"serverName": "bittybot"}


@contextmanager
def lock_of_a_dead_holder(aws: LocalAws) -> Iterator[object]:
    put_lock(aws, aws.execute({"dryRun": True}).arn)
    yield {"serverName": "tao"}


@contextmanager
def lock_of_a_running_holder(aws: LocalAws) -> Iterator[object]:
    with aws.emulator.hold("StagingInPlace?", workflow=CUTOVER) as hold:
        holder = aws.start({"dryRun": True})
        until(lambda: hold.execution)
        yield {"serverName": "tao"}
    assert aws.wait(holder).status == "SUCCEEDED"


@contextmanager
def sick_staging(aws: LocalAws) -> Iterator[object]:
    aws.servers["tao"].make_sick()
    yield {"serverName": "tao"}
    aws.servers["tao"].make_well()


@contextmanager
def missing_permission(aws: LocalAws) -> Iterator[object]:
    aws.ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="denied"))
    yield {"serverName": "tao"}
    aws.ec2.faults.clear()


@contextmanager
def moved_by_somebody(aws: LocalAws) -> Iterator[object]:
    production, tao = aws.addresses["production"].allocation_id, aws.servers["tao"].instance_id
    # The second look is that of DisassociateStaging. Production displaces staging.
    moved = Fault(action="DescribeAddresses", kind="moved", nth=2, allocation_id=production, instance_id=tao)
    aws.ec2.faults.inject(moved)
    yield {"serverName": "tao"}
    aws.ec2.faults.clear()


@contextmanager
def already_live(aws: LocalAws) -> Iterator[object]:
    yield {"serverName": "bittybot"}


@contextmanager
def already_live_with_a_release(aws: LocalAws) -> Iterator[object]:
    yield {"serverName": "bittybot", "expectedRelease": "1"}


@contextmanager
def dry_run(aws: LocalAws) -> Iterator[object]:
    yield {"dryRun": True}


@contextmanager
def invalid_request(aws: LocalAws) -> Iterator[object]:
    yield {"server": "tao"}


STATES: dict[Scenario, tuple[str, ...]] = {
    cutover: (
        "Begin", "DescribeAddresses", "AcquireLock", "StagingInPlace?", "Preflight", "HealthCheckStaging",
        "CheckServers", "RehearseDisassociate", "RehearseMeasureGap", "RehearseAssociateProduction",
        "RehearseAssociateStaging", "DryRun?", "MeasureGap", "DisassociateStaging",
        "ReassociateProduction", "ReassociateStaging", "HealthCheckProduction", "ReleaseLock",
        "Notify", "PutEvent", "Outcome?", "CutOver",
    ),
    rollback: (
        "ProductionMoved?", "RestoreProduction", "StagingHadServer?", "RestoreStaging", "DescribeRestored",
        "HealthCheckRestored", "RolledBack",
    ),
    rollback_that_cannot_look: ("RollbackFailed",),
    staging_on_no_server: ("RepairStaging", "RepairOnly?"),
    rollback_to_staging_on_no_server: ("RestoreStagingDisassociated",),
    repair_only: ("Repaired",),
    lock_of_a_dead_holder: (
        "DescribeLock", "LockHeld?", "DescribeLockHolder", "HolderRunning?", "WaitForLastCall", "TakeOverLock",
    ),
    lock_of_a_running_holder: ("CutoverInProgress",),
    sick_staging: ("AnythingChanged?", "StagingUnhealthy"),
    missing_permission: ("PreflightFailed",),
    moved_by_somebody: ("AddressMoved",),
    already_live: ("AlreadyLive",),
    already_live_with_a_release: ("HealthCheckLive", "StagingToRepair?"),
    dry_run: ("DryRun",),
    invalid_request: ("InvalidRequest",),
}  # fmt: skip
CASES = [pytest.param(scenario, state, id=state) for scenario, states in STATES.items() for state in states]
# A call of each of these may still change an address after the stop.
CALLS = [
    (cutover, "DisassociateStaging"),
    (cutover, "ReassociateProduction"),
    (cutover, "ReassociateStaging"),
    (staging_on_no_server, "RepairStaging"),
    (rollback, "RestoreProduction"),
]


def stop(aws: LocalAws, arn: str) -> None:
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    assert aws.wait(arn).status == "ABORTED"


def stopped_in(aws: LocalAws, state: str, value: object) -> str:
    """An execution that was stopped while the call of a state was in flight: its ARN."""
    arn = aws.start(value)
    until(lambda: state in entered(aws, arn) or aws.look(arn).status != "RUNNING" or None)
    assert state in entered(aws, arn), aws.look(arn)
    stop(aws, arn)
    return arn


@contextmanager
def held_in(aws: LocalAws, state: str, value: object) -> Iterator[str]:
    """An execution that has entered a state, and waits before that state does anything: its ARN."""
    with aws.emulator.hold(state, workflow=CUTOVER) as hold:
        arn = aws.start(value)
        until(lambda: hold.execution == arn or aws.look(arn).status != "RUNNING" or None)
        assert hold.execution == arn, aws.look(arn)
        yield arn


def assert_fit_for_the_next(aws: LocalAws) -> None:
    """Nothing is left: no lock, no address out of place. If there is, the next execution puts it right."""
    if holders(aws) or None in places(aws):
        server = other(aws.holder("production"))
        execution = aws.execute({"serverName": server})
        assert execution.error is None, execution.cause
        assert execution.output["outcome"] == "CUT_OVER"
        assert aws.holder("production") == server
        assert holders(aws) == []
    assert places(aws) in WHOLE


def test_there_is_a_test_for_every_state_of_the_workflow(aws: LocalAws) -> None:
    deployed = aws.client("stepfunctions").describe_state_machine(stateMachineArn=aws.state_machine_arn)
    names = [name for name, _ in states_of(json.loads(deployed["definition"]))]
    assert sorted(state for states in STATES.values() for state in states) == sorted(names)


@pytest.mark.parametrize(("scenario", "state"), CASES)
def test_an_execution_that_is_stopped_in_any_state_is_repaired(aws: LocalAws, scenario: Scenario, state: str) -> None:
    with scenario(aws) as value, held_in(aws, state, value) as arn:
        production, staging = places(aws)
        held_the_lock = arn in holders(aws)
        stop(aws, arn)
    repair = repair_of(aws, arn)
    assert json.loads(repair["output"])["outcome"] == ("REPAIRED" if held_the_lock else "NOTHING_TO_REPAIR")
    assert places(aws) == (production, other(production) if held_the_lock else staging)
    assert arn not in holders(aws)
    assert_fit_for_the_next(aws)


@pytest.mark.parametrize(("scenario", "state"), CALLS)
def test_an_execution_that_is_stopped_with_a_call_in_flight_is_repaired(
    aws: LocalAws, scenario: Scenario, state: str
) -> None:
    with scenario(aws) as value:
        arn = stopped_in(aws, state, value)
    repair = repair_of(aws, arn)
    assert json.loads(repair["output"])["outcome"] == "REPAIRED"
    assert holders(aws) == []
    assert places(aws) in WHOLE


def test_a_repair_that_is_stopped_is_repaired_itself(aws: LocalAws) -> None:
    with aws.emulator.hold("DescribeAddresses", workflow=REPAIR) as hold:
        with held_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
            stop(aws, arn)
        first = until(lambda: hold.execution)
        stop(aws, first)
    assert repair_of(aws, arn)["status"] == "ABORTED"
    assert repair_of(aws, first)["status"] == "SUCCEEDED"
    assert places(aws) == ("tao", "bittybot")
    assert holders(aws) == []
