"""Runs all orders of two executions in processes that share them, and counts them."""

import json
import selectors
import subprocess
import sys
import time
from collections import Counter

from tests.simulation.explore import PROJECT


def explore_exhaustively(*, preemptions: int, faults: int, processes: int) -> list[str]:
    """The stories of those that failed."""
    began, counts, failed = time.monotonic(), Counter[str](), list[str]()
    command = [sys.executable, "-m", "tests.simulation.exhaustive_worker", str(preemptions), str(faults)]
    workers = [
        subprocess.Popen([*command, str(number), str(processes)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    try:
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                assert worker.stdout
                selector.register(worker.stdout, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    line = key.fileobj.readline()  # type: ignore[union-attr]  # a file that was opened as text
                    if not line:
                        selector.unregister(key.fileobj)
                        continue
                    part = json.loads(line)
                    counts[part["case"]] += part["orders"]
                    failed += part["failed"]
                    shown = ", ".join(f"{case}: {number:,}" for case, number in counts.items())
                    print(f"{time.monotonic() - began:.0f} s, orders of {shown}, failed {len(failed)}", flush=True)
        if any(worker.wait() for worker in workers):
            failed.append("A process has ended with an error.")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    print(f"{sum(counts.values()):,} orders with up to {preemptions} preemptions and {faults} faults: all there are")
    return failed
