"""What a move costs users, as a distribution: `make acceptance MOVES=200` runs this test, and nothing else."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import pytest

from local.load import REQUESTS_A_SECOND, Answer, Load
from tests.acceptance.answers import Answers, other_endpoint
from tests.acceptance.executions import until
from tests.acceptance.move_report import Circumstances, charge, summary, where_this_runs, write
from tests.acceptance.move_waits import Move, are_good, measured
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.progress import Progress

WARNING_SECONDS = 10
QUIET_SECONDS = 5  # of answers before the first move
GOOD_REQUESTS = REQUESTS_A_SECOND  # good answers in a row after a move, before the next


def warn(progress: Progress, moves: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Says what the moves cost. On a terminal, leaves time to stop."""
    progress.heading(charge(moves))
    if progress.is_terminal:
        progress.heading(f"Ctrl-C within {WARNING_SECONDS} s leaves everything as it is.")
        sleep(WARNING_SECONDS)


@contextmanager
def interruptible(progress: Progress) -> Iterator[Callable[[], bool]]:
    """Whether someone has pressed Ctrl-C. A second Ctrl-C interrupts at once."""
    pressed: list[int] = []

    def press(number: int, frame: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        progress.heading("This was the last move: it ends, and the report is written. Ctrl-C again stops at once.")

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def move(pair: PairOnAws, number: int) -> Move:
    """Moves production to the other server by an execution."""
    server = pair.other(str(pair.places().production))
    began = time.monotonic()
    execution = pair.execute(pair.about({"serverName": server}))
    return Move(number, server, execution.outcome, began, time.monotonic())


def await_good_answers(load: Load, moved: Move) -> None:
    until(lambda: are_good(load.answers, after=moved.ended, requests=GOOD_REQUESTS), "good answers after a move")


def before(first: Move, answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.sent < first.began]


def test_the_time_without_a_good_answer(pair: PairOnAws, answers: Answers, request: pytest.FixtureRequest) -> None:
    wanted, progress = request.config.getoption("--moves"), pair.progress
    warn(progress, wanted)
    circumstances = Circumstances(
        region=pair.region,
        endpoint=other_endpoint(pair.client("ec2").meta.endpoint_url),
        day=datetime.now(UTC).date(),
        ran_on=request.config.getoption("--from") or where_this_runs(),
        command=f"make acceptance MOVES={wanted}",
        wanted=wanted,
    )
    moves: list[Move] = []
    load = Load(pair.public_ips["production"], pair.port)
    try:
        with interruptible(progress) as interrupted, load:
            time.sleep(QUIET_SECONDS)
            while len(moves) < wanted and not interrupted():
                progress.step(f"move {len(moves) + 1} of {wanted}")
                moves.append(move(pair, len(moves) + 1))
                assert moves[-1].outcome == "CUT_OVER"
                await_good_answers(load, moves[-1])
    finally:
        if moves:
            seen = measured(moves, load.answers)
            write(folder := circumstances.folder(), circumstances, seen, before(moves[0], load.answers))
            progress.heading(f"{folder / 'report.md'}: time without a good answer: {summary(seen)}")
            text = f"{len(seen)} moves, ran on {circumstances.ran_on}; time without a good answer: {summary(seen)}"
            answers.add("time-of-a-move", text)
    if interrupted():
        raise KeyboardInterrupt
