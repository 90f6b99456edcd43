"""`unlock` deletes a lock that is dead by the workflow's own rules, and no other."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.errors import NotAnExecution, UnlockRefused
from client.lock import unlock
from domain.lock import LAST_CALL_SECONDS, Lock
from stacks.functions import functions
from tests.unit.client_doubles import EXECUTION, AccountInMemory, execution

HOLDER = f"{EXECUTION}:release-1"
LOCK = Lock("web", HOLDER, "2026-02-01T09:30:00.000Z", "tao")
NOW = datetime(2026, 2, 1, 10, 0, tzinfo=UTC)  # the Date of the answers


class NotArns(AccountInMemory):
    def describe(self, arn: str) -> dict[str, Any]:
        raise NotAnExecution("not an ARN")


def held(*executions: Mapping[str, Any], since: str = LOCK.since) -> AccountInMemory:
    return AccountInMemory(executions=executions, lock=Lock("web", HOLDER, since, "tao"))


def ended(seconds_ago: float) -> dict[str, Any]:
    return execution("release-1", "ABORTED", stopDate=NOW - timedelta(seconds=seconds_ago))


def test_the_last_call_is_as_long_as_the_workflow_says() -> None:
    assert functions.LAST_CALL.to_seconds() == LAST_CALL_SECONDS


@pytest.mark.parametrize("account", [held(ended(45)), held()], ids=["45 s after its end", "of no execution"])
def test_a_lock_is_deleted_when_the_last_call_of_its_execution_is_over(account: AccountInMemory) -> None:
    assert "is deleted" in unlock(account, "web")
    assert account.held is None


@pytest.mark.parametrize(
    ("account", "says"),
    [
        (held(ended(44)), "release-1 ended less than 45 s ago, and a call that it made may still change an address. "
         "Try again in 2 s."),
        (held(execution("release-1", "RUNNING")), "still runs"),
        (held(execution("release-1", "PENDING_REDRIVE")), "still runs"),
        # An execution that has just started may not be visible yet.
        (held(since=f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"), "Try again"),
        (held(since="yesterday"), "unknown time"),
        (held(since=""), "unknown time"),
        (held(since="2026-02-01T09:30:00"), "unknown time"),
        (NotArns(lock=Lock("web", "by\x1bhand", "", "")), "does not name an execution but by hand"),
    ],
    # Each worker names the tests by itself, and two may do so in different seconds.
    ids=["44 s", "running", "redriven", "unseen", "yesterday", "without a time", "without a zone", "by hand"],
)  # fmt: skip
def test_any_other_lock_stays_with_the_reason(account: AccountInMemory, says: str) -> None:
    before = account.held
    with pytest.raises(UnlockRefused) as refused:
        unlock(account, "web")
    assert says in str(refused.value)
    assert account.held == before


def test_a_lock_that_changed_hands_meanwhile_stays_with_its_new_holder() -> None:
    class ChangesHands(AccountInMemory):
        def delete_lock(self, lock: Lock) -> bool:
            return False

    with pytest.raises(UnlockRefused, match="meanwhile"):
        unlock(ChangesHands(executions=[ended(60)], lock=LOCK), "web")


def test_a_pair_that_is_not_locked_is_reported_as_such() -> None:
    assert unlock(AccountInMemory(), "web") == "The pair web is not locked."
