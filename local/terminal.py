"""What `make demo` prints: lines of whole words, with colours and links on a terminal."""

from __future__ import annotations

import textwrap
from typing import TextIO

from rich.console import Console
from rich.text import Text

WIDEST = 100


class Terminal:
    """Writes to one stream. A `style` is rich's; only a terminal shows it, and colours only without NO_COLOR."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, force_terminal=stream.isatty())  # whatever the environment forces

    def say(self, label: str = "", text: str = "", style: str = "") -> None:
        """The label, and beside it the text, in as many lines as it needs. A word is never broken."""
        width = min(self._console.width, WIDEST) - len(label)
        lines = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            beside = " " * len(label) if number else label
            self._console.print(Text.assemble(beside, (line, style)) if line else Text(beside.rstrip()), soft_wrap=True)

    def link(self, label: str, address: str) -> None:
        self.say(label, address, f"link {address}")
