"""What the acceptance suite says while it waits, and what becomes of what its tests make beside the pair."""

import itertools

import pytest

from tests.acceptance.executions import until
from tests.acceptance.interrupts import Temporary


def test_a_wait_says_again_and_again_what_is_awaited_and_a_short_one_says_nothing() -> None:
    lines: list[str] = []
    with pytest.raises(TimeoutError, match="not within 1 s: bittybot has stopped"):
        until(lambda: False, "bittybot has stopped", seconds=1, say=lines.append, say_seconds=0.3)
    assert 2 <= len(lines) <= 3
    assert all(line.endswith("at most: bittybot has stopped") for line in lines)
    until(lambda: True, "bittybot has stopped", say=lines.append, say_seconds=0)
    assert len(lines) <= 3


def test_what_a_test_makes_is_removed_with_its_block_whatever_happens() -> None:
    temporary, left = Temporary(), {"a role"}
    with (
        pytest.raises(KeyboardInterrupt),
        temporary.removed("The role a", command="delete a", remove=lambda: left.remove("a role")),
    ):
        raise KeyboardInterrupt
    assert not left
    assert str(temporary) == ""


def test_what_could_not_be_removed_is_removed_at_the_end_or_named_with_the_command() -> None:
    temporary, attempts = Temporary(), itertools.count(1)

    def remove() -> None:
        if next(attempts) < 3:
            raise ConnectionError

    with pytest.raises(ConnectionError), temporary.removed("The role a", command="delete a", remove=remove):
        pass
    temporary.remove_all()
    assert str(temporary) == "The role a is left. Remove it: delete a"
    temporary.remove_all()
    assert str(temporary) == ""
