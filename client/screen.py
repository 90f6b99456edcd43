"""Writes lines and, on a terminal, a live line below them. Elsewhere, it writes no colours and no control characters,
even if the environment asks for them. Text by others (names, causes, inputs) is made safe, and never read as markup."""

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from domain.text import shortened

JsonObject = dict[str, Any]
Rows = list[tuple[str, str]]  # labels and values; a value may have commands, each on a line of its own
PROGRAM = "cutover.py"
# CI executes commands that it finds in a log: `##[…]` (GitHub) and `##vso[…]` (Azure) anywhere in a line, `::…::` at
# the beginning or after spaces. A terminal may break a line before any word, and a long word anywhere.
BRACKET_COMMAND = re.compile(r"#(?=#\w*\[)")
COLON_COMMAND = re.compile(r"(?<!\S)::+|(?<!:)::+(?=[A-Za-z][\w-]*(?:::| ))")


def plain(value: object, longest: int | None = None) -> str:
    """The value on one line of at most `longest` characters, without invisible characters or commands to CI."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    text = COLON_COMMAND.sub(lambda colons: " ".join(colons[0]), BRACKET_COMMAND.sub("# ", text))
    return text if longest is None else shortened(text, longest)


def program() -> str:
    """How this client was called, if that works from the current folder: `./cutover.py`; otherwise `cutover.py`."""
    called = Path(sys.argv[0])
    return sys.argv[0] if called.name == PROGRAM and not called.is_absolute() else PROGRAM


def split(text: object) -> tuple[str, list[str]]:
    """A text on one line, without the commands in it; and the commands, which begin a line of the text each."""
    lines = str(text).splitlines()
    commands = [line for line in lines if line.startswith(("aws ", f"{program()} "))]
    return plain(" ".join(line for line in lines if line not in commands)), [plain(command) for command in commands]


def json_text(document: object) -> str:
    """A JSON document without commands to CI, with the same values: JSON can also write # as \\u0023, : as \\u003a."""
    text = BRACKET_COMMAND.sub(r"\\u0023", json.dumps(document, indent=2))
    return COLON_COMMAND.sub(lambda colons: colons[0].replace(":", r"\u003a"), text)


def as_object(value: object) -> JsonObject:
    """The value if it is a JSON object, otherwise an empty object."""
    return value if isinstance(value, dict) else {}


def duration(seconds: float) -> str:
    """`8.2 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The lines of a table, from rows with the same keys. The keys are the heading."""
    table = [*map(list, rows[:1]), *([plain(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


class OutputClosed(OSError):
    """The output has no reader any more (`| head`), or the disk is full: `strerror` says which."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Replace rich's own, which ends the process."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Screen:
    """Writes to one stream; raises OutputClosed if that fails. A `style` is rich's, and has an effect on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.is_terminal = stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._stream, self._console = stream, _Console(file=stream, force_terminal=self.is_terminal)

    def line(self, text: str, style: str = "", label: str = "") -> None:
        """Write a text, and below it each command to copy in it, on a line of its own, which is never broken."""
        sentence, commands = split(text)
        self._write(Text.assemble((label, "dim"), (sentence, style)))
        for command in commands:
            self._write(Text(f"  {command}"), soft_wrap=True)

    def table(self, rows: Rows, style: str = "") -> None:
        """Write labels and values in two columns, the first value in `style`. One column if no value has a label."""
        widest = max((len(label) for label, _ in rows), default=0)
        for number, (label, value) in enumerate(rows):
            self.line(value, "" if number else style, f"{label.ljust(widest)}  " if widest else "")

    def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> AbstractContextManager[object]:
        """On a terminal, show the elapsed seconds and the current states, on a line below the others."""
        spinner = Spinner("line")

        def line() -> Spinner:
            spinner.update(text=Text(f"{duration(seconds()):>8}  {plain(now())}", style="bold"))
            return spinner

        live = Live(get_renderable=line, console=self._console, refresh_per_second=8, transient=True)
        return live if self.is_terminal else nullcontext()

    def json(self, document: object) -> None:
        self._write(Text(json_text(document)), soft_wrap=True)

    def _write(self, text: Text, *, soft_wrap: bool = False) -> None:
        try:
            self._console.print(text, soft_wrap=soft_wrap or not self.is_terminal)
            self._stream.flush()
        except OSError as error:
            silence(self._stream)
            raise OutputClosed(error.errno, error.strerror) from None


def silence(stream: TextIO) -> None:
    """Let nothing more be written: Python flushes the stream's buffer when it ends, and the null device takes it."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
