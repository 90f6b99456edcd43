"""A failure is shown by the fewest deviations that cause it."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.one_run import Failure, Finished
from tests.simulation.shrink import shrink

PROJECT = Path(__file__).parents[2]
ALL = frozenset("abcdefghijklmnop")
SHORT = 2.0


def finished(keys: Iterable[str], guarantee: str | None) -> Finished:
    failure = Failure(guarantee, "it broke") if guarantee else None
    return Finished(7, [], "", dict.fromkeys(sorted(keys), "lost"), 0, [], failure)


class Runs:
    """The first guarantee breaks if all of its causes are among the deviations, and so does another one."""

    def __init__(self, causes: str, others: str = "") -> None:
        self.causes, self.others, self.number = frozenset(causes), frozenset(others), 0

    def __call__(self, keys: frozenset[str]) -> Finished:
        self.number += 1
        broken = "first" if self.causes <= keys else "other" if self.others <= keys else None
        return finished(keys, broken)


@pytest.mark.parametrize("causes", ["", "a", "p", "ap", "bgo", "abcdefghijklmnop"])
def test_only_the_causes_are_left(causes: str) -> None:
    runs = Runs(causes)

    smallest = shrink(finished(ALL, "first"), runs, seconds=SHORT)

    assert "".join(smallest.deviations) == causes
    assert runs.number < 70


def test_another_broken_guarantee_is_another_failure() -> None:
    smallest = shrink(finished(ALL, "first"), Runs("bg", others=""), seconds=SHORT)

    assert "".join(smallest.deviations) == "bg"
    assert smallest.failure
    assert smallest.failure.guarantee == "first"


def test_what_did_not_happen_any_more_is_left_out_at_once() -> None:
    """As a retry of a call that no longer fails."""

    def run(keys: frozenset[str]) -> Finished:
        return finished(keys & {"a", "b"} if "a" in keys else (), "first" if "a" in keys else None)

    assert [*shrink(finished(ALL, "first"), run, seconds=SHORT).deviations] == ["a"]


def test_the_smallest_so_far_is_shown_when_the_time_is_over() -> None:
    begins = time.monotonic()
    runs = Runs("ap")

    def run(keys: frozenset[str]) -> Finished:
        time.sleep(0.05)
        return runs(keys)

    shrink(finished(ALL, "first"), run, seconds=0.2)

    assert time.monotonic() - begins < 1
    assert 0 < runs.number < 10


@cache
def explored_with(mutation: str) -> str:
    """What an exploration prints that finds a defect."""
    command = [sys.executable, "-m", "tests.simulation", "--mutation", mutation, "--seeds", "0-500"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300).stdout


def test_an_exploration_prints_the_command_that_repeats_the_shrunk_failure() -> None:
    *_, failure, replay = explored_with("production-unhealthy-ignored").splitlines()

    assert replay.startswith("Replay it: python -m tests.simulation --seed ")
    arguments = shlex.split(replay)[3:]
    again = subprocess.run([sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert failure in again.stdout
    assert replay in again.stdout, "nothing more can be left out"
