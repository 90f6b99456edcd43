"""Executions that are stopped are repaired automatically. `tests/workflow/test_stopped_anywhere.py` has every state."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.aws import LocalAws
from tests.local.situation import AS_BEFORE, SWAPPED, deploy, locks, places, until

Prepare = Callable[[LocalAws], None]


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
            if json.loads(described["input"]).get("execution") != arn:
                others.add(repair)
            elif described["status"] != "RUNNING":
                return described
        return None

    return until(ended)


def holders(aws: LocalAws) -> list[str]:
    """The executions that hold a lock."""
    return [lock.execution for lock in locks(aws)]


# What is there before an execution, so that it reaches the states in which it is stopped.


def sound_pair(_aws: LocalAws) -> None:
    """As it is after the start."""


def bad_release(aws: LocalAws) -> None:
    deploy(aws, "fails-as-production")


def staging_on_no_server(aws: LocalAws) -> None:
    aws.place(production="bittybot", staging=None)


TO_TAO = {"serverName": "tao"}
# A call of each of these may still change an address after the stop.
CALLS = [
    (sound_pair, "DisassociateStaging"),
    (sound_pair, "ReassociateProduction"),
    (sound_pair, "ReassociateStaging"),
    (staging_on_no_server, "RepairStaging"),
    (bad_release, "RestoreProduction"),
]


def stop(aws: LocalAws, arn: str) -> None:
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    assert aws.wait(arn).status == "ABORTED"


@contextmanager
def paused_in(aws: LocalAws, state: str, value: object) -> Iterator[str]:
    """The ARN of an execution that has entered a state, and pauses before that state does anything."""
    with aws.emulator.pause(state, workflow="eip-cutover") as pause:
        arn = aws.start(value)
        until(lambda: pause.execution == arn or aws.look(arn).status != "RUNNING")
        assert pause.execution == arn, aws.look(arn)
        yield arn


@pytest.mark.parametrize(("prepare", "state"), CALLS)
def test_an_execution_that_is_stopped_with_a_call_in_flight_is_repaired(
    aws: LocalAws, prepare: Prepare, state: str
) -> None:
    prepare(aws)
    arn = aws.start(TO_TAO)
    until(lambda: state in entered(aws, arn) or aws.look(arn).status != "RUNNING")
    assert state in entered(aws, arn), aws.look(arn)
    stop(aws, arn)
    repair = repair_of(aws, arn)
    assert json.loads(repair["output"])["outcome"] == "REPAIRED"
    assert holders(aws) == []
    assert places(aws) in (AS_BEFORE, SWAPPED)


def test_an_execution_that_failed_and_released_its_lock_has_nothing_to_repair(aws: LocalAws) -> None:
    aws.servers["tao"].make_unhealthy()
    failed = aws.execute(TO_TAO)
    assert failed.status == "FAILED"
    assert json.loads(repair_of(aws, failed.arn)["output"])["outcome"] == "NOTHING_TO_REPAIR"


def test_a_repair_that_is_stopped_is_repaired_itself(aws: LocalAws) -> None:
    with aws.emulator.pause("DescribeAddresses", workflow="eip-cutover-repair") as pause:
        with paused_in(aws, "ReassociateStaging", TO_TAO) as arn:
            stop(aws, arn)
        first = until(lambda: pause.execution)
        stop(aws, first)
    assert repair_of(aws, arn)["status"] == "ABORTED"
    assert repair_of(aws, first)["status"] == "SUCCEEDED"
    assert places(aws) == SWAPPED
    assert holders(aws) == []
