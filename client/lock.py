"""`unlock`: whether the holder of a lock is dead, so that the repair may be started for it."""

from client.account import Account
from client.errors import NotAnExecution, UnknownExecution, UnlockRefused
from client.result import RUNNING
from client.text import JsonObject, plain
from domain.lock import Lock


def repair_request(account: Account, lock: Lock) -> JsonObject:
    """The input of the repair for the holder of the lock. Raises UnlockRefused if the holder may still run.

    The repair itself waits until the holder's last call is over.
    """
    holder, stays = plain(lock.execution), f"The lock of {plain(lock.pair)} stays:"
    try:
        status = str(account.describe(lock.execution)["status"])
    except UnknownExecution as error:
        if lock.may_be_new(error.moment):
            raise UnlockRefused(
                f"{stays} it was taken at {plain(lock.since)}, and Step Functions may not know {holder} yet. Try again "
                "in a minute."
            ) from None
        status = "ABORTED"
    except NotAnExecution:
        raise UnlockRefused(
            f"{stays} its holder, {holder or 'an empty text'}, is not an execution, so the client cannot tell whether "
            "it still runs. If nothing runs, delete the item in the lock table yourself."
        ) from None
    if status in RUNNING:
        raise UnlockRefused(
            f"{stays} {holder} has held it since {plain(lock.since)} and still runs. Wait until it ends, or stop it: "
            "the repair then runs automatically."
        )
    return {"execution": lock.execution, "status": status}
