"""One cutover per pair at a time, and a dead holder never blocks the next."""

from collections.abc import Callable

import pytest

from stacks.functions import ADDRESS_TIMEOUT
from tests.workflow.engine import WAITS, Aws
from tests.workflow.web import Web


@pytest.fixture
def held(aws: Aws, web: Web) -> Callable[[str, str], str]:
    """Starts an execution of that name, which holds the lock and waits in a health check: its ARN."""
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)

    def start(name: str, state: str) -> str:
        web.gates["production" if state == "HealthCheckProduction" else "staging"].clear()
        arn = aws.start({}, name=name)
        aws.wait_for(arn, state)
        return arn

    return start


def test_of_five_executions_at_once_exactly_one_cuts_over(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
    web.gates["staging"].clear()
    arns = [aws.start({}) for _ in range(5)]
    for arn in arns:
        aws.wait_for(arn, "AcquireLock")
    aws.until(lambda: sum(aws.status(arn) == "RUNNING" for arn in arns) == 1)
    web.open_gates()
    assert sorted(aws.wait(arn).outcome for arn in arns) == ["CUT_OVER", *["CutoverInProgress"] * 4]
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []


def test_the_loser_is_told_who_holds_the_lock_and_since_when(
    aws: Aws, web: Web, held: Callable[[str, str], str]
) -> None:
    holder = held("the-holder", "HealthCheckStaging")
    loser = aws.execute({})
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"
    assert loser.outcome == "CutoverInProgress"
    (lock_since,) = [word for word in str(loser.cause).split() if word.startswith("20")]
    assert f"cutting over pair web to tao: {holder}, since {lock_since}" in str(loser.cause)
    assert "Nothing was changed." in str(loser.cause)


def test_a_dead_holders_lock_is_taken_over_once_its_last_call_is_over(
    aws: Aws, web: Web, held: Callable[[str, str], str]
) -> None:
    dead = held("the-dead", "HealthCheckProduction")
    aws.sfn.stop_execution(executionArn=dead)
    web.open_gates()
    aws.until(lambda: aws.status(dead) == "ABORTED")
    assert [lock["execution"]["S"] for lock in aws.locks] == [dead]
    assert aws.places == ("tao", "bittybot")
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert execution.states[:8] == [
        "DescribeAddresses",
        "AlreadyLive?",
        "AcquireLock",
        "DescribeLock",
        "LockHeld?",
        "DescribeLockHolder",
        "HolderRunning?",
        "WaitForLastCall",
    ]
    assert max(WAITS) > ADDRESS_TIMEOUT.to_seconds()
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []


def test_a_lock_whose_execution_is_long_forgotten_is_taken_over(aws: Aws) -> None:
    aws.put_lock(aws.state_machine.replace(":stateMachine:", ":execution:") + ":forgotten", server="tao")
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert "WaitForLastCall" not in execution.states
    assert aws.locks == []


@pytest.mark.parametrize("live_when_it_died", ["bittybot", "tao"])
def test_what_a_dead_holder_left_half_done_is_finished_by_the_same_input(aws: Aws, live_when_it_died: str) -> None:
    aws.disassociate(aws.staging)
    aws.associate(aws.production, live_when_it_died)
    aws.put_lock(aws.state_machine.replace(":stateMachine:", ":execution:") + ":forgotten", server="tao")
    execution = aws.execute({})
    assert execution.outcome == ("CUT_OVER" if live_when_it_died == "bittybot" else "REPAIRED")
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []
