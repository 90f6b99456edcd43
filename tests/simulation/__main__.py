"""Explores what the workflows do, seed by seed, until a guarantee breaks or Ctrl-C. With --seed, tells its story."""

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.simulation.corpus import Corpus
from tests.simulation.exhaustive import Search
from tests.simulation.explore import PROJECT, Exploration

CORPUS = PROJECT / ".local" / "simulation" / "corpus"
LARGEST = 1_000_000_000  # where an exploration begins, so that most of its seeds were never run before


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="runs this seed, and tells its story")
    parser.add_argument("--seeds", type=_seeds, metavar="A-B", help="runs these seeds; default: new ones without end")
    parser.add_argument("--seconds", type=float, help="ends after so many seconds")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one for each core")
    parser.add_argument("--mutation", metavar="NAME", help="breaks the product on purpose; `mutants.py` has the names")
    parser.add_argument("--only", nargs="*", metavar="KEY", help="with --seed: nothing else deviates")
    forced: dict[str, Any] = {"nargs": 2, "action": "append", "default": [], "metavar": ("KEY", "KIND")}
    parser.add_argument("--force", help="with --seed: this deviates, in this way", **forced)
    parser.add_argument("--shrink", action="store_true", help="with --seed: leaves out what its failure does not need")
    parser.add_argument("--verbose", action="store_true", help="tells of calls that are answered as usual, too")
    parser.add_argument("--exhaustive", action="store_true", help="every order of two executions, within a bound")
    parser.add_argument("--preemptions", type=int, default=2, help="of each order; default: up to 2")
    parser.add_argument("--faults", type=int, default=1, help="of each order; default: up to 1")
    parser.add_argument("--order", metavar="PAIRING", help="runs an order of two executions, and tells its story")
    parser.add_argument("--decision", help="with --order: a call gives way, or has a fate", **forced)
    options = parser.parse_args()
    if options.exhaustive:
        mutations = [options.mutation] if options.mutation else []
        return 0 if Search(options.preemptions, options.faults, mutations).run(options.processes) else 1
    if options.seed is not None or options.order:
        return tell(options)
    seeds = iter(options.seeds) if options.seeds else _new_seeds()
    corpus = None if options.seeds or options.mutation else Corpus(CORPUS)
    exploration = Exploration(seeds, corpus, [options.mutation] if options.mutation else [])
    failures = exploration.run(processes=options.processes, seconds=options.seconds)
    for failure in failures:
        print(f"seed {failure['seed']}: {failure['failure']}", flush=True)
        shrunk = ["--shrink", *(["--mutation", options.mutation] if options.mutation else [])]
        command = [sys.executable, "-m", "tests.simulation", "--seed", str(failure["seed"]), *shrunk]
        subprocess.run(command, cwd=PROJECT, check=False)
    return 1 if failures else 0


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _new_seeds() -> Iterator[int]:
    return count(random.SystemRandom().randrange(LARGEST))


def tell(options: argparse.Namespace) -> int:
    from tests.simulation import process  # noqa: PLC0415  # it changes this process for good
    from tests.simulation.mutants import MUTATIONS  # noqa: PLC0415

    process.install()
    if options.mutation:
        next(mutation for mutation in MUTATIONS if mutation.name == options.mutation).apply()
    from tests.simulation.one_run import run  # noqa: PLC0415
    from tests.simulation.schedule import Schedule  # noqa: PLC0415
    from tests.simulation.shrink import command, shrink  # noqa: PLC0415
    from tests.simulation.story import Story  # noqa: PLC0415

    if options.order:
        from tests.simulation.orders import Decision, run_order  # noqa: PLC0415

        story = Story(verbose=options.verbose)
        finished, _ = run_order(options.order, [Decision(*each) for each in options.decision], story.watch)
        print(story.text(finished))
        print(f"{options.order}: {finished.summary}")
        print(finished.failure or "No guarantee is broken.")
        return 1 if finished.failure else 0
    only = None if options.only is None else frozenset(options.only)
    forced, story = dict(options.force), Story(verbose=options.verbose)
    finished = run(Schedule(options.seed, only=only, forced=forced), watch=story.watch)
    if options.shrink and finished.failure:
        only, story = frozenset(shrink(finished).deviations), Story(verbose=options.verbose)
        finished = run(Schedule(options.seed, only=only), watch=story.watch)
    print(story.text(finished))
    print(f"seed {finished.seed}: {finished.summary}")
    print(f"fingerprint {finished.fingerprint}")
    if finished.failure:
        print(finished.failure)
        print(f"Replay it: {command(finished, options.mutation)}")
    return 1 if finished.failure else 0


if __name__ == "__main__":
    sys.exit(main())
