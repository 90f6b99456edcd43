"""`unlock` deletes a lock that is dead by the workflow's own rules, and no other."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.account import Lock
from client.errors import NotAnExecution, Refused
from client.lock import LAST_CALL, unlock
from stacks.functions import functions
from tests.unit.client_doubles import EXECUTION, AccountInMemory, execution

HOLDER = f"{EXECUTION}:release-1"
LOCK = Lock("web", HOLDER, "2026-02-01T09:30:00.000Z", "tao")
NOW = datetime(2026, 2, 1, 10, 0, tzinfo=UTC)  # the Date of the answers


def held(*executions: Mapping[str, Any], lock: Lock = LOCK) -> AccountInMemory:
    return AccountInMemory(executions=executions, lock=lock)


def ended(seconds_ago: float) -> dict[str, Any]:
    return execution("release-1", "ABORTED", stopDate=NOW - timedelta(seconds=seconds_ago))


def test_the_last_call_is_as_long_as_the_workflow_says() -> None:
    assert functions.LAST_CALL.to_seconds() == LAST_CALL.total_seconds()


def test_the_lock_of_an_execution_whose_last_call_is_over_is_deleted() -> None:
    account = held(ended(45))
    assert "is deleted" in unlock(account, "web")
    assert account.held is None


def test_while_its_last_call_may_be_in_flight_it_stays_and_the_seconds_are_told() -> None:
    account = held(ended(44))
    with pytest.raises(Refused, match=r"may still change an address\. Try again in 2 s"):
        unlock(account, "web")
    assert account.held == LOCK


@pytest.mark.parametrize("status", ["RUNNING", "PENDING_REDRIVE"])
def test_while_its_execution_runs_it_stays(status: str) -> None:
    account = held(execution("release-1", status))
    with pytest.raises(Refused, match="still runs"):
        unlock(account, "web")
    assert account.held == LOCK


def test_the_lock_of_an_execution_that_does_not_exist_any_more_is_deleted() -> None:
    account = held()
    assert "is deleted" in unlock(account, "web")
    assert account.held is None


@pytest.mark.parametrize(
    ("since", "says"),
    [
        (f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}", "Try again"),
        ("yesterday", "no time"),
        ("", "no time"),
    ],
    # Each worker names the tests by itself, and two may do so in different seconds.
    ids=["in an hour", "yesterday", "unknown"],
)
def test_an_execution_that_is_not_seen_yet_may_have_just_begun(since: str, says: str) -> None:
    account = held(lock=Lock("web", HOLDER, since, "tao"))
    with pytest.raises(Refused, match=says):
        unlock(account, "web")
    assert account.held is not None


def test_a_lock_that_names_no_execution_is_left_to_a_person() -> None:
    class NoArn(AccountInMemory):
        def describe(self, arn: str) -> dict[str, Any]:
            raise NotAnExecution("no ARN")

    account = NoArn(lock=Lock("web", "by\x1bhand", "", ""))
    with pytest.raises(Refused, match="does not name an execution but by hand"):
        unlock(account, "web")
    assert account.held is not None


def test_a_lock_that_changed_hands_meanwhile_stays_with_the_other() -> None:
    class ChangesHands(AccountInMemory):
        def delete_lock(self, lock: Lock) -> bool:
            return False

    with pytest.raises(Refused, match="meanwhile"):
        unlock(ChangesHands(executions=[ended(60)], lock=LOCK), "web")


def test_a_pair_that_is_not_locked_is_said_to_be_so() -> None:
    assert unlock(AccountInMemory(), "web") == "The pair web is not locked."
