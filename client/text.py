"""Text written by others (names, causes, inputs), made safe for one line on a terminal."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.text import shortened

JsonObject = dict[str, Any]
# CI runs what it finds in a log: `##[…]` (GitHub) and `##vso[…]` (Azure) anywhere in a line, `::…::` at its beginning,
# behind spaces too. A terminal may begin a line with any word.
BRACKET_COMMAND, COLON_COMMAND = re.compile(r"#(?=#\w*\[)"), re.compile(r"(?<!\S)::+")


def plain(value: object, longest: int | None = None) -> str:
    """On one line, without control or invisible characters and commands to CI, of at most `longest` characters."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    text = COLON_COMMAND.sub(lambda colons: " ".join(colons[0]), BRACKET_COMMAND.sub("# ", text))
    return text if longest is None else shortened(text, longest)


def json_text(document: object) -> str:
    """A JSON document that is no command to CI either, with the same values: in JSON, # is also written \\u0023."""
    return BRACKET_COMMAND.sub(r"\\u0023", json.dumps(document, indent=2))


def parsed(text: object) -> Any:
    """The value of a JSON text, None if it is not JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def as_object(value: object) -> JsonObject:
    """A JSON object; an empty one in place of any other value."""
    return value if isinstance(value, dict) else {}


def duration(seconds: float) -> str:
    """`8.2 s`, `2 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def columns(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Rows with the same keys as the lines of a table: the keys as its heading, each column as wide as needed."""
    table = [{key: plain(value) for key, value in row.items()} for row in rows]
    if not table:
        return []
    table.insert(0, {key: key for key in table[0]})
    widths = {key: max(len(row[key]) for row in table) for key in table[0]}
    return ["  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip() for row in table]
