"""What a move costs users, as a distribution: `make acceptance MOVES=200` runs this test, and nothing else."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import pytest

from local.load import REQUESTS_A_SECOND, Load
from tests.acceptance.answers import Answers, other_endpoint
from tests.acceptance.executions import UNSEEN_SECONDS, until
from tests.acceptance.move_charge import in_words
from tests.acceptance.move_data import from_first_move
from tests.acceptance.move_report import WAITS, Circumstances, summary, where_this_runs, write
from tests.acceptance.move_waits import MOVES_IN, Move, are_good, measured
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.progress import Progress

QUIET_SECONDS = 5  # of answers before the first move
GOOD_REQUESTS = REQUESTS_A_SECOND  # good answers in a row after a move, before the next
WITHOUT, UNTIL = WAITS


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


def seconds_to(pair: PairOnAws, arn: str, state: str) -> float:
    """From the start of an execution until it entered a state, by its history. Raises TimeoutError if it did not."""

    def entered() -> float | None:
        history = pair.history(arn)
        times = [each["timestamp"] for each in history if each.get("stateEnteredEventDetails", {}).get("name") == state]
        return float((times[0] - history[0]["timestamp"]).total_seconds()) if times else None

    return until(entered, f"the history of {arn} has {state}", seconds=UNSEEN_SECONDS)


def move(pair: PairOnAws, number: int) -> Move:
    """Moves production to the other server by an execution.

    The clocks of AWS and of this machine may differ. So the times of the history count from the call that starts the
    execution: a wait that begins with such a time is at most that call too long, and never too short.
    """
    server = pair.other(str(pair.places().production))
    began = time.monotonic()
    execution = pair.execute(pair.about({"serverName": server}))
    ended = time.monotonic()
    moved = began + seconds_to(pair, execution.arn, MOVES_IN) if execution.outcome == "CUT_OVER" else began
    return Move(number, server, execution.outcome, began, moved, ended)


def await_new_server(load: Load, moved: Move) -> None:
    """Returns when the new server alone answers, so that the next move is not mixed up with this one."""
    until(
        lambda: are_good(load.answers, of=moved.server, after=moved.ended, requests=GOOD_REQUESTS),
        f"good answers of {moved.server} after a move to it",
    )


def test_how_long_users_wait(pair: PairOnAws, answers: Answers, request: pytest.FixtureRequest) -> None:
    wanted, progress = request.config.getoption("--moves"), pair.progress
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
                await_new_server(load, moves[-1])
    finally:
        if moves:
            moves, requests = from_first_move(moves, load.answers)
            write(folder := circumstances.folder(), circumstances, seen := measured(moves, requests), requests)
            summaries = {name: summary(seen, chosen) for name, chosen in WAITS.items()}
            progress.heading(f"{folder / 'report.md'}: {'; '.join(map(': '.join, summaries.items()))}")
            failed = f"{sum(each.failed for each in seen)} of {sum(each.requests for each in seen)} requests failed"
            where = f" from {circumstances.ran_on}" if circumstances.ran_on else ""
            text = f"{in_words(len(seen))}{where}"
            answers.add("atomic-move", f"{text}; {failed}; {WITHOUT}: {summaries[WITHOUT]}")
            answers.add("time-of-a-move", f"{text}; {UNTIL}: {summaries[UNTIL]}")
    if interrupted():
        raise KeyboardInterrupt
