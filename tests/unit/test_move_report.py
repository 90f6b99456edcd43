"""The report on moves: what it says, what it costs, and that it can be committed."""

import csv
import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

import pytest

from local.load import Answer
from tests.acceptance.move_picture import DARK, LIGHT
from tests.acceptance.move_report import COLUMNS, Circumstances, charge, summary, where_this_runs, write
from tests.acceptance.move_waits import Move, measured
from tests.unit.test_house_english import banned_in, long_sentences

MOVES = [Move(1, "tao", "CUT_OVER", 1.0, 2.0), Move(2, "bittybot", "CUT_OVER", 4.0, 5.5)]
ANSWERS = [
    Answer(float(number), 20.0, "tao", "reset" if number in (2, 3) else None)
    for number in range(8)
]  # fmt: skip


def report(folder: Path, *, endpoint: str | None = None) -> str:
    circumstances = Circumstances(
        "eu-central-1", endpoint, date(2026, 12, 1), "an office", "make acceptance MOVES=5", wanted=5
    )
    write(folder, circumstances, measured(MOVES, ANSWERS), ANSWERS[:1])
    return (folder / "report.md").read_text()


def test_the_report_says_what_was_measured_where_and_when(tmp_path: Path) -> None:
    text = report(tmp_path)
    for expected in (
        "# Moves of a production address, eu-central-1, 2026-12-01",
        "| ran on | an office |",
        "| command | `make acceptance MOVES=5` |",
        "| moves | 2 of 5, each by an execution |",
        "| load | 200 requests per second",
        "| requests | 7, of which 2 failed, in 1 of the moves |",
        "| answers before the first move | median 20 ms, slowest 20 ms |",
        "| **time without a good answer** | 20 ms | 2.02 s | 2.02 s | 2.02 s |",
    ):
        assert expected in text
    assert "not AWS" not in text


def test_a_report_of_another_endpoint_says_so_first_and_is_not_among_those_to_commit(tmp_path: Path) -> None:
    assert "**This is not AWS.** http://127.0.0.1:4566 answered" in report(tmp_path, endpoint="http://127.0.0.1:4566")
    ours = Circumstances("eu-central-1", None, date(2026, 12, 1), "", "", 1)
    elsewhere = Circumstances("eu-central-1", "http://127.0.0.1:4566", date(2026, 12, 1), "", "", 1)
    assert ours.folder(tmp_path) == tmp_path / "measured" / "moves-eu-central-1-2026-12-01"
    assert ours.folder(tmp_path) == tmp_path / "measured" / "moves-eu-central-1-2026-12-01-2"
    assert elsewhere.folder(tmp_path).parent == tmp_path / ".local" / "acceptance"


def test_the_report_follows_the_rules_of_documents(tmp_path: Path) -> None:
    text = report(tmp_path)
    assert banned_in(tmp_path / "report.md") == []
    assert long_sentences(text) == []
    linked = re.findall(r'(?:\]\(|src=")([^)"]+)|srcset="([^"]+)"', text)
    assert all((tmp_path / (one or other)).exists() for one, other in linked)
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "moves.csv", "waits.svg", "waits-dark.svg"}


def test_the_raw_data_has_a_row_for_each_move(tmp_path: Path) -> None:
    report(tmp_path)
    with (tmp_path / "moves.csv").open(newline="") as file:
        head, first, second = csv.reader(file)
    assert tuple(head) == COLUMNS
    assert first == ["1", "tao", "CUT_OVER", "0.0", "1.0", "3", "2", "2020.0", "yes", "2020.0", "20.0"]
    assert second == ["2", "bittybot", "CUT_OVER", "3.0", "1.5", "4", "0", "20.0", "yes", "0.0", "20.0"]


def test_the_picture_has_a_dot_for_each_move_and_the_colours_of_its_page(tmp_path: Path) -> None:
    report(tmp_path)
    for name, colours in (("waits.svg", LIGHT), ("waits-dark.svg", DARK)):
        picture = ET.parse(tmp_path / name)  # noqa: S314  # written just before
        (dots,) = picture.findall(".//*[@id='moves']")
        assert len([each for each in dots.iter() if each.tag.endswith("}use")]) == 2
        text = (tmp_path / name).read_text()
        assert f"fill: {colours.paper}" in text
        for label in ("Time without a good answer, 2 moves", "p50  20 ms", "maximum  2.02 s", "share of moves"):
            assert label in text


def test_a_summary_is_one_line() -> None:
    assert summary(measured(MOVES, ANSWERS)) == "p50 20 ms, p90 2.02 s, p99 2.02 s, maximum 2.02 s"


@pytest.mark.parametrize(
    ("moves", "least", "most"), [(3, "$0.00", "$0.60"), (50, "$0.00", "$10.00"), (200, "$30.00", "$40.00")]
)
def test_the_charge_is_for_two_remaps_each_beyond_a_hundred(moves: int, least: str, most: str) -> None:
    text = charge(moves)
    assert f"{moves} moves are {2 * moves} remaps" in text
    assert f"they cost {least}, or up to {most} if" in text


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"GITHUB_ACTIONS": "true", "RUNNER_NAME": "build-7"}, "a runner of GitHub Actions"),
        ({"AWS_EXECUTION_ENV": "CloudShell", "AWS_REGION": "eu-west-1"}, "AWS CloudShell in eu-west-1"),
        ({"HOSTNAME": "build-7"}, 'not said (`FROM="an office in Vienna"` says it)'),
    ],
)
def test_where_it_ran_never_names_a_machine(environment: dict[str, str], where: str) -> None:
    assert where_this_runs(environment) == where
