"""Text from elsewhere, made fit for a line on a terminal: names, causes and inputs are written by others."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

JsonObject = dict[str, Any]


def plain(value: object, longest: int | None = None) -> str:
    """On one line, without control or invisible characters; cut after `longest` characters."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text if longest is None or len(text) <= longest else f"{text[:longest]}…"


def parsed(text: object) -> Any:
    """JSON from elsewhere as a value, None if it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def clock(moment: datetime) -> str:
    """A moment as people and logs write it, in UTC: `2026-02-01 09:30:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def duration(seconds: float) -> str:
    """`8.2 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def columns(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """A table of equal keys as lines: a heading, then a line per row, each column as wide as it must be."""
    table = [{key: plain(value) for key, value in row.items()} for row in rows]
    if not table:
        return []
    table.insert(0, {key: key for key in table[0]})
    widths = {key: max(len(row[key]) for row in table) for key in table[0]}
    return ["  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip() for row in table]
