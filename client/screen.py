"""What a person or a log sees: lines, and on a terminal one more below them that lives.

Without a terminal nothing but lines is written: no colours, no control characters, whatever the environment asks for.
Text is never read as markup.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from client.text import duration, plain


class Screen:
    """Writes to one stream. A `style` is rich's, and only seen on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._console = Console(
            file=stream, force_terminal=self.is_terminal, markup=False, highlight=False, emoji=False
        )

    def line(self, text: str, style: str = "") -> None:
        if self.is_terminal:
            self._console.print(Text(plain(text), style=style))
        else:
            print(plain(text), file=self._stream, flush=True)

    def table(self, rows: list[tuple[str, str]], style: str = "") -> None:
        """Words and values, the values below each other; `style` is for the first line's value."""
        widest = max((len(word) for word, _ in rows), default=0)
        for number, (word, value) in enumerate(rows):
            if not self.is_terminal:
                self.line(f"{word.ljust(widest)}  {value}")
                continue
            shown = (plain(value), style if number == 0 else "")
            self._console.print(Text.assemble((f"{word.ljust(widest)}  ", "dim"), shown))

    @contextmanager
    def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> Iterator[None]:
        """On a terminal, keeps a last line with how many seconds it takes, and what is now; else does nothing."""
        if not self.is_terminal:
            yield
            return
        with Live(_Now(now, seconds), console=self._console, refresh_per_second=8, transient=True):
            yield


class _Now:
    def __init__(self, now: Callable[[], str], seconds: Callable[[], float]) -> None:
        self._now, self._seconds = now, seconds
        self._spinner = Spinner("line")

    def __rich__(self) -> Spinner:
        elapsed = duration(self._seconds())
        self._spinner.update(text=Text(f"{elapsed:>8}  {plain(self._now())}", style="bold"))
        return self._spinner
