"""A release on its way, by the item of the lock: the command that runs, the wait for approval, and its answer."""

from collections.abc import Callable
from contextlib import suppress

from botocore.exceptions import ClientError

from client.account import Account
from client.errors import AWS_ERRORS, Problem, code_of
from client.progress import Progress, command_in_words
from client.text import JsonObject, plain
from domain.lock import Lock

APPROVAL = "WaitForApproval"
# The states that run commands, and how the names of their steps begin.
STEPS = {"DeployRelease": "deploy", "BeforeCutover": "beforeCutover", "AfterCutover": "afterCutover",
         "AfterRollback": "afterRollback", "EndCommand": ""}  # fmt: skip


def approval_in_words(lock: Lock, command: Callable[..., str]) -> str:
    """Until when it waits, and the two commands that answer; `command` makes a command from its words."""
    answers = [command(answer, "--pair", plain(lock.pair)) for answer in ("approve", "reject")]
    return "\n".join([f"waits for approval until {plain(lock.approves_until, 40)}", *answers])


def doing(state: str, lock: Lock, command: Callable[..., str]) -> str:
    """What the holder of the lock does in this state; empty if the item does not say it yet."""
    if state == APPROVAL:
        return approval_in_words(lock, command) if lock.approval_token else ""
    ran = lock.command or {}
    return command_in_words(ran) if ran and str(ran.get("step")).startswith(STEPS[state]) else ""


def answered(account: Account, pair: str, *, approves: bool, reason: str | None = None) -> JsonObject:
    """Approve or reject, and return what was done. Raises Problem if nothing waits for an answer."""
    record = account.record(pair)
    if (lock := record.lock) is None:
        raise Problem(f"No execution holds pair {pair}, so nothing waits for approval.")
    execution = plain(lock.execution)
    follow = f"To follow it:\n{account.command('watch', execution)}"
    if not lock.approval_token:
        progress = Progress()
        with suppress(Problem, *AWS_ERRORS):
            for event in account.events(lock.execution):
                progress.read(event)
        now = "it has ended" if progress.ended else progress.now if progress.last else "what it does is unknown"
        raise Problem(f"The execution {execution} does not wait for approval now: {now}. {follow}")
    try:
        by = account.answer(lock.approval_token, approves=approves, reason=reason or "")
    except ClientError as error:
        if code_of(error) not in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
            raise
        why = "it was answered, its time is over, or it was asked to roll back"
        raise Problem(f"The wait of {execution} has just ended: {why}. {follow}") from None
    release = record.releases.get(lock.server, {}).get("release")
    done = {"answer": "approved" if approves else "rejected", "pair": pair, "server": lock.server}
    return {**done, "release": release, "execution": execution, "by": by, "reason": reason}
