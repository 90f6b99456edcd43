"""`history`: the last executions, and the way back that follows from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from client.account import Account
from client.progress import Progress
from client.result import Result, result_of
from client.started_by import starters
from client.text import JsonObject, clock, duration, plain

# Of the workflow's executions, those of one pair are found by looking at each.
MOST_LOOKED_AT = 500


@dataclass(frozen=True)
class Entry:
    """One execution that is over or runs; `by` is who started it, None where that is not known."""

    began: JsonObject
    result: Result
    by: str | None

    def to_json(self) -> JsonObject:
        result = self.result
        return {
            "execution": result.arn,
            "name": result.name,
            "began": self.began["startDate"].isoformat(),
            "status": result.status,
            "outcome": result.outcome,
            "pair": result.pair,
            "wasLive": result.was_live,
            "isLive": result.is_live,
            "seconds": result.seconds,
            "by": self.by,
        }

    def row(self) -> dict[str, str]:
        result = self.result
        return {
            "when": clock(self.began["startDate"]),
            "outcome": plain(result.outcome, 40),
            "pair": plain(result.pair or "", 64),
            "from → to": plain(moved(result), 140),
            "took": "" if result.seconds is None else duration(result.seconds),
            "by": plain(self.by or "unknown", 100),
            "execution": result.name,
        }


def moved(result: Result) -> str:
    """`bittybot → tao`, `bittybot stays`; with a question mark where it is not known."""
    if result.was_live is None:
        return ""
    if result.was_live == result.is_live:
        return f"{result.was_live} stays"
    return f"{result.was_live} → {result.is_live or '?'}"


def entries(account: Account, *, pair: str | None, limit: int) -> tuple[list[Entry], str | None]:
    """The last executions, of one pair or of all, newest first; and why it is not known who started them."""
    chosen = list(islice(results(account, pair), limit))
    by, why = starters(account, [item for item, _ in chosen])
    return [Entry(item, result, by.get(result.arn)) for item, result in chosen], why


def results(account: Account, pair: str | None) -> Iterator[tuple[JsonObject, Result]]:
    """The executions of one pair or of all, newest first, each as it is listed and what it came to.

    An execution that did not name its pair, and came to nothing that does, belongs to the only pair there is.
    """
    only = next(iter(account.pairs)) if pair is not None and len(account.pairs) == 1 else None
    for item in islice(account.executions(), MOST_LOOKED_AT):
        described = account.describe(item["executionArn"])
        progress = Progress()
        if described["status"] != "SUCCEEDED":
            # Its history has the plan: which server was live, and of which pair.
            for event in account.events(item["executionArn"]):
                list(progress.read(event))
        result = result_of(described, progress)
        if pair is None or (result.pair or only) == pair:
            yield item, result
