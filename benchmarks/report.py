"""Writes `results.md` from the sections of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results.md"
PICTURES = Path(__file__).resolve().parent / "pictures"


@dataclass(frozen=True)
class Section:
    """A part of the results. `text` is Markdown."""

    title: str
    text: str


def table(head: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table in Markdown. `head` has the names of all columns, first the rows' own. `rows` has the cells."""
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(sections: Sequence[Section], *, seconds: float, load: float) -> None:
    """The text of `results.md`. All of it is from one run on one machine. `load` is the load average before the run."""
    machine = (
        f"`make bench` wrote this on {datetime.now(UTC):%Y-%m-%d}, in {seconds:.0f} s, on {os.cpu_count()} cores "
        f"({platform.machine()}) with {platform.system()} and Python {platform.python_version()}; "
        f"the load average before was {load:.1f}. [What the numbers mean](README.md)."
    )
    parts = [f"# Results\n\n{machine}", *(f"## {each.title}\n\n{each.text}" for each in sections)]
    RESULTS.write_text("\n\n".join(parts) + "\n")
