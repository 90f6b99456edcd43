"""A process that searches orders: reads a line with a pairing, a bound and the number of a first decision (-1: none),
and answers by a line of JSON. The first line is for each pairing how many first decisions there are."""

import gc
import json
import sys
from collections import Counter
from typing import Any

from tests.simulation import process
from tests.simulation.mutants import MUTATIONS

process.install()
for name in sys.argv[3:]:
    next(mutation for mutation in MUTATIONS if mutation.name == name).apply()

from tests.simulation.orders import PAIRINGS, Bound, counted, first_decisions, orders  # noqa: E402


def main() -> None:
    gc.set_threshold(50_000, 20, 20)  # as in `worker`
    bound = Bound(int(sys.argv[1]), int(sys.argv[2]))
    firsts = {pairing: first_decisions(pairing, bound) for pairing in PAIRINGS}
    _answer({"units": {pairing: len(each) for pairing, each in firsts.items()}})
    for line in sys.stdin:
        pairing, number = line.split()
        counts, failures = Counter[str](), []
        if number == "-1":
            searched = orders(pairing, Bound(0, 0))
        else:
            searched = orders(pairing, bound, *firsts[pairing][int(number)])
        for order, finished in searched:
            counts[counted(order)] += 1
            if finished.failure:
                failures.append({"order": order, "failure": str(finished.failure)})
        _answer({"unit": line.strip(), "counts": counts, "failures": failures})


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
