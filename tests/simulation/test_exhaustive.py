"""Every order of two executions with one preemption. `make explore` has no time for that: it is a command of its own."""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def exhausted(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", "--exhaustive", "--processes", "2", *arguments]
    return subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, timeout=600)


def test_no_order_of_two_executions_with_one_preemption_breaks_a_guarantee() -> None:
    run = exhausted("--preemptions", "1", "--faults", "0")

    assert run.returncode == 0, run.stdout
    total = re.search(r"(\d+) orders with up to 1 preemptions and 0 faults", run.stdout)
    assert total and int(total[1]) > 300
