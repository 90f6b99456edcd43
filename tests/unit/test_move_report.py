"""The report on moves: what it says, and that it can be committed."""

import re
from datetime import date
from pathlib import Path

import pytest

from local.load import Answer
from tests.acceptance.move_data import from_first_move
from tests.acceptance.move_report import WAITS, Circumstances, summary, where_this_runs, write
from tests.acceptance.move_waits import Move, measured
from tests.unit.test_house_english import banned_in, long_sentences

MOVES = [Move(1, "tao", "CUT_OVER", 1.0, 1.5, 2.0), Move(2, "bittybot", "CUT_OVER", 4.0, 4.5, 5.5)]
WHO = ("bittybot", "bittybot", None, None, "tao", "tao", "bittybot", "bittybot")
ANSWERS = [
    Answer(float(number), 20.0, who and f"{who}, release 7", None if who else "reset") for number, who in enumerate(WHO)
]


def report(folder: Path, *, endpoint: str | None = None, ran_on: str | None = "an office") -> str:
    circumstances = Circumstances(
        "eu-central-1", endpoint, date(2026, 12, 1), ran_on, "make acceptance MOVES=5", wanted=5
    )
    moves, answers = from_first_move(MOVES, ANSWERS)
    write(folder, circumstances, measured(moves, answers), answers)
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
        "| **time until the new server answers** | 1.52 s | 2.52 s | 2.52 s | 2.52 s |",
        "from when the execution entered `ReassociateProduction`",
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
    assert all((tmp_path / (markdown or html)).exists() for markdown, html in linked)
    data = {"moves.csv", "requests.csv"}
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "waits.svg", "waits-dark.svg"} | data


def test_a_report_from_an_unknown_place_says_how_to_name_it(tmp_path: Path) -> None:
    assert '| ran on | unknown; `FROM="an office in Vienna"` names it |' in report(tmp_path, ran_on=None)


def test_a_summary_is_one_line() -> None:
    without, until = (summary(measured(MOVES, ANSWERS), chosen) for chosen in WAITS.values())
    assert without == "p50 20 ms, p90 2.02 s, p99 2.02 s, maximum 2.02 s"
    assert until == "p50 1.52 s, p90 2.52 s, p99 2.52 s, maximum 2.52 s"


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"GITHUB_ACTIONS": "true", "RUNNER_NAME": "build-7"}, "a runner of GitHub Actions"),
        ({"AWS_EXECUTION_ENV": "CloudShell", "AWS_REGION": "eu-west-1"}, "AWS CloudShell in eu-west-1"),
        ({"HOSTNAME": "build-7"}, None),
    ],
)
def test_where_it_ran_never_names_a_machine(environment: dict[str, str], where: str | None) -> None:
    assert where_this_runs(environment) == where
