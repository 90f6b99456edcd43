"""The raw data of measured moves: a row for each move, and a row for each request, as CSV.

All times are from the beginning of the first move. They are rounded before anything is computed from them, so that
everything in a report can be computed again from these files, to the last digit.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from local.load import Answer
from tests.acceptance.move_waits import Measured, Move

MOVE_COLUMNS = (
    "number", "server", "outcome", "began_s", "moved_s", "ended_s", "requests", "failed",
    "without_good_answer_ms", "observed_to_its_end", "until_new_server_ms", "observed_to_the_new_server",
    "disturbed_ms", "slowest_ms",
)  # fmt: skip
REQUEST_COLUMNS = ("due_s", "milliseconds", "who", "error")
LARGE_BYTES = 5_000_000


def from_first_move(moves: Sequence[Move], answers: Iterable[Answer]) -> tuple[list[Move], list[Answer]]:
    """The same, with all times in seconds since the first of the moves began, to a microsecond."""
    start = moves[0].began

    def since(moment: float) -> float:
        return round(moment - start, 6)

    return (
        [replace(each, began=since(each.began), moved=since(each.moved), ended=since(each.ended)) for each in moves],
        [replace(each, sent=since(each.sent), milliseconds=round(each.milliseconds, 3)) for each in answers],
    )


def write_moves(folder: Path, moves: Iterable[Measured]) -> None:
    (folder / "moves.csv").write_text(_csv(MOVE_COLUMNS, map(_row, moves)))


def write_requests(folder: Path, answers: Iterable[Answer], *, large_bytes: int = LARGE_BYTES) -> Path:
    """The file with all requests in the order of `sent`: `requests.csv`, or `requests.csv.gz` if it is large."""
    rows = ((each.sent, each.milliseconds, each.who, each.error) for each in answers)
    data, file = _csv(REQUEST_COLUMNS, rows).encode(), folder / "requests.csv"
    if len(data) > large_bytes:
        data, file = gzip.compress(data, mtime=0), folder / "requests.csv.gz"
    file.write_bytes(data)
    return file


def _row(each: Measured) -> list[object]:
    move = each.move
    row: list[object] = [move.number, move.server, move.outcome, move.began, move.moved, move.ended]
    row += [each.requests, each.failed]
    for wait in (each.without_good_answer, each.until_new_server):
        row += [_milliseconds(wait.seconds), "no" if wait.at_least else "yes"]
    return [*row, _milliseconds(each.disturbed.seconds), _milliseconds(each.slowest_seconds)]


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _csv(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
