"""`unlock`: whether the holder of a lock is dead, so that the repair may be started for it."""

from client.account import Account
from client.errors import UnlockRefused
from client.result import RUNNING
from client.status import GONE, NOT_KNOWN_YET, UNKNOWN, holder_status
from client.text import JsonObject, plain
from domain.lock import Lock


def repair_request(account: Account, lock: Lock) -> JsonObject:
    """The input of the repair, which waits until the holder's last call is over. Raises UnlockRefused if the holder may
    still run."""
    holder, since, status = plain(lock.execution) or "an empty text", plain(lock.since), holder_status(account, lock)
    reasons = {
        NOT_KNOWN_YET: f"it was taken at {since}, and Step Functions may not know {holder} yet. Try again in a minute.",
        UNKNOWN: f"its holder, {holder}, is not an execution, so the client cannot tell whether it still runs. If "
        "nothing runs, delete the item in the lock table yourself.",
        **dict.fromkeys(RUNNING, f"{holder} has held it since {since} and still runs. Wait until it ends, or stop it: "
                        "the repair then runs automatically."),
    }  # fmt: skip
    if status in reasons:
        raise UnlockRefused(f"The lock of {plain(lock.pair)} stays: {reasons[status]}")
    return {"execution": lock.execution, "status": "ABORTED" if status == GONE else status}
