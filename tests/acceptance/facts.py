"""The facts of docs/aws-facts.md. A question reads its row there, and its answer is printed as a row to replace it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "aws-facts.md"
ROW = re.compile(r"^\| `([a-z-]+)`( \?)? \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)

LINK = re.compile(r"\[[^\]]+\]\(https://docs\.aws\.amazon\.com/[^)]+\)")


@dataclass(frozen=True)
class Fact:
    """A row: the fact, what rests on it, and how it is known. `is_asked`: the suite asks AWS about it."""

    id: str
    fact: str
    rests: str
    known: str
    is_asked: bool

    @property
    def is_assumed(self) -> bool:
        return self.known.startswith("assumed: ")

    @property
    def sources(self) -> str:
        """The links to the documents of AWS in how it is known; empty if there are none."""
        return ", ".join(LINK.findall(self.known))

    def row(self) -> str:
        return f"| `{self.id}`{' ?' if self.is_asked else ''} | {self.fact} | {self.rests} | {self.known} |"


def read_facts(document: str) -> dict[str, Fact]:
    """The facts of a document, by id."""
    rows = ROW.findall(document)
    return {row[0]: Fact(row[0], row[2], row[3], row[4], is_asked=bool(row[1])) for row in rows}


FACTS = read_facts(DOCUMENT.read_text())
