"""What `make demo` prints on a terminal and into a pipe."""

import io

import pytest

from local.terminal import Terminal

ADDRESS = "file:///home/someone/a-folder-with-a-rather-long-name/another-one/.local/demo.html?of=today"
CAUSE = (
    "bittybot (i-728c73283e91d6f07) is not healthy through the staging address, at http://127.0.0.11:35289/health: 2 "
    f"probes in a row failed: see {'a' * 90}, well-known, expected status 200."
)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns that can do colours, and an environment that asks for nothing."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def printed(stream: io.StringIO) -> str:
    out = Terminal(stream)
    out.say("   ", "No request failed", "green")
    out.link("  The picture: ", ADDRESS)
    return stream.getvalue()


def test_a_terminal_gets_colours_and_the_address_as_a_hyperlink() -> None:
    text = printed(Tty())
    assert "\x1b[32mNo request failed\x1b[0m" in text
    assert f";{ADDRESS}\x1b\\{ADDRESS}\x1b]8;;\x1b\\" in text


@pytest.mark.parametrize("forced", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_gets_neither_even_if_colour_is_forced(monkeypatch: pytest.MonkeyPatch, forced: str) -> None:
    monkeypatch.setenv(forced, "1")
    assert printed(io.StringIO()) == f"   No request failed\n  The picture: {ADDRESS}\n"


def test_a_dumb_terminal_gets_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in printed(Tty())


def test_with_no_color_a_terminal_gets_the_hyperlink_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(Tty())
    assert "   No request failed\n" in text
    assert f"\x1b\\{ADDRESS}\x1b]8;;\x1b\\" in text
    assert "\x1b[" not in text


@pytest.mark.parametrize("stream", [Tty, io.StringIO])
def test_at_80_columns_no_word_is_broken_and_lines_go_on_below_the_text(stream: type[io.StringIO]) -> None:
    out = stream()
    Terminal(out).say("   cause         ", CAUSE)
    first, *others = out.getvalue().splitlines()
    assert first.startswith("   cause         bittybot (")
    assert all(line.startswith(" " * 17) and line[17] != " " for line in others)
    assert " ".join(line[17:] for line in [first, *others]).split() == CAUSE.split()
    assert [line for line in [first, *others] if len(line) > 80] == [f"{' ' * 17}{'a' * 90},"]


def test_a_table_keeps_its_spaces_and_an_empty_cell_leaves_none_behind() -> None:
    out = io.StringIO()
    for label, text in (("   0.26  Preflight   ", "tao"), ("   0.31  CutOver     ", ""), ("", "")):
        Terminal(out).say(label, text)
    assert out.getvalue() == "   0.26  Preflight   tao\n   0.31  CutOver\n\n"
