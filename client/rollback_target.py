"""`rollback`: finds the server that was live before, in the results of the pair's executions."""

from client.account import Account
from client.errors import Problem
from client.history import MOST_EXECUTIONS, results
from client.status import standings
from client.text import plain
from domain.pair import Pair

# `rollback` starts executions with this prefix, so the next `rollback` sees that the last cutover was a rollback.
PREFIX = "rollback-"
# Failures that do not say which server is live, and that happen before the execution moves an address.
MOVED_NOTHING = ("InvalidRequest", "CutoverInProgress", "AddressMoved")


def rollback_target(account: Account, pair: Pair) -> tuple[str | None, str]:
    """The server that was live before the newest execution that moved production, and the reason in words.

    The server is None if there is nothing to do. A second rollback does nothing, because it would make the bad release
    live again. Raises Problem if no execution on record says which server was live before.
    """
    (standing,) = standings(account, [pair], locks={})
    live, idle = standing.live, standing.idle
    if live is None:
        raise Problem(
            f"The production address of {pair.name} is on none of its servers, so there is nothing to roll back from. "
            "Put production on a server first: docs/runbook.md#production-is-on-no-server"
        )
    forward = f"To make {idle} live: cutover.py start --pair {pair.name} --server {idle}"
    for _, result in results(account, pair.name):
        before, name = result.was_live, plain(result.name)
        # The execution may have moved production without a report: it was stopped, timed out, or still runs.
        unreported = not result.succeeded and before is not None and result.is_live is None
        if unreported and before != live and result.outcome not in MOVED_NOTHING:
            return before, f"{before} was live before {name} ({plain(result.outcome)}). Now {live} is live."
        if result.outcome != "CUT_OVER" or before is None:
            continue
        if before == live:
            return None, f"{live} was live before the last cutover, {name}, and is live again now. {forward}"
        if result.is_live == live and result.name.startswith(PREFIX):
            return None, f"{live} has been live since {name}, which was a rollback already. {forward}"
        return before, f"{before} was live before {name} made {result.is_live} live."
    raise Problem(
        f"No cutover of {pair.name} is on record, so it is unknown which server was live before {live}. Step Functions "
        f"keeps executions for 90 days, and `rollback` reads the last {MOST_EXECUTIONS}. Name the server: cutover.py "
        "start --server NAME"
    )
