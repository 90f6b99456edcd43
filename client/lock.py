"""`unlock`: deletes a lock if the workflow would take it over as dead, too (`stacks/workflow/lock.py`)."""

from client.account import Account, moment_of
from client.errors import NotAnExecution, UnknownExecution, UnlockRefused
from client.result import RUNNING
from client.text import plain
from domain.lock import LAST_CALL_SECONDS, Lock


def unlock(account: Account, pair: str) -> str:
    """Delete the lock of the pair if it is dead. Returns a message about it. Raises UnlockRefused."""
    lock = account.lock(pair)
    if lock is None:
        return f"The pair {plain(pair)} is not locked."
    if reason := _refusal(account, lock):
        raise UnlockRefused(f"The lock of {plain(pair)} stays: {reason}")
    if not account.delete_lock(lock):
        raise UnlockRefused(f"The lock of {plain(pair)} was released or taken over meanwhile. Check with `status`.")
    return (
        f"The lock of {plain(pair)} is deleted. {plain(lock.execution)} had held it since {plain(lock.since)} to make "
        f"{plain(lock.server)} live. If that cutover is unfinished, it stays unfinished: check with `status`."
    )


def _refusal(account: Account, lock: Lock) -> str | None:
    """Why the lock is not dead, or has not been dead for long enough; None if it is dead."""
    holder = plain(lock.execution)
    try:
        described = account.describe(lock.execution)
        if described["status"] in RUNNING:
            return (
                f"{holder} has held it since {plain(lock.since)} and still runs. Wait until it ends, or stop it: the "
                "repair then runs automatically."
            )
        event, moment, now = f"{holder} ended", described.get("stopDate"), moment_of(described)
    except UnknownExecution as error:
        event, moment, now = f"{holder} does not exist, and the lock was taken", lock.held_since, error.moment
    except NotAnExecution:
        return (
            f"its holder, {holder or 'an empty text'}, is not an execution, so the client cannot tell whether it still "
            "runs. If nothing runs, delete the item in the lock table yourself."
        )
    if moment is None:
        return f"{event} at an unknown time, so its last call may not be over."
    left = LAST_CALL_SECONDS - (now - moment).total_seconds()
    if left <= 0:
        return None
    return (
        f"{event} less than {LAST_CALL_SECONDS} s ago, and its last call may still change an address. Try again "
        f"in {left + 1:.0f} s. The repair or the next execution takes over the lock automatically."
    )
