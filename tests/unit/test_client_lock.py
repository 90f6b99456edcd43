"""`unlock` deletes only a lock that is dead by the workflow's own rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client.errors import UnlockRefused
from client.lock import unlock
from tests.unit.client_doubles import EXECUTION, Service, account, execution, refusal

HOLDER = f"{EXECUTION}:release-1"
NOW = datetime(2026, 2, 1, 10, 0, tzinfo=UTC)  # the Date of the answers
LONG_AGO = "2026-02-01T09:30:00.000Z"


def ended(seconds_ago: float) -> dict[str, Any]:
    return execution("release-1", "ABORTED", stopDate=NOW - timedelta(seconds=seconds_ago))


def unlocked(*executions: dict[str, Any], holder: str = HOLDER, since: str = LONG_AGO, answer: object = ()) -> Any:
    """What `unlock` says, and the calls that delete a lock."""
    item = {"pair": "web", "execution": holder, "since": since, "server": "tao"}
    table = Service(get_item={"Item": {key: {"S": value} for key, value in item.items()}}, delete_item=answer)
    try:
        message = unlock(account(*executions, dynamodb=table), "web")
    except UnlockRefused as refused:
        message = str(refused)
    return message, [parameters for name, parameters in table.calls if name == "delete_item"]


@pytest.mark.parametrize("executions", [[ended(25)], []], ids=["25 s after its end", "of no execution"])
def test_a_lock_is_deleted_when_the_last_call_of_its_execution_is_over(executions: list[dict[str, Any]]) -> None:
    message, (deletion,) = unlocked(*executions)
    assert "is deleted" in message
    assert deletion["ConditionExpression"] == "execution = :holder"
    assert deletion["ExpressionAttributeValues"] == {":holder": {"S": HOLDER}}


@pytest.mark.parametrize(
    ("executions", "lock", "says"),
    [
        ([ended(24)], {}, "its last call may still change an address. Try again in 2 s."),
        ([execution("release-1", "RUNNING")], {}, "still runs"),
        ([execution("release-1", "PENDING_REDRIVE")], {}, "still runs"),
        # An execution that has just started may not be visible yet, however late this machine's clock says it is.
        ([], {"since": "2026-02-01T09:59:36.000Z"}, "Try again in 2 s"),
        ([], {"since": "yesterday"}, "unknown time"),
        ([], {"holder": "by\x1bhand"}, "its holder, by hand, is not an execution"),
    ],
    ids=["24 s", "running", "redriven", "unseen", "without a time", "by hand"],
)  # fmt: skip
def test_any_other_lock_stays_and_says_why(executions: list[dict[str, Any]], lock: dict[str, str], says: str) -> None:
    message, deletions = unlocked(*executions, **lock)
    assert says in message
    assert deletions == []


def test_a_lock_that_changed_hands_meanwhile_stays_with_its_new_holder() -> None:
    message, _ = unlocked(ended(60), answer=refusal("ConditionalCheckFailedException"))
    assert "was released or taken over meanwhile" in message


def test_a_pair_that_is_not_locked_is_reported_as_such() -> None:
    assert unlock(account(dynamodb=Service(get_item={})), "web") == "The pair web is not locked."
