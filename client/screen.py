"""What a person or a log sees: lines, and on a terminal a live line below them.

Without a terminal it writes lines only: no colours, no control characters, whatever the environment says. Text is
never read as markup.
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
    """Writes to one stream. A `style` is rich's, and shows on a terminal only."""

    def __init__(self, stream: TextIO) -> None:
        self.is_terminal = stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._console = Console(file=stream, force_terminal=self.is_terminal)

    def line(self, text: str, style: str = "") -> None:
        self._write(Text(plain(text), style=style))

    def table(self, rows: list[tuple[str, str]], style: str = "") -> None:
        """Labels and values, the values below each other. `style` is that of the first value."""
        widest = max((len(label) for label, _ in rows), default=0)
        for number, (label, value) in enumerate(rows):
            styled = (plain(value), "" if number else style)
            self._write(Text.assemble((f"{label.ljust(widest)}  ", "dim"), styled))

    @contextmanager
    def live(self, now: Callable[[], str], seconds: Callable[[], float]) -> Iterator[None]:
        """On a terminal, shows the seconds that have passed and what happens now, on a line below the others."""
        if not self.is_terminal:
            yield
            return
        spinner = Spinner("line")

        def line() -> Spinner:
            spinner.update(text=Text(f"{duration(seconds()):>8}  {plain(now())}", style="bold"))
            return spinner

        with Live(get_renderable=line, console=self._console, refresh_per_second=8, transient=True):
            yield

    def _write(self, text: Text) -> None:
        self._console.print(text, soft_wrap=not self.is_terminal)
