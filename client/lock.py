"""`unlock`: deletes a dead lock, as the workflow itself takes one over (`stacks/workflow/lock.py`)."""

from datetime import UTC, datetime, timedelta

from client.account import Account, Lock, moment_of
from client.errors import NotAnExecution, Refused, UnknownExecution
from client.result import RUNNING
from client.text import plain

# How long after its execution has ended a call of a function may still change an address: `LAST_CALL` of
# `stacks/functions/functions.py`; a test compares the two.
LAST_CALL = timedelta(seconds=45)


def unlock(account: Account, pair: str) -> str:
    """Deletes the lock of the pair if it is dead; what was done, as a sentence. Raises Refused if it is not."""
    lock = account.lock(pair)
    if lock is None:
        return f"The pair {plain(pair)} is not locked."
    why = _refusal(account, lock)
    if why:
        raise Refused(f"The lock of {plain(pair)} stays: {why}")
    if not account.delete_lock(lock):
        raise Refused(f"The lock of {plain(pair)} was released or taken over meanwhile. Look with `status`.")
    return (
        f"The lock of {plain(pair)} is deleted; {plain(lock.execution)} had held it since {plain(lock.since)}, making "
        f"{plain(lock.server)} live. What it left unfinished is not finished by this: look with `status`."
    )


def _refusal(account: Account, lock: Lock) -> str | None:
    """Why the lock is not dead, or not dead for long enough; None if it is."""
    holder = plain(lock.execution)
    try:
        found = account.describe(lock.execution)
    except UnknownExecution:
        # Just started, it may not be seen yet: DescribeExecution is eventually consistent.
        return _too_early(f"{holder} does not exist, but the lock", _moment(lock.since), datetime.now(UTC))
    except NotAnExecution:
        return (
            f"it does not name an execution but {holder or 'nothing'}, so nobody can say whether that still runs. "
            "If nothing does, delete the item in the lock table yourself."
        )
    if found["status"] in RUNNING:
        return (
            f"{holder} holds it since {plain(lock.since)} and still runs. Wait for it, or stop it: it is repaired then."
        )
    return _too_early(f"{holder}", found.get("stopDate"), moment_of(found))


def _too_early(what: str, since: datetime | None, now: datetime) -> str | None:
    if since is None:
        return f"{what} has no time from which its last call could be reckoned."
    left = (since + LAST_CALL - now).total_seconds()
    if left <= 0:
        return None
    return (
        f"{what} is over for less than {LAST_CALL.total_seconds():.0f} s, and a call that it made may still change an "
        f"address. Try again in {left + 1:.0f} s. The repair, or the next execution, takes the lock over by itself."
    )


def _moment(since: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(since)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
