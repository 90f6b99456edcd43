"""What the suite costs: a remap of an Elastic IP address may be charged. It is said before anything moves."""

import argparse
import time
from collections.abc import Callable

from tests.acceptance.progress import Progress

# By the last published price of EC2 (docs/limits.md).
FREE_REMAPS, DOLLARS_PER_REMAP = 100, 0.10
REMAPS_OF_A_MOVE, REMAPS_OF_A_ROLLBACK = 2, 2
# A restore places both addresses by an execution, or by EC2 if that is rolled back, and moves them to the first server.
REMAPS_OF_A_RESTORE = 3 * REMAPS_OF_A_MOVE + 2 * REMAPS_OF_A_ROLLBACK
REMAPS_OF_THE_TESTS = 40  # about; tests/local/test_acceptance.py prints how many they were
WARNING_SECONDS = 10


def number_of_moves(text: str) -> int:
    """The value of `--moves`. Raises ArgumentTypeError unless it is a whole number from 1 on."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on. Nothing was called.")
    return int(text)


def charge(moves: int) -> str:
    """What so many moves cost at most, in sentences."""
    remaps = REMAPS_OF_A_MOVE * moves
    most = remaps + REMAPS_OF_A_ROLLBACK + 2 * REMAPS_OF_A_RESTORE
    cost, with_others = (DOLLARS_PER_REMAP * number for number in (max(0, most - FREE_REMAPS), most))
    return (
        f"{in_words(moves)} {'is' if moves == 1 else 'are'} {remaps} remaps of Elastic IP addresses. The run makes at "
        f"most {most}: it also puts the pair in order before and after, and a move may be rolled back. By the last "
        f"published price of EC2, ${DOLLARS_PER_REMAP:.2f} for each beyond {FREE_REMAPS} a month and account, that "
        f"costs at most ${cost:.2f}, or ${with_others:.2f} if the account had others this month."
    )


def charge_of_the_tests() -> str:
    """What a run of the tests costs, in a sentence."""
    return (
        f"This run makes about {REMAPS_OF_THE_TESTS} remaps of Elastic IP addresses. By the last published price of "
        f"EC2, {FREE_REMAPS} a month and account are free, and each further one costs ${DOLLARS_PER_REMAP:.2f}."
    )


def in_words(moves: int) -> str:
    return "1 move" if moves == 1 else f"{moves} moves"


def warn(progress: Progress, moves: int | None, sleep: Callable[[float], None] = time.sleep) -> None:
    """Says what the run costs. If it only measures moves, it leaves time to stop on a terminal."""
    if moves is None:
        progress.heading(charge_of_the_tests())
        return
    progress.heading(charge(moves))
    if progress.is_terminal:
        progress.heading(f"Ctrl-C within {WARNING_SECONDS} s leaves everything as it is.")
        sleep(WARNING_SECONDS)
