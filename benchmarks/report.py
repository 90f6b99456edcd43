"""What a benchmark found, as a section of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """`text` is markdown, without the title."""

    title: str
    text: str
