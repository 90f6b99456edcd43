"""Before it moves anything that may cost something, the suite says so, and leaves a person time to stop."""

import os
import signal
from collections.abc import Iterator
from typing import IO

import pytest

from tests.acceptance.progress import Progress
from tests.acceptance.test_moves import WARNING_SECONDS, interruptible, warn


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


def test_a_ctrl_c_ends_after_the_move_and_a_second_one_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(Progress()) as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
