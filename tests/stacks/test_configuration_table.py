"""The README's table has every key of the configuration, with the type, default and bounds that it really has."""

import re
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pytest

from stacks.configuration.keys import Computed, keys_of
from stacks.configuration.pairs import HealthCheck, Pair, Vpc
from stacks.configuration.problems import NOTHING

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.split("\n## Configuration\n")[1].split("\n## ")[0]
TYPES = {str: "string", int: "number", bool: "boolean", list: "list", dict: "object"}
KINDS: dict[str, Any] = {
    "**of a pair**": Pair,
    "**of a health check**": HealthCheck,
    "**of `vpc`**, beside `pairs`": Vpc,
}


def tables() -> dict[str, dict[str, list[str]]]:
    """The rows of each part of the table: type, default, allowed and elsewhere, by key."""
    lines = [line.strip("|").split("|") for line in SECTION.splitlines() if line.startswith("|")]
    found: dict[str, dict[str, list[str]]] = {}
    for key, *cells in ([cell.strip() for cell in line] for line in lines[2:]):
        if key.startswith("**"):
            found[key] = rows = {}
        else:
            assert key not in rows, f"{key} has two rows"
            rows[key] = cells
    return found


def test_the_table_has_a_row_for_every_key_in_the_order_of_its_type() -> None:
    expected = {heading: [f"`{key}`" for key in get_type_hints(kind)] for heading, kind in KINDS.items()}
    assert {heading: list(rows) for heading, rows in tables().items()} == expected


KEYS = [
    pytest.param(tables()[heading].get(f"`{name}`"), kind, name, id=f"{kind.__name__}.{name}")
    for heading, kind in KINDS.items()
    for name, (key, _) in keys_of(kind).items()
    if key
]


@pytest.mark.parametrize(("row", "kind", "name"), KEYS)
def test_a_row_has_the_type_the_default_and_the_bounds_of_its_key(row: list[str], kind: Any, name: str) -> None:
    called, default, allowed, _ = row
    key, only = keys_of(kind)[name]
    assert key is not None
    hint = get_type_hints(kind)[name]
    assert called == TYPES[get_origin(hint) or hint]
    if isinstance(key.default, Computed):
        assert default.strip("`") == key.default.words
    elif key.default is NOTHING:
        assert default == ("none" if name in kind.__optional_keys__ else "required")
    else:
        assert default.strip("`") == str(key.default).replace("True", "true")
    for lowest, highest in re.findall(r"\b(\d+) to (\d+)\b", key.allowed.partition(";")[0]):
        assert f"{lowest} to {highest}" in allowed.replace(",", "")
    assert ("not with TCP" in allowed) == (only is not None and only.protocols == ("HTTP", "HTTPS"))
    assert ("only with HTTPS" in allowed) == (only is not None and only.protocols == ("HTTPS",))
