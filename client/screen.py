"""Writes lines and, on a terminal, a live line below them. Elsewhere, it writes no colours and no control characters,
even if the environment asks for them. Text is never read as markup."""

import errno
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from client.text import Rows, duration, json_text, plain, split


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
