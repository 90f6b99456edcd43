"""Searches every order of two executions within a bound, in processes of their own (`orders.py` says which), and counts
them. What has been searched is kept, for these sources, so that a search can be interrupted."""

import json
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from tests.simulation.explore import PROJECT, Worker

KEPT = PROJECT / ".local" / "simulation" / "exhaustive"
SOURCES = ("lambdas", "stacks", "guarantees", "tests/simulation", "tests/guarantees_seen_whole.py")
LINE_SECONDS = 10.0
MODULE = "tests.simulation.exhaustive_worker"


class Search:
    """With so many preemptions and faults. `mutations` are names."""

    def __init__(self, preemptions: int, faults: int, mutations: Sequence[str] = ()) -> None:
        self._mutations = mutations
        self._arguments = [str(preemptions), str(faults), *mutations]
        self._file = KEPT / f"{'-'.join(self._arguments)}-{_digest()}.jsonl"
        self.counts: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self._done: set[str] = set()
        self._units = 0
        self._left: Iterator[str] | None = None

    def run(self, processes: int) -> bool:
        """Whether no guarantee is broken in any order. Prints its progress, and the counts at last."""
        KEPT.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            for line in self._file.read_text().splitlines():
                self._take(json.loads(line))
        self._began, workers = time.monotonic(), [Worker(self._arguments, MODULE) for _ in range(processes)]
        try:
            self._drive(workers)
        finally:
            for worker in workers:
                worker.end()
        print(self.line())
        return not self.failures

    def line(self) -> str:
        counts = ", ".join(f"{kind}: {number:,}" for kind, number in sorted(self.counts.items()))
        seconds = time.monotonic() - self._began
        done = f"{seconds:.0f} s, {len(self._done):,} of {self._units:,} first decisions"
        return f"{done}, {self.counts.total():,} schedules ({counts}), failed {len(self.failures)}"

    def _drive(self, workers: Sequence[Worker]) -> None:
        next_line = self._began + LINE_SECONDS
        with DefaultSelector() as selector, self._file.open("a") as kept:
            for worker in workers:
                selector.register(worker.output, EVENT_READ, worker)
            while selector.get_map():
                for key, _ in selector.select(timeout=1):
                    answer = key.data.answer()
                    if "unit" in answer:
                        self._take(answer)
                        print(json.dumps(answer), file=kept, flush=True)
                        for failure in answer["failures"]:
                            again = command(answer["unit"], failure["order"], self._mutations)
                            print(f"{failure['failure']}\nReplay it: {again}", flush=True)
                    elif self._left is None:
                        self._left = self._all(answer["units"])
                    unit = next(self._left or iter(()), None)
                    if unit is None:
                        selector.unregister(key.fileobj)
                    else:
                        key.data.run(unit)
                if time.monotonic() >= next_line:
                    next_line += LINE_SECONDS
                    print(self.line(), flush=True)

    def _all(self, units: Mapping[str, int]) -> Iterator[str]:
        each = [[f"{pairing} {number}" for number in range(-1, length)] for pairing, length in units.items()]
        every = list(chain.from_iterable(each))
        self._units = len(every)
        return (unit for unit in every if unit not in self._done)

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._done.add(answer["unit"])
        self.counts.update(answer["counts"])
        self.failures += answer["failures"]


def command(unit: str, order: Sequence[Sequence[str]], mutations: Sequence[str] = ()) -> str:
    """What runs an order again."""
    broken = [f"--mutation {each}" for each in mutations]
    decisions = [f"--decision {shlex.join(each)}" for each in order]
    return " ".join(["python -m tests.simulation --order", unit.partition(" ")[0], *broken, *decisions])


def _digest() -> str:
    digest = sha256()
    for each in SOURCES:
        path = PROJECT / each
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(_named(file) + file.read_bytes())
    return digest.hexdigest()[:16]


def _named(file: Path) -> bytes:
    return f"\0{file.relative_to(PROJECT).as_posix()}\0".encode()
