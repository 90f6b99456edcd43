"""A process that runs its share of all orders of two executions. Its arguments are the bound (preemptions, faults), and
its share (number, of how many). Prints a line of JSON for each case and part: how many orders there were, and which
failed, with their stories."""

import gc
import json
import sys

from tests.simulation import process

process.install()

from tests.simulation.exhaustive import CASES, Bound, parts  # noqa: E402  # all that runs in the simulation

GARBAGE = 50_000  # as in `worker`


def main(preemptions: int, faults: int, number: int, processes: int) -> None:
    gc.set_threshold(GARBAGE, 20, 20)
    for case in CASES:
        for index, part in enumerate(parts(case, Bound(preemptions, faults))):
            if index % processes != number:
                continue
            done, failed = 0, []
            for order in part():
                done += 1
                if order.finished.failure:
                    failed.append(f"{order.finished.story}\n{order}: {order.finished.failure}")
            print(json.dumps({"case": case.name, "orders": done, "failed": failed}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
