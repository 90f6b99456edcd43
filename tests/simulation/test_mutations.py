"""The simulation finds what is broken on purpose, each defect within a minute."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTATIONS

PROJECT = Path(__file__).parents[2]
LONGEST_SECONDS = 60
# Of each kind some, which do not take long.
RUN = (
    "displacement-not-undone", "staging-displaces-production", "staging-moved-without-looking",
    "production-in-two-calls", "stranger-loses-production", "redriven-goes-on", "last-look-left-out",
    "failure-rejects-nothing", "release-ignored", "command-sent-again", "lock-taken-from-a-holder",
    "lock-released-before-the-rollback", "takeover-does-not-wait", "staging-not-restored", "production-not-restored",
    "restored-without-description", "notice-missing", "repair-keeps-the-lock",
)  # fmt: skip


def explored(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", "--processes", "2", *arguments]
    longest = LONGEST_SECONDS * 5
    return subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=longest)


@pytest.mark.parametrize("name", RUN)
def test_what_is_broken_on_purpose_is_found(name: str) -> None:
    run = explored("--mutation", name, "--seconds", str(LONGEST_SECONDS), "--seeds", "1-100000")
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"--mutation {name}" in run.stdout
    assert "mistake-of-the-simulation" not in run.stdout


def test_the_unchanged_product_survives_as_many_seeds() -> None:
    run = explored("--seeds", "1-400")
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_defect_has_a_name_of_its_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len({*names}) > 60
    assert {*RUN} <= {*names}
