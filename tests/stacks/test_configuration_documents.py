"""Documents and editors show the configuration as the models define it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs.reference import SCHEMA, TABLE, generated
from stacks.configuration.allowed import sections_in
from stacks.configuration.settings import Settings
from tests.stacks.contexts import COMPLETE, changed, check, pair, without

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_a_generated_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == generated()[path], "run `make reference`"


def test_every_part_of_the_configuration_has_a_table() -> None:
    documented = {name for text in generated().values() for _, names in TABLE.findall(text) for name in names.split()}
    assert documented == Settings.model_fields.keys()


def test_a_row_has_the_default_the_words_and_the_names_elsewhere() -> None:
    rows = (PROJECT / "docs" / "configuration.md").read_text().splitlines()
    timeout = "a whole number from 1 to 120. The time limit of a whole probe."
    assert f"| `timeoutSeconds` | `2` | {timeout} | ELB: HealthCheckTimeoutSeconds; Docker, ECS: timeout |" in rows
    (port,) = (row for row in rows if row.startswith("| `port` |"))
    assert '| required with protocol "TCP", `80` with protocol "HTTP", `443` with protocol "HTTPS" |' in port
    (path,) = (index for index, row in enumerate(rows) if row.startswith("| `path` |"))
    assert rows[path - 1].startswith('| **`pairs.<name>.healthCheck`**, with protocol "HTTP" or protocol "HTTPS" |')


def test_keys_that_are_at_several_places_are_in_the_table_once() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()
    places = ", ".join(
        f"`pairs.<name>.hooks.{moment}`" for moment in ("beforeCutover", "afterCutover", "afterRollback")
    )
    assert f"| **{places}** |" in text
    assert text.count("| `onFailure` |") == 1


def is_valid(context: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid({"context": context}))


def test_editors_accept_what_the_app_accepts() -> None:
    shipped = json.loads((PROJECT / "cdk.json").read_text())
    assert PROJECT / shipped["$schema"] == SCHEMA
    assert is_valid(shipped["context"])
    off = {**COMPLETE[0], "readiness": False, "pairs": {"web": pair(readiness=False)}}
    for context in (*COMPLETE, off, check(), check(protocol="TCP", port=22)):
        assert is_valid(context)


@pytest.mark.parametrize(
    "context",
    [
        changed("pairs.web.healthCheck[0].port", 0), changed("pairs.web.healthCheck[0].port", None),
        changed("pairs.web.healthCheck[2].path", "/"), changed("pairs.web.healthCheck[0].protocol", "UDP"),
        changed("pairs.web.production", "203.0.113.7"), changed("pairs.web.alarms", None),
        changed("pairs.web.readiness", True), changed("readiness.scheduleExpression", "at(2026-12-01T06:00:00)"),
        changed("pairs.web.readiness.certificateExpiryDays", 0),
        changed("pairs.web.colour", "blue"), changed("vpc.subnetIds", []), changed("pairs.web.deploy.command", "{{"),
        changed("pairs.web.hooks.beforeTraffic", []), changed("pairs.web.hooks.afterCutover[0].server", "blue"),
        changed("pipeline.source.branch", "*"), without("pairs.web.staging"), without("pairs"),
    ],
)  # fmt: skip
def test_editors_refuse_what_a_single_key_does_not_allow(context: dict[str, Any]) -> None:
    assert not is_valid(context)


def test_the_schema_describes_every_key_in_words() -> None:
    schema = json.loads(SCHEMA.read_text())
    for _, section in sections_in(Settings):
        properties = schema["$defs"].get(section.__name__, schema["properties"]["context"])["properties"]
        assert all(properties[name]["description"] for name in section.model_fields)
