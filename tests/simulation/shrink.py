"""Leaves out of a run that failed what its failure does not need: the smallest set of deviations that still breaks the
same guarantee. Without one of them, it holds."""

import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from tests.simulation.one_run import Finished, run
from tests.simulation.schedule import Schedule

SECONDS = 20.0
Run = Callable[[frozenset[str]], Finished]


def real_time() -> float:
    """Also where `time.monotonic` is the virtual one."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def shrink(failed: Finished, run_only: Run | None = None, *, seconds: float = SECONDS) -> Finished:
    """The smallest run that was found within so many seconds. `run_only` runs the seed with these deviations only."""
    return _Shrinking(failed, run_only or (lambda keys: run(Schedule(failed.seed, only=keys))), seconds).result()


def command(finished: Finished, mutation: str | None = None) -> str:
    """What runs it again."""
    only = " ".join(map(shlex.quote, finished.deviations))
    broken = f" --mutation {mutation}" if mutation else ""
    return f"python -m tests.simulation --seed {finished.seed}{broken} --only {only}".rstrip()


class _Shrinking:
    def __init__(self, failed: Finished, run_only: Run, seconds: float) -> None:
        assert failed.failure
        self._guarantee, self._run_only, self._until = failed.failure.guarantee, run_only, real_time() + seconds
        self._smallest = failed
        self._tried: set[frozenset[str]] = set()

    def result(self) -> Finished:
        """First without halves, then quarters, and so on: what fails is mostly caused by few deviations. Then without
        each of them, until none can be left out."""
        parts = 2
        while (left := list(self._smallest.deviations)) and real_time() < self._until:
            parts = min(parts, len(left))
            if self._leaves_out(_divided(left, parts)):
                parts = max(parts - 1, 2)
            elif parts == len(left):
                break
            else:
                parts *= 2
        return self._smallest

    def _leaves_out(self, parts: Iterable[Sequence[str]]) -> bool:
        """Whether the guarantee breaks without one of these parts, too."""
        return any(self._fails_with(frozenset(self._smallest.deviations.keys() - {*part})) for part in parts)

    def _fails_with(self, keys: frozenset[str]) -> bool:
        if keys in self._tried or real_time() > self._until:
            return False
        self._tried.add(keys)
        finished = self._run_only(keys)
        fails = finished.failure is not None and finished.failure.guarantee == self._guarantee
        if fails:
            self._smallest = finished  # without the deviations, too, for which there was no occasion any more
        return fails


def _divided(keys: Sequence[str], parts: int) -> list[Sequence[str]]:
    bounds = [len(keys) * number // parts for number in range(parts + 1)]
    return [keys[first:end] for first, end in pairwise(bounds)]
