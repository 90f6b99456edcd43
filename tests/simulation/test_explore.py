"""Exploration: what it prints, covers and keeps, and that a seed's run follows from the seed alone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.corpus import Corpus

PROJECT = Path(__file__).parents[2]


def fingerprints(seeds: Iterable[int], *, hash_seed: int) -> dict[int, str]:
    """Of seeds that run one after the other in one process."""
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "tests.simulation.worker"]
    asked = "".join(f"{seed}\n" for seed in seeds)
    run = subprocess.run(
        command, input=asked, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    _total, *answers = map(json.loads, run.stdout.splitlines())
    return {answer["seed"]: answer["fingerprint"] for answer in answers}


def test_a_seed_does_the_same_whatever_ran_before_it_and_whatever_the_order_of_hashes() -> None:
    upwards, downwards = fingerprints(range(30), hash_seed=1), fingerprints(reversed(range(30)), hash_seed=2)

    assert upwards == downwards
    assert len(set(upwards.values())) == len(upwards), "a fingerprint tells seeds apart"


def test_an_exploration_runs_the_seeds_it_is_given_and_shows_what_they_covered() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "1-20", "--processes", "2"]
    run = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True, timeout=300)

    last = run.stdout.splitlines()[-1]
    assert "20 seeds" in last
    assert "failed 0" in last
    assert "states 0/" not in last
    assert "edges 0/" not in last


def test_the_next_exploration_begins_with_seeds_that_failed_and_seeds_that_covered_something(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path)
    for seed, failed in ((7, False), (11, True), (13, False)):
        corpus.keep(seed, failed=failed)
    corpus.store()

    assert Corpus(tmp_path).stored() == [11, 7, 13]
