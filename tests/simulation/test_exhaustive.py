"""Every order of two executions, within the bound that CI has time for; and that an order tells of its defect."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.simulation.exhaustive import command

PROJECT = Path(__file__).parents[2]
KEPT = re.compile(r"(\d+) of (\d+) first decisions, ([\d,]+) schedules")


def simulated(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip


def test_no_guarantee_breaks_in_any_order_with_up_to_two_preemptions() -> None:
    searched = simulated("--exhaustive", "--faults", "0", "--processes", "2")

    assert searched.returncode == 0, searched.stdout + searched.stderr
    counted = KEPT.search(searched.stdout.splitlines()[-1])
    assert counted
    assert counted[1] == counted[2], "it is complete"
    assert int(counted[3].replace(",", "")) > 600


def test_an_order_that_breaks_a_guarantee_is_printed_with_the_command_that_repeats_it() -> None:
    mutation = ("--mutation", "lock-taken-from-a-holder")
    searched = simulated("--exhaustive", "--faults", "0", "--preemptions", "1", "--processes", "2", *mutation)

    assert searched.returncode == 1
    replay = next(line for line in searched.stdout.splitlines() if line.startswith("Replay it: "))
    again = simulated(*shlex.split(replay)[5:])
    assert again.returncode == 1
    assert "stands still while" in again.stdout


def test_the_command_quotes_what_a_shell_would_divide() -> None:
    repeated = shlex.split(command("cutover-rollback 4", [["cutover-1/AcquireLock.1/dynamodb UpdateItem.1", "stale"]]))

    assert repeated[4:] == ["cutover-rollback", "--decision", "cutover-1/AcquireLock.1/dynamodb UpdateItem.1", "stale"]
