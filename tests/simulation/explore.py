"""Runs seed after seed in processes of their own, and shows how much they have covered. The processes are workers:
this one has the real time."""

import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from tests.simulation.corpus import Corpus

PROJECT = Path(__file__).parents[2]
LINE_SECONDS = 1.0
WITHOUT_TERMINAL_SECONDS = 10.0  # else a log has a line a second


class Worker:
    """A process that runs one seed, or something else that a line names, at a time."""

    def __init__(self, arguments: Sequence[str], module: str = "tests.simulation.worker") -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seed: object = None

    @property
    def output(self) -> IO[str]:
        assert self._process.stdout
        return self._process.stdout

    def run(self, seed: object) -> None:
        assert self._process.stdin
        self.seed = seed
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        line = self.output.readline()
        if not line:
            raise SystemExit(f"The process that ran seed {self.seed} has ended: {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Progress:
    """Counts what the seeds have done."""

    began: float
    seeds: int = 0
    calls: int = 0
    deviations: int = 0
    guarantees: int = 0
    cpu_seconds: float = 0.0
    total: dict[str, int] = field(default_factory=dict)
    known: set[tuple[str, str]] = field(default_factory=set)

    def add(self, answer: dict[str, Any]) -> bool:
        """Whether the seed has covered something new."""
        before = len(self.known)
        self.known.update((kind, name) for kind, name in answer["features"])
        self.seeds += 1
        self.calls += answer["calls"]
        self.deviations += answer["deviations"]
        self.cpu_seconds += answer["cpu_seconds"]
        return len(self.known) > before

    def line(self, failed: int) -> str:
        seconds = time.monotonic() - self.began
        counts = Counter(kind for kind, _ in self.known)
        covered = [f"{kind} {counts[kind]}/{number}" for kind, number in self.total.items()]
        covered += [f"{kind} {number}" for kind, number in sorted(counts.items()) if kind not in self.total]
        speed = f"{self.seeds / seconds:.1f} a second", f"{self.seeds / (self.cpu_seconds or 1):.1f} a second and core"
        run = f"{self.seeds:,} seeds", *speed, f"calls {self.calls:,}", f"deviations {self.deviations:,}"
        checked = f"guarantees {self.guarantees}", f"failed {failed}"
        return ", ".join((f"{seconds:.0f} s", *run, *covered, *checked))


def synthesize() -> None:
    """Once, before workers start that all need it."""
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'lambdas'}:{PROJECT}"}
    subprocess.run([sys.executable, "-m", "tests.simulation.synthesized"], check=True, cwd=PROJECT, env=environment)


@dataclass
class Exploration:
    """Runs the seeds, those of the corpus before, until there are no more, the time is over, a seed fails, or Ctrl-C.
    `arguments` are for the workers."""

    seeds: Iterator[int]
    corpus: Corpus | None
    arguments: Sequence[str] = ()
    failures: list[dict[str, Any]] = field(default_factory=list)

    def run(self, *, processes: int, seconds: float | None) -> list[dict[str, Any]]:
        """The answers of the seeds that failed."""
        synthesize()
        stored = self.corpus.stored() if self.corpus else []
        self._stored, self._seeds = len(stored), chain(stored, self.seeds)
        self._progress = Progress(time.monotonic())
        workers = [Worker(self.arguments) for _ in range(processes)]
        try:
            self._drive(workers, seconds)
        except KeyboardInterrupt:
            pass
        finally:
            for worker in workers:
                worker.end()
        _show(self._progress.line(len(self.failures)), last=True)
        return self.failures

    def _drive(self, workers: Sequence[Worker], seconds: float | None) -> None:
        until = self._progress.began + (math.inf if seconds is None else seconds)
        every = LINE_SECONDS if sys.stdout.isatty() else WITHOUT_TERMINAL_SECONDS
        next_line = self._progress.began + every
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            while selector.get_map() and not self.failures and time.monotonic() < until:
                for key, _ in selector.select(timeout=0.2):
                    self._take(key.data.answer())
                    seed = next(self._seeds, None)
                    if seed is None:
                        selector.unregister(key.fileobj)
                    else:
                        key.data.run(seed)
                if time.monotonic() >= next_line:
                    next_line += every
                    _show(self._progress.line(len(self.failures)))

    def _take(self, answer: dict[str, Any]) -> None:
        progress = self._progress
        if "total" in answer:
            progress.total, progress.guarantees = answer["total"], answer["guarantees"]
            return
        failed = bool(answer["failure"])
        if failed:
            self.failures.append(answer)
        if (progress.add(answer) or failed) and self.corpus:
            self.corpus.keep(answer["seed"], failed=failed)
            if failed or progress.seeds >= self._stored:
                self.corpus.store()


def _show(line: str, *, last: bool = False) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="\n" if last else "", flush=True)
    else:
        print(line, flush=True)
