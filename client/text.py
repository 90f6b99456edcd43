"""Text written by others (names, causes, inputs), made safe for one line on a terminal."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
