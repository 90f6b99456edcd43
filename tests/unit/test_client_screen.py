"""What is written to a log, and to a terminal."""

import io

import pytest

from client.screen import Screen
from client.text import columns, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("force", [{"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}, {"CLICOLOR_FORCE": "1"}], ids=str)
def test_a_log_gets_plain_lines_in_any_environment(monkeypatch: pytest.MonkeyPatch, force: dict[str, str]) -> None:
    for name, value in ({"TERM": "xterm"} | force).items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    screen = Screen(out)
    with screen.live(lambda: "Preflight", lambda: 1):
        screen.line("a line " * 40, "red")
    screen.table([("outcome", "CUT_OVER"), ("pair", "we\x1b[31mb\n")], "bold")
    assert out.getvalue() == "a line " * 40 + "\noutcome  CUT_OVER\npair     we [31mb \n"


def test_a_dumb_terminal_is_treated_as_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for term in ("dumb", ""):
        monkeypatch.setenv("TERM", term)
        out = Terminal()
        Screen(out).line("[red]done[/red]", "red")
        assert out.getvalue() == "[red]done[/red]\n"


def test_on_a_terminal_markup_and_escapes_in_data_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    screen = Screen(out)
    screen.line("[red]x[/nothing] :smile: \x1b]0;title\x07 \x9b31m", "bold")
    screen.table([("pair", "[link=http://x]y[/link]\x1b[2J")])
    assert "[red]x[/nothing] :smile:  ]0;title   31m" in out.getvalue()
    assert "[link=http://x]y[/link] [2J" in out.getvalue()
    assert "\x1b]" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (125.4, "2 min 05 s"), (3725, "1 h 02 min")],
)
def test_a_duration_is_rounded_for_a_person(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_columns_are_as_wide_as_needed() -> None:
    assert columns([{"pair": "web", "by": "unknown"}, {"pair": "shopping\n", "by": ""}]) == [
        "pair       by", "web        unknown", "shopping",
    ]  # fmt: skip
    assert columns([]) == []
