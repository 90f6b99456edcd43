"""Growth: 1, 10, 50 and 200 pairs cut over at once, against EC2's own limits.

    python -m benchmarks.growth

An account may make 5 AssociateAddress calls a second, once a burst of 50 is used up, so many cutovers at once are a
queue. Measured is whether it is only that: how long the last cutover takes, over the time in which the tokens of the
busiest API come back; and whether each one ends as it would alone.

An execution is all Python, so there are as many processes as processors, each with its share of the pairs and an EC2
of its own, and one set of token buckets for all.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
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

from benchmarks.report import Section
from local.token_buckets import LIMITS, TokenBuckets

PROJECT = Path(__file__).parent.parent
# So many pairs, and how long a second of AWS takes: as short as possible, and long enough that the processors wait for
# tokens and not the tokens for processors.
RUNS = {1: 1.0, 10: 1.0, 50: 0.5, 200: 0.4}
LIMIT = 1.2


class _Shared(BaseManager):
    """A process with the token buckets that all others share."""


def _buckets(scale: float) -> TokenBuckets:
    return TokenBuckets(clock=lambda: time.monotonic() / scale)


_Shared.register("buckets", _buckets, exposed=["admits"])


@dataclass(frozen=True)
class Found:
    """What came of a run; times are AWS's seconds. `taken` and `rejected` are requests by API, `tries` the most of a
    state."""

    pairs: int
    wall: float
    cpu_share: float
    taken: Counter[str]
    rejected: Counter[str]
    outcomes: Counter[str]
    wrong: list[str]
    dark: list[float]
    tries: Counter[str]

    @property
    def sound(self) -> bool:
        """Whether every execution ended CUT_OVER, with its addresses where they belong."""
        return not self.wrong and self.outcomes == {"CUT_OVER": self.pairs}


class Runs:
    """The processes, which stay for all runs: what they import takes longer than most of them."""

    def __init__(self, template: dict[str, Any], shared: Any, pool: ProcessPoolExecutor, processes: int) -> None:
        self._template = template
        self._shared = shared
        self._pool = pool
        self._processes = processes

    def at_once(self, pairs: int, *, scale: float, throttled: bool) -> Found:
        processes = self._processes
        shares = [pairs // processes + (number < pairs % processes) for number in range(processes)]
        buckets = self._shared.buckets(scale) if throttled else None
        every = list(self._pool.map(partial(_cut_over, self._template, scale, buckets), shares))
        found = [each for each in every if each]
        wall = max(each["ended"] for each in found) - min(each["began"] for each in found)
        taken, rejected, outcomes, tries = (
            [each[key] for each in found] for key in ("taken", "rejected", "outcomes", "tries")
        )
        return Found(
            pairs=pairs,
            wall=wall,
            cpu_share=sum(each["cpu"] for each in found) / (wall * scale * len(found)),
            taken=sum(taken, Counter()),
            rejected=sum(rejected, Counter()),
            outcomes=sum(outcomes, Counter()),
            wrong=[name for each in found for name in each["wrong"]],
            dark=sorted(seconds for each in found for seconds in each["dark"]),
            tries=reduce(or_, tries),
        )


@contextmanager
def prepared(template: dict[str, Any]) -> Iterator[Runs]:
    """Processes that can run this template's workflow."""
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
    """Before a handler is imported: its client is made then."""
    sys.path.insert(0, str(PROJECT / "lambdas"))
    os.environ.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106  # a word, not a secret
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        POWERTOOLS_SERVICE_NAME="eip-cutover",
    )
    logging.disable(logging.CRITICAL)
    sys.stdout = StringIO()  # the metrics of the functions
    _BARRIER.append(barrier)


def _cut_over(template: dict[str, Any], scale: float, buckets: Any, count: int) -> dict[str, Any]:
    from benchmarks.pairs_at_once import cut_over  # noqa: PLC0415  # takes long, and handlers, which only they can

    return cut_over(template, count, scale=scale, buckets=buckets, begin=_BARRIER[0].wait)


def synthesized(folder: Path) -> dict[str, Any]:
    """The template of the shipped configuration."""
    # Only here: each process of the pool imports this module, and would start a JavaScript engine.
    import aws_cdk as cdk  # noqa: PLC0415

    from stacks.configuration import configured_pairs  # noqa: PLC0415
    from stacks.cutover_stack import CutoverStack  # noqa: PLC0415

    context = json.loads((PROJECT / "cdk.json").read_text())["context"]
    app = cdk.App(context=context, outdir=str(folder))
    CutoverStack(app, "EipCutover", pairs=configured_pairs(context["pairs"]))
    app.synth()
    template: dict[str, Any] = json.loads((folder / "EipCutover.template.json").read_text())
    return template


def allowed(needed: Counter[str], alone: float) -> tuple[float, str]:
    """The seconds in which EC2 lets so many calls pass, and the API that takes longest; where the burst suffices, what
    it takes without limits, `alone`."""
    seconds = {
        action: (calls - limit.burst) / limit.per_second
        for action, limit in LIMITS.items()
        if (calls := needed[action] + needed[f"{action} (dry run)"]) > limit.burst
    }
    longest = max(seconds, key=seconds.__getitem__, default="")
    return max((seconds[longest], longest), (alone, "none")) if longest else (alone, "none")


def measured() -> Section:
    with tempfile.TemporaryDirectory() as folder, prepared(synthesized(Path(folder))) as runs:
        alone = {pairs: runs.at_once(pairs, scale=RUNS[pairs], throttled=False) for pairs in (1, 10)}
        found = [runs.at_once(pairs, scale=scale, throttled=True) for pairs, scale in RUNS.items()]
    return Section("Growth", _text(alone, found))


def _text(alone: Mapping[int, Found], found: list[Found]) -> str:
    return "\n".join(map(str, [*alone.values(), *found]))


def main() -> None:
    section = measured()
    print(f"## {section.title}\n\n{section.text}")


if __name__ == "__main__":
    main()
