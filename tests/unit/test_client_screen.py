"""The output in a log and on a terminal."""

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable

import pytest

from client.account import Account
from client.screen import OutputClosed, Screen, columns, duration, json_text, plain, program, split
from tests.unit.ci_logs import PAYLOADS, executed
from tests.unit.client_doubles import session


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
    assert out.getvalue() == "a line " * 40 + "\noutcome  CUT_OVER\npair     we [31mb\n"


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


COMMAND = "aws ec2 associate-address --allocation-id eipalloc-0123456789abcdef0 --instance-id i-0123456789abcdef0"


def test_a_command_to_copy_is_one_line_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    screen = Screen(out)
    screen.table([("cause", "word " * 20 + f"\n{COMMAND} &&\n{COMMAND}")])
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in out.getvalue().splitlines()]
    assert lines[-2:] == [f"  {COMMAND} &&", f"  {COMMAND}"]
    assert max(map(len, lines[:-2])) <= 40


def test_the_commands_of_a_text_are_apart_from_its_sentences() -> None:
    text = f"EC2 refused. Run:\n{COMMAND} &&\n{COMMAND}\nThen check. aws ec2 is not the beginning of this line."
    sentences = "EC2 refused. Run: Then check. aws ec2 is not the beginning of this line."
    assert split(text) == (sentences, [f"{COMMAND} &&", COMMAND])
    assert split("a\nb\x1b[2J\r[red]c") == ("a b [2J [red]c", [])


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("./cutover.py", "./cutover.py"), ("../x/cutover.py", "../x/cutover.py"), ("cutover.py", "cutover.py"),
        ("/usr/local/bin/cutover.py", "cutover.py"), ("./pytest", "cutover.py"), ("", "cutover.py"),
    ],
)  # fmt: skip
def test_a_hint_calls_the_client_as_it_was_called(monkeypatch: pytest.MonkeyPatch, called: str, shown: str) -> None:
    monkeypatch.setattr(sys, "argv", [called, "status"])
    assert program() == shown
    assert Account(session()).command("watch", "a b") == f"{shown} watch 'a b'"
    other = Account(session(), stack="Team B").command("watch", "x")
    assert other == f"{shown} watch x --stack 'Team B'"
    assert split(f"Follow it:\n{shown} watch x")[1] == [f"{shown} watch x"]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("the server answered ##[error]no", "the server answered # #[error]no"),
        ("##vso[task.complete result=Failed;]x", "# #vso[task.complete result=Failed;]x"),
        ("###[warning]##[debug]", "## #[warning]# #[debug]"),
        ("##teamcity[buildStop]", "# #teamcity[buildStop]"),
        ("#\u200b#[error]", "# #[error]"),
        ("::error::x", ": :error::x"),
        ("\x1b\n ::stop-commands::x", "   : :stop-commands::x"),
        ("no ::add-mask::x", "no : :add-mask::x"),
        (":::x", ": : :x"),
        ("/x::error::x", "/x: :error::x"),
        ("/x::::error title=a:b,c::x", "/x: : : :error title=a:b,c::x"),
        ("/x::add-mask::error::x", "/x: :add-mask: :error::x"),
        ("arn:aws:s3:::bucket, fe80::a, a::1::b", "arn:aws:s3:::bucket, fe80::a, a::1::b"),
        ("arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/x"),
        ("## heading, list[0], C#[]", "## heading, list[0], C#[]"),
    ],
)  # fmt: skip
def test_no_text_is_a_command_to_ci(text: str, printed: str) -> None:
    assert plain(text) == plain(printed) == printed
    document = json_text({text: [text]})
    assert json.loads(document) == {text: [text]}
    assert "##[" not in document
    assert not any(line.strip().startswith("::") for line in document.splitlines())
    assert "##vso" not in document
    assert "::error" not in document


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_line_that_a_terminal_folds_becomes_a_command_to_ci(monkeypatch: pytest.MonkeyPatch, payload: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    payload = payload.strip()
    for before in range(100):
        out = Terminal()
        screen = Screen(out)
        for text in ("x" * before + payload, "a word " + "x" * before + payload, ":" * before + payload):
            screen.line(text, "red")
            screen.table([("pair", text), ("cause", text)], "bold")
        assert not executed(re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()))


def test_a_long_text_of_colons_is_printed_at_once() -> None:
    began = time.monotonic()
    for text in (":" * 100_000, "::a" * 30_000, "::a " * 30_000, "::" + "a" * 100_000):
        plain(text)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("write", [lambda screen: screen.line("x"), lambda screen: screen.json({})])
def test_a_stream_that_cannot_be_written_raises_its_own_error(write: Callable[[Screen], None]) -> None:
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as stream:
        screen = Screen(stream)
        with pytest.raises(OutputClosed):
            write(screen)
        write(screen)  # into nothing, and what is left in the buffer too


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
