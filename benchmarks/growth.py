"""Growth: 1, 10, 50 and 200 pairs cut over at once, against EC2's own limits.

    python -m benchmarks.growth

After a burst of 50, an account may make 5 AssociateAddress calls a second, so many cutovers at once are a queue. This
benchmark measures whether the queue is the only delay: how long the last cutover takes, compared with the time in which
the tokens of the busiest API come back, and whether each cutover ends as it would alone.

An execution is all Python, so there are as many processes as processors. Each process has its share of the pairs, and
its own EC2. All processes share one set of token buckets.
"""

import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from io import StringIO
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from operator import or_
from pathlib import Path
from typing import Any

from benchmarks.function_memory import memory_by_pairs
from benchmarks.report import Section
from benchmarks.synthesized import asset_of, print_alone, template_of
from local.token_buckets import LIMITS, TokenBuckets
from stacks.workflow.retries import THROTTLED_TRIES

# The seconds that a second of AWS takes with so many pairs: as few as possible, but enough that the processors wait for
# tokens and not the tokens for processors.
SCALES = {1: 1.0, 10: 1.0, 50: 0.4, 200: 0.4}
LIMIT = 1.2
DRY_RUN = " (dry run)"


class _Shared(BaseManager):
    """A process with the token buckets that all processes share."""


def _buckets(scale: float) -> TokenBuckets:
    return TokenBuckets(clock=lambda: time.monotonic() / scale)


_Shared.register("buckets", _buckets, exposed=["admits"])


@dataclass(frozen=True)
class Measurement:
    """A run, in AWS's seconds.

    `taken` and `rejected` are requests by API, `tries` the most tries of each state, `unassociated` the times that the
    staging addresses were on no server. `wrong` are the pairs whose addresses ended in the wrong place.
    """

    pairs: int
    wall: float
    cpu_share: float
    taken: Counter[str]
    rejected: Counter[str]
    outcomes: Counter[str]
    wrong: list[str]
    unassociated: list[float]
    tries: Counter[str]

    @property
    def cut_over(self) -> int:
        """The number of cutovers that ended CUT_OVER with their addresses in the right places."""
        return self.outcomes["CUT_OVER"] - len(self.wrong)


class Runs:
    """The processes. They serve all runs, because their imports take longer than most runs."""

    def __init__(self, template: dict[str, Any], shared: Any, pool: ProcessPoolExecutor, processes: int) -> None:
        self._template = template
        self._shared = shared
        self._pool = pool
        self._processes = processes

    def at_once(self, pairs: int, *, scale: float) -> Measurement:
        """Cut so many pairs over, with full token buckets at the beginning."""
        processes = self._processes
        shares = [pairs // processes + (number < pairs % processes) for number in range(processes)]
        buckets = self._shared.buckets(scale)
        parts = [part for part in self._pool.map(partial(_cut_over, self._template, scale, buckets), shares) if part]
        wall = max(part["ended"] for part in parts) - min(part["began"] for part in parts)
        taken, rejected, outcomes, tries = (
            [part[key] for part in parts] for key in ("taken", "rejected", "outcomes", "tries")
        )
        return Measurement(
            pairs=pairs,
            wall=wall,
            cpu_share=sum(part["cpu"] for part in parts) / (wall * scale * len(parts)),
            taken=sum(taken, Counter()),
            rejected=sum(rejected, Counter()),
            outcomes=sum(outcomes, Counter()),
            wrong=[name for part in parts for name in part["wrong"]],
            unassociated=sorted(seconds for part in parts for seconds in part["unassociated"]),
            tries=reduce(or_, tries),
        )


@contextmanager
def prepared(template: dict[str, Any]) -> Iterator[Runs]:
    """The processes for runs of this template's workflow."""
    spawn = get_context("spawn")
    processes = os.cpu_count() or 1
    with (
        _Shared(ctx=spawn) as shared,
        ProcessPoolExecutor(processes, spawn, _prepare, (spawn.Barrier(processes),)) as pool,
    ):
        yield Runs(template, shared, pool, processes)


# In a process of the pool.
_BARRIER: list[Any] = []


def _prepare(barrier: Any) -> None:
    """Runs before the import of the handlers, which makes their clients."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106  # a word, not a secret
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        POWERTOOLS_SERVICE_NAME="eip-cutover",
        POWERTOOLS_METRICS_NAMESPACE="EipCutover",
    )
    logging.disable(logging.CRITICAL)
    sys.stdout = StringIO()  # the metrics of the functions
    _BARRIER.append(barrier)


def _cut_over(template: dict[str, Any], scale: float, buckets: Any, count: int) -> dict[str, Any]:
    from benchmarks.pairs_at_once import cut_over  # noqa: PLC0415  # slow, and it imports the handlers

    return cut_over(template, count, scale=scale, buckets=buckets, begin=_BARRIER[0].wait)


def needed(alone: Measurement, pairs: int) -> Counter[str]:
    """The calls, by API, of so many cutovers without throttling; a dry run takes a token, too."""
    calls: Counter[str] = Counter()
    for action, count in alone.taken.items():
        calls[action.removesuffix(DRY_RUN)] += count * pairs
    return calls


def queue(calls: Counter[str]) -> tuple[float, str]:
    """The seconds in which EC2 admits so many calls, and the API that takes longest. 0 if the bursts suffice."""
    seconds = {
        action: (calls[action] - limit.burst) / limit.per_second
        for action, limit in LIMITS.items()
        if calls[action] > limit.burst
    }
    action = max(seconds, key=seconds.__getitem__, default="none")
    return seconds.get(action, 0.0), action


def measured(assembly: Path) -> Section:
    """Wall clock, calls and memory by the number of pairs, for the workflow and the functions of a cloud assembly."""
    with tempfile.TemporaryDirectory() as name:
        memory = memory_by_pairs(asset_of(assembly), Path(name))
    with prepared(template_of(assembly)) as runs:
        measurements = [runs.at_once(pairs, scale=scale) for pairs, scale in SCALES.items()]
    return Section("Growth", text(measurements, memory))


def text(measurements: Sequence[Measurement], memory: Mapping[int, float]) -> str:
    """The text of the section. The first measurement is of one pair; `memory` is a function's megabytes by pairs."""
    alone = measurements[0]
    rows, worst = [], 0.0
    for each in measurements:
        seconds, busiest = queue(needed(alone, each.pairs))
        least = seconds or (alone.wall if each.rejected else each.wall)
        why = busiest if seconds else "the bursts suffice" + ("" if each.rejected else ": nothing was rejected")
        worst = max(worst, each.wall / least)
        rows.append(
            f"| {each.pairs} | {each.wall:.1f} | {least:.1f} | {each.wall / least:.2f} | {why} "
            f"| {each.cut_over} of {each.pairs} | {each.unassociated[len(each.unassociated) // 2]:.1f} "
            f"| {each.unassociated[-1]:.1f} | {100 * each.cpu_share:.0f} % |"
        )
    actions = sorted({action for each in measurements for action in [*each.taken, *each.rejected]})
    calls = [
        f"| `{action}` | "
        + " | ".join(
            f"{each.taken[action] / each.pairs:.1f}"
            + (f" + {each.rejected[action] / each.pairs:.1f}" if each.rejected[action] else "")
            for each in measurements
        )
        + " |"
        for action in actions
    ]
    failed = sum(each.pairs - each.cut_over for each in measurements)
    return "\n".join(
        [
            "Pairs cut over at once, against EC2's token buckets: AssociateAddress and DisassociateAddress have a "
            "burst of 50 and 5 a second, other calls 50 and 10 or 100 and 20 (Amazon EC2 Developer Guide, "
            '"Request throttling for the Amazon EC2 API"). Seconds are AWS\'s. *Least* is what the busiest API takes '
            "for the calls of so many undisturbed cutovers: (calls - burst) / rate; where nothing is rejected, it is "
            "the wall clock itself. In process, where a second of AWS takes "
            + ", ".join(f"{scale:g} s with {pairs}" for pairs, scale in SCALES.items())
            + ".",
            "",
            "| pairs | wall clock, s | least, s | times least | bound by | cut over | staging on no server, s: median "
            "| most | processors' share |",
            "| ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: |",
            *rows,
            "",
            f"The limit is {LIMIT} times and no failures; the most is **{worst:.2f} times**, and **{failed} failed**.",
            "",
            "Calls to EC2 per pair, and those that were rejected, which take no token:",
            "",
            "| API | " + " | ".join(f"{each.pairs}" for each in measurements) + " |",
            "| --- |" + " ---: |" * len(measurements),
            *calls,
            "",
            "The most tries of a state: "
            + ", ".join(f"{max(each.tries.values())} with {each.pairs}" for each in measurements)
            + f", of {1 + THROTTLED_TRIES}.",
            "",
            "Peak memory of the function that reads the pairs: "
            + ", ".join(f"{megabytes:.1f} MB with {pairs}" for pairs, megabytes in memory.items())
            + ".",
        ]
    )


if __name__ == "__main__":
    print_alone(measured)
