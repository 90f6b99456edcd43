"""The raw data of moves: every number of a report can be computed again from its files."""

import csv
import gzip
import random
import re
from datetime import date
from pathlib import Path

from local.load import Answer
from tests.acceptance.move_data import MOVE_COLUMNS, REQUEST_COLUMNS, from_first_move, write_moves, write_requests
from tests.acceptance.move_report import WAITS, Circumstances, summary, write
from tests.acceptance.move_waits import Measured, Move, measured

START = 123_456.789_012_345  # of a monotonic clock


def recorded(seed: int) -> tuple[list[Move], list[Answer]]:
    """Moves, and answers as a load sees them: some fail, and for some time both servers answer."""
    chance, moves, answers = random.Random(seed), list[Move](), list[Answer]()  # noqa: S311
    for number in range(12):
        began = START + 3 * number
        moved = began + chance.uniform(0.5, 1)
        server, former = ("tao", "bittybot") if number % 2 else ("bittybot", "tao")
        moves.append(Move(number + 1, server, "CUT_OVER", began, moved, began + 2))
        for request in range(600):
            sent = began - 0.1 + request / 200
            who = server if sent > moved + chance.uniform(0, 0.5) else former
            failed = moved < sent < moved + chance.uniform(0, 0.2)
            took = chance.expovariate(1 / 30)
            answers.append(Answer(sent, took, None if failed else f"{who}, release 7", "reset, 7" if failed else None))
    return moves, answers


def read_again(folder: Path) -> tuple[list[Move], list[Answer]]:
    """Moves and answers from the files, and nothing that was computed from them."""
    with (folder / "moves.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    times = ("began_s", "moved_s", "ended_s")
    moves = [
        Move(int(row["number"]), row["server"], row["outcome"], *(float(row[time]) for time in times)) for row in rows
    ]
    with (folder / "requests.csv").open(newline="") as file:
        answers = [
            Answer(float(row["due_s"]), float(row["milliseconds"]), row["who"] or None, row["error"] or None)
            for row in csv.DictReader(file)
        ]
    return moves, answers


def test_every_number_of_the_report_can_be_computed_again_from_the_files(tmp_path: Path) -> None:
    moves, answers = from_first_move(*recorded(seed=7))
    seen = measured(moves, answers)
    circumstances = Circumstances("eu-central-1", None, date(2026, 12, 1), "a test", "a command", wanted=12)
    write(tmp_path, circumstances, seen, answers)
    assert read_again(tmp_path) == (moves, answers)
    again = measured(*read_again(tmp_path))
    report = (tmp_path / "report.md").read_text()
    for name, chosen in WAITS.items():
        levels = re.findall(r"[0-9.]+ m?s", summary(again, chosen))
        assert f"| **{name}** | {' | '.join(levels)} |" in report
    (folder := tmp_path / "again").mkdir()
    write_moves(folder, again)
    assert (folder / "moves.csv").read_text() == (tmp_path / "moves.csv").read_text()


def test_times_are_from_the_first_move_and_name_no_clock(tmp_path: Path) -> None:
    moves, answers = from_first_move(*recorded(seed=7))
    assert moves[0].began == 0
    assert moves[1].began == 3
    assert [answer.sent for answer in answers[:2]] == [-0.1, -0.095]
    assert "123456" not in write_requests(tmp_path, answers).read_text()


def test_the_rows_have_the_move_and_what_users_saw_of_it(tmp_path: Path) -> None:
    move = Move(1, "tao", "CUT_OVER", 0.0, 0.5, 1.0)
    answers = [
        Answer(0.0, 20.0, "bittybot, release 1", None),
        Answer(1.0, 20.0, None, "reset"),
        Answer(2.0, 20.0, "tao, release 2", None),
    ]
    write_moves(tmp_path, measured([move], answers))
    with (tmp_path / "moves.csv").open(newline="") as file:
        head, row = csv.reader(file)
    assert tuple(head) == MOVE_COLUMNS
    assert row == [
        "1", "tao", "CUT_OVER", "0.0", "0.5", "1.0", "3", "1", "1020.0", "yes", "1520.0", "yes", "1020.0", "20.0",
    ]  # fmt: skip
    with write_requests(tmp_path, answers).open(newline="") as file:
        head, *rows = csv.reader(file)
    assert tuple(head) == REQUEST_COLUMNS
    assert rows[:2] == [["0.0", "20.0", "bittybot, release 1", ""], ["1.0", "20.0", "", "reset"]]


def test_a_wait_whose_end_was_not_observed_is_marked(tmp_path: Path) -> None:
    seen: list[Measured] = measured([Move(1, "tao", "CUT_OVER", 0, 0.5, 1)], [Answer(0.0, 20.0, "bittybot, x", None)])
    write_moves(tmp_path, seen)
    assert (tmp_path / "moves.csv").read_text().endswith(",20.0,yes,0.0,no,0.0,20.0\n")


def test_a_large_file_is_compressed_and_names_no_time(tmp_path: Path) -> None:
    _, answers = from_first_move(*recorded(seed=7))
    plain = write_requests(tmp_path, answers).read_bytes()
    file = write_requests(tmp_path, answers, large_bytes=len(plain) - 1)
    assert (file.name, gzip.decompress(file.read_bytes())) == ("requests.csv.gz", plain)
    assert file.read_bytes()[4:8] == bytes(4)  # the time of the compression
    assert write_requests(tmp_path, answers, large_bytes=len(plain)).name == "requests.csv"
