"""Executions that are stopped in every state of the workflow are repaired automatically."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from local.aws import LocalAws
from local.faults import Fault
from stacks.workflow.resources import CUTOVER, REPAIR
from tests.local.situation import AS_BEFORE, SWAPPED, deploy, locks, places, put_lock, until
from tests.stacks.test_contract import states_of

Scenario = Callable[[LocalAws], AbstractContextManager[object]]


@pytest.fixture
def aws(quick_aws: LocalAws) -> LocalAws:
    return quick_aws


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
            described = states.describe_execution(executionArn=repair)
            if json.loads(described["input"])["execution"] != arn:
                others.add(repair)
            elif described["status"] != "RUNNING":
                return described
        return None

    return until(ended)


def holders(aws: LocalAws) -> list[str]:
    """The executions that hold a lock."""
    return [lock.execution for lock in locks(aws)]


def other(server: str | None) -> str:
    return "tao" if server == "bittybot" else "bittybot"


# How an execution reaches the states in which it may be stopped: each scenario gives the input, and cleans up after the
# stop.


@contextmanager
def cutover(aws: LocalAws) -> Iterator[object]:
    yield {"serverName": "tao"}


@contextmanager
def rollback(aws: LocalAws) -> Iterator[object]:
    deploy(aws, "fails-as-production")
    yield {"serverName": "tao"}
    deploy(aws, "good")


@contextmanager
def staging_on_no_server(aws: LocalAws) -> Iterator[object]:
    aws.place(production="bittybot", staging=None)
    yield {"serverName": "tao"}


@contextmanager
def rollback_without_descriptions(aws: LocalAws) -> Iterator[object]:
    # 11 descriptions until both addresses are back: 1 before the changes, and one before and after each of the 5.
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
    with aws.emulator.pause("Decision?", workflow=CUTOVER) as pause:
        holder = aws.start({"dryRun": True})
        until(lambda: pause.execution)
        yield {"serverName": "tao"}
    assert aws.wait(holder).status == "SUCCEEDED"


@contextmanager
def unhealthy_staging(aws: LocalAws) -> Iterator[object]:
    aws.servers["tao"].make_unhealthy()
    yield {"serverName": "tao"}
    aws.servers["tao"].make_healthy()


@contextmanager
def missing_permission(aws: LocalAws) -> Iterator[object]:
    aws.ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="denied"))
    yield {"serverName": "tao"}
    aws.ec2.faults.clear()


@contextmanager
def moved_by_someone(aws: LocalAws) -> Iterator[object]:
    production, tao = aws.addresses["production"].allocation_id, aws.servers["tao"].instance_id
    # The second description is that of DisassociateStaging. Production displaces staging.
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
        "DescribeAddresses", "AcquireLock", "Decision?", "Preflight", "HealthCheckStaging",
        "CheckServers", "RehearseDisassociate", "RehearseAssociateProduction",
        "RehearseAssociateStaging", "DryRun?", "MeasureGap", "DisassociateStaging",
        "ReassociateProduction", "ReassociateStaging", "HealthCheckProduction", "ReleaseLock",
        "Notify", "PutEvent", "Outcome?", "CutOver",
    ),
    rollback: (
        "ProductionMoved?", "RestoreProduction", "RestoreStaging", "DescribeRestored",
        "HealthCheckRestored", "RolledBack",
    ),
    rollback_without_descriptions: ("RollbackFailed",),
    staging_on_no_server: ("RepairStaging",),
    repair_only: ("Repaired",),
    lock_of_a_dead_holder: (
        "DescribeLock", "LockHeld?", "DescribeLockHolder", "HolderRunning?", "WaitForLastCall", "TakeOverLock",
    ),
    lock_of_a_running_holder: ("CutoverInProgress",),
    unhealthy_staging: ("StagingUnhealthy",),
    missing_permission: ("PreflightFailed",),
    moved_by_someone: ("AddressMoved",),
    already_live: ("AlreadyLive",),
    already_live_with_a_release: ("HealthCheckLive",),
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
    """The ARN of an execution that was stopped while the call of a state was in flight."""
    arn = aws.start(value)
    until(lambda: state in entered(aws, arn) or aws.look(arn).status != "RUNNING")
    assert state in entered(aws, arn), aws.look(arn)
    stop(aws, arn)
    return arn


@contextmanager
def paused_in(aws: LocalAws, state: str, value: object) -> Iterator[str]:
    """The ARN of an execution that has entered a state, and pauses before that state does anything."""
    with aws.emulator.pause(state, workflow=CUTOVER) as pause:
        arn = aws.start(value)
        until(lambda: pause.execution == arn or aws.look(arn).status != "RUNNING")
        assert pause.execution == arn, aws.look(arn)
        yield arn


def assert_ready_for_the_next(aws: LocalAws) -> None:
    """No lock and no address out of place; otherwise the next execution corrects that."""
    if holders(aws) or None in places(aws):
        server = other(aws.holder("production"))
        execution = aws.execute({"serverName": server})
        assert execution.error is None, execution.cause
        assert execution.output["outcome"] == "CUT_OVER"
        assert aws.holder("production") == server
        assert holders(aws) == []
    assert places(aws) in (AS_BEFORE, SWAPPED)


def test_there_is_a_test_for_every_state_of_the_workflow(aws: LocalAws) -> None:
    deployed = aws.client("stepfunctions").describe_state_machine(stateMachineArn=aws.state_machine_arn)
    names = [name for name, _ in states_of(json.loads(deployed["definition"]))]
    assert sorted(state for states in STATES.values() for state in states) == sorted(names)


@pytest.mark.parametrize(("scenario", "state"), CASES)
def test_an_execution_that_is_stopped_in_any_state_is_repaired(aws: LocalAws, scenario: Scenario, state: str) -> None:
    with scenario(aws) as value, paused_in(aws, state, value) as arn:
        production, staging = places(aws)
        held_the_lock = arn in holders(aws)
        stop(aws, arn)
    repair = repair_of(aws, arn)
    assert json.loads(repair["output"])["outcome"] == ("REPAIRED" if held_the_lock else "NOTHING_TO_REPAIR")
    assert places(aws) == (production, other(production) if held_the_lock else staging)
    assert arn not in holders(aws)
    assert_ready_for_the_next(aws)


@pytest.mark.parametrize(("scenario", "state"), CALLS)
def test_an_execution_that_is_stopped_with_a_call_in_flight_is_repaired(
    aws: LocalAws, scenario: Scenario, state: str
) -> None:
    with scenario(aws) as value:
        arn = stopped_in(aws, state, value)
    repair = repair_of(aws, arn)
    assert json.loads(repair["output"])["outcome"] == "REPAIRED"
    assert holders(aws) == []
    assert places(aws) in (AS_BEFORE, SWAPPED)


def test_a_repair_that_is_stopped_is_repaired_itself(aws: LocalAws) -> None:
    with aws.emulator.pause("DescribeAddresses", workflow=REPAIR) as pause:
        with paused_in(aws, "ReassociateStaging", {"serverName": "tao"}) as arn:
            stop(aws, arn)
        first = until(lambda: pause.execution)
        stop(aws, first)
    assert repair_of(aws, arn)["status"] == "ABORTED"
    assert repair_of(aws, first)["status"] == "SUCCEEDED"
    assert places(aws) == SWAPPED
    assert holders(aws) == []
