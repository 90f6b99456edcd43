"""`rollback`: which server was live before the one that is live now, by what the executions of the pair did."""

from dataclasses import dataclass

from client.account import Account, Pair
from client.errors import Problem
from client.history import MOST_LOOKED_AT, results
from client.result import Result
from client.status import standings
from client.text import plain

# The names of the executions that `rollback` starts: how the next one knows that the way back was gone already.
PREFIX = "rollback-"
# Of the failures that do not say who is live, those after which nothing was moved by the execution itself.
MOVED_NOTHING = ("InvalidRequest", "CutoverInProgress", "AddressMoved")


@dataclass(frozen=True)
class WayBack:
    """`server` was live before and shall be again, None where there is nothing to do; `reason` says why."""

    server: str | None
    reason: str


def way_back(account: Account, pair: Pair) -> WayBack:
    """Looks who is live, and for the newest execution that made a server live.

    Two servers have one way back: to the other one. It is refused to go there twice, since a rollback that is asked for
    again must not make the bad release live again. Raises Problem where nothing on record says who was live before.
    """
    (now,) = standings(account, [pair], with_locks=False)
    if now.live is None:
        raise Problem(
            f"The production address of {pair.name} is on none of its servers, so it is not clear what to go back from."
            " Look with `status`, and start with --server."
        )
    for _, result in results(account, pair.name):
        if _cut_short(result) and result.was_live != now.live:
            return WayBack(
                result.was_live,
                f"{result.was_live} was live before {plain(result.name)} ({plain(result.outcome)}), and "
                f"{now.live} is now.",
            )
        if result.outcome != "CUT_OVER" or result.was_live is None:
            continue
        before, after = result.was_live, result.is_live
        forward = (
            f"To make {pair.other(now.live)} live: cutover.py start --pair {pair.name} --server {pair.other(now.live)}"
        )
        if before == now.live:
            return WayBack(
                None,
                f"{now.live} was live before the last cutover, {plain(result.name)}, and is live now. {forward}",
            )
        if after == now.live and result.name.startswith(PREFIX):
            return WayBack(
                None,
                f"{now.live} is live since {plain(result.name)}, which was a rollback already. {forward}",
            )
        return WayBack(before, f"{before} was live before {plain(result.name)} made {after} live.")
    raise Problem(
        f"No cutover of {pair.name} is on record, so who was live before {now.live} is not known: Step Functions keeps "
        f"executions for 90 days, and the last {MOST_LOOKED_AT} are looked at. Name the server: cutover.py start "
        "--server NAME"
    )


def _cut_short(result: Result) -> bool:
    """Whether it may have moved production without an outcome that says so: stopped, timed out, at work still."""
    unsaid = not result.succeeded and result.was_live is not None and result.is_live is None
    return unsaid and result.outcome not in MOVED_NOTHING
