"""Before it moves anything that may cost something, the suite says so, and leaves a person time to stop."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

from tests.acceptance.move_charge import WARNING_SECONDS, charge, number_of_moves, warn
from tests.acceptance.progress import Progress
from tests.acceptance.test_moves import interruptible
from tests.unit.test_documents import PROJECT


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[IO[bytes], IO[str], bool]]:
    """What a person or a log reads, what the suite writes to, and whether it is a terminal."""
    reading, writing = os.openpty() if request.param else os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as reader, os.fdopen(writing, "w") as writer:
        yield reader, writer, request.param


def test_only_a_person_gets_time_to_stop(ends: tuple[IO[bytes], IO[str], bool]) -> None:
    reader, writer, is_terminal = ends
    slept: list[float] = []
    warn(Progress(writer), 200, slept.append)
    text = reader.read(1000).decode()
    assert "200 moves are 400 remaps" in text
    assert slept == ([WARNING_SECONDS] if is_terminal else [])


def test_the_tests_say_in_one_line_what_they_cost_and_wait_for_nobody(ends: tuple[IO[bytes], IO[str], bool]) -> None:
    reader, writer, _ = ends
    slept: list[float] = []
    warn(Progress(writer), None, slept.append)
    (line,) = reader.read(1000).decode().splitlines()
    assert "about 40 remaps" in line
    assert "100 a month and account are free" in line
    assert slept == []


@pytest.mark.parametrize(
    ("moves", "remaps", "most", "cost", "with_others"),
    [
        (1, "1 move is 2 remaps", 24, "$0.00", "$2.40"),
        (39, "39 moves are 78 remaps", 100, "$0.00", "$10.00"),
        (200, "200 moves are 400 remaps", 422, "$32.20", "$42.20"),
    ],
)
def test_the_charge_is_for_every_remap_that_the_run_may_make(
    moves: int, remaps: str, most: int, cost: str, with_others: str
) -> None:
    """A move is rolled back at most once: the run ends then. A restore is at most 10 remaps."""
    text = charge(moves)
    assert remaps in text
    assert f"The run makes at most {most}:" in text
    assert f"costs at most {cost}, or {with_others} if" in text


def test_a_number_of_moves_is_a_whole_number_from_1_on() -> None:
    assert number_of_moves("200") == 200
    for text in ("0", "-3", "x", "1.5", "", " ", "\u0662"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number from 1 on"):
            number_of_moves(text)


@pytest.mark.parametrize("moves", ["0", "-3", "x"])
def test_the_suite_does_not_begin_with_a_wrong_number_of_moves(moves: str) -> None:
    command = [sys.executable, "-m", "pytest", "tests/acceptance", "--moves", moves]
    suite = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env={})
    assert suite.returncode == int(pytest.ExitCode.USAGE_ERROR)
    assert f"argument --moves: {moves!r} is not a whole number from 1 on. Nothing was called." in suite.stderr
    assert "Traceback" not in suite.stderr


def test_a_ctrl_c_ends_after_the_move_and_a_second_one_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(Progress()) as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
