"""The simulation finds what is broken on purpose, each defect within a minute."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTATIONS
from tests.simulation.mutations import LAMBDAS
from tests.simulation.synthesized import kept_synthesis

PROJECT = Path(__file__).parents[2]
# Two cores run about so many in a minute. A number of seeds does not depend on what else runs on the machine.
SEEDS_OF_A_MINUTE = 2000
# Of each kind some, which do not take long.
RUN = (
    "displacement-not-undone", "staging-displaces-production", "staging-moved-without-looking",
    "production-in-two-calls", "stranger-loses-production", "redriven-goes-on", "last-look-left-out",
    "failure-rejects-nothing", "release-ignored", "command-unrecorded", "lock-taken-from-a-holder",
    "lock-released-before-the-rollback", "takeover-does-not-wait", "staging-not-restored", "production-not-restored",
    "restored-without-description", "notice-missing", "repair-keeps-the-lock", "change-not-waited-for",
    "staging-displaced", "refused-rehearsal-passes", "undo-forgotten", "bake-of-milliseconds",
)  # fmt: skip


def explored(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", "--processes", "2", *arguments]
    return subprocess.run(command, check=False, cwd=PROJECT, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize("name", RUN)
def test_what_is_broken_on_purpose_is_found(name: str) -> None:
    run = explored("--mutation", name, "--seeds", f"1-{SEEDS_OF_A_MINUTE}")
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"--mutation {name}" in run.stdout
    assert "mistake-of-the-simulation" not in run.stdout


def test_the_unchanged_product_survives_as_many_seeds() -> None:
    run = explored("--seeds", "1-400")
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_defect_is_still_one_of_this_product() -> None:
    kept: dict[str, str] = json.loads(kept_synthesis().read_text())["definitions"]
    for mutation in MUTATIONS:
        if mutation.texts:
            text = (LAMBDAS / f"{mutation.where.replace('.', '/')}.py").read_text()
            assert compile(mutation.source(text), mutation.where, "exec"), mutation.name
        else:
            assert mutation.changed(mutation.where, json.loads(kept[mutation.where])), mutation.name


def test_each_defect_has_a_name_of_its_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len({*names}) > 60
    assert {*RUN} <= {*names}
