"""`history`: the last executions of the workflow, and how they ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import islice

from client.account import Account
from client.progress import Progress
from client.result import Result, result_of
from client.started_by import started_by
from client.text import JsonObject, duration, plain

# Step Functions does not list executions by pair, so each execution is described.
MOST_EXECUTIONS = 500
KEYS = ("execution", "name", "status", "outcome", "pair", "wasLive", "isLive", "seconds")


@dataclass(frozen=True)
class Entry:
    """An execution as ListExecutions shows it, and its result. `by` is who started it, None if unknown."""

    listed: JsonObject
    result: Result
    by: str | None

    def to_json(self) -> JsonObject:
        result = self.result.to_json()
        return {**{key: result[key] for key in KEYS}, "began": self.listed["startDate"].isoformat(), "by": self.by}

    def row(self) -> dict[str, str]:
        result, before, now = self.result, self.result.was_live, self.result.is_live
        moved = f"{before} stays" if before == now else f"{before} → {now or '?'}"
        return {
            "when": f"{self.listed['startDate'].astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
            "outcome": plain(result.outcome, 40),
            "pair": plain(result.pair or "", 64),
            "from → to": plain(moved if before else "", 140),
            "took": "" if result.seconds is None else duration(result.seconds),
            "by": plain(self.by or "unknown", 100),
            "execution": result.name,
        }


def entries(account: Account, *, pair: str | None, limit: int) -> tuple[list[Entry], str | None]:
    """The last executions of the pair, or of all pairs, newest first. And if their starters are unknown, the reason."""
    chosen = list(islice(_results(account, pair), limit))
    by, why_unknown = started_by(account, [listed for listed, _ in chosen])
    return [Entry(listed, result, by.get(result.execution)) for listed, result in chosen], why_unknown


def _results(account: Account, pair: str | None) -> Iterator[tuple[JsonObject, Result]]:
    """The executions, each as ListExecutions shows it and its result. If the stack has only one pair, an execution
    whose input, plan and output do not name a pair belongs to that pair."""
    only_pair = next(iter(account.pairs)) if pair is not None and len(account.pairs) == 1 else None
    for listed in islice(account.executions(), MOST_EXECUTIONS):
        arn = listed["executionArn"]
        described = account.describe(arn)
        progress = Progress()
        # If the execution did not succeed, its history has the plan: the pair, and which server was live.
        for event in account.events(arn) if described["status"] != "SUCCEEDED" else ():
            progress.read(event)
        result = result_of(described, progress)
        if pair is None or (result.pair or only_pair) == pair:
            yield listed, result
