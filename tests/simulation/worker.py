"""A process that runs seeds for an exploration: reads a seed a line from standard input, and answers each by a line of
JSON. The first line says how much there is to cover. Its arguments are the names of mutations."""

import gc
import json
import sys
import time
from typing import Any

from tests.simulation import process
from tests.simulation.mutants import MUTATIONS

process.install()
for name in sys.argv[1:]:
    next(mutation for mutation in MUTATIONS if mutation.name == name).apply()

from guarantees.checker import GUARANTEES  # noqa: E402
from tests.simulation.coverage import Feature, all_there_are  # noqa: E402  # all that runs in the simulation
from tests.simulation.one_run import run  # noqa: E402
from tests.simulation.schedule import Schedule  # noqa: E402

GARBAGE = 50_000  # new objects before a collection: with the usual 700, collections take a fifth of the time


def main() -> None:
    _answer({"total": all_there_are(), "guarantees": len(GUARANTEES)})
    known: set[Feature] = set()
    gc.set_threshold(GARBAGE, 20, 20)
    for line in sys.stdin:
        began = time.process_time()
        finished = run(Schedule(int(line)))
        new = [feature for feature in finished.features if feature not in known]
        known.update(new)
        _answer({
            "seed": finished.seed, "features": new, "deviations": len(finished.deviations), "calls": finished.calls,
            "failure": finished.failure and str(finished.failure), "fingerprint": finished.fingerprint,
            "cpu_seconds": time.process_time() - began,
        })  # fmt: skip


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
