"""Writes the reference of the configuration for documents and editors, from the models. `make reference` runs it.

In a document, the table of `pairs` and `vpc` goes between the markers `<!-- keys: pairs vpc -->` and `<!-- /keys -->`.
`cdk.schema.json` is the JSON schema of cdk.json.
"""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from stacks.configuration.allowed import Allowed, Section, sections_in, words_of
from stacks.configuration.health_check import Check, HttpsCheck, WebCheck
from stacks.configuration.pairs import Approval, Hook, Hooks, Pair, Vpc
from stacks.configuration.readiness import Readiness
from stacks.configuration.settings import Settings

PROJECT = Path(__file__).parent.parent
DOCUMENTS = (PROJECT / "docs" / "configuration.md", PROJECT / "docs" / "ci.md")
SCHEMA = PROJECT / "cdk.schema.json"
TABLE = re.compile(r"(<!-- keys: ([\w ]+) -->\n).*?(?=<!-- /keys -->)", re.DOTALL)
# What other tools call a key.
ELSEWHERE: dict[type[Section], dict[str, str]] = {
    Pair: {
        "production": "EC2: AllocationId",
        "staging": "EC2: AllocationId",
        "servers": "EC2: InstanceId",
        "networkInterfaces": "EC2: NetworkInterfaceId",
        "bakeSeconds": "ECS: bakeTimeInMinutes",
        "alarms": "ECS: alarmNames; CodeDeploy: AlarmConfiguration",
    },
    Vpc: {"subnetIds": "Lambda: SubnetIds", "securityGroupIds": "Lambda: SecurityGroupIds"},
    Check: {
        "protocol": "ELB: HealthCheckProtocol; Route 53: Type",
        "port": "ELB: HealthCheckPort; Route 53: Port",
        "intervalSeconds": "ELB: HealthCheckIntervalSeconds; Route 53: RequestInterval; Docker, ECS: interval",
        "timeoutSeconds": "ELB: HealthCheckTimeoutSeconds; Docker, ECS: timeout",
        "healthyThresholdCount": "ELB: HealthyThresholdCount; Route 53: FailureThreshold",
        "unhealthyThresholdCount": "ELB: UnhealthyThresholdCount; Route 53: FailureThreshold; Docker, ECS: retries",
        "startPeriodSeconds": "Docker: start_period; ECS: startPeriod",
    },
    WebCheck: {
        "path": "ELB: HealthCheckPath; Route 53: ResourcePath",
        "matcher": "ELB: Matcher",
        "bodyContains": "Route 53: SearchString",
        "hostHeader": "Route 53: FullyQualifiedDomainName, EnableSNI",
    },
    HttpsCheck: {"verifyCertificate": "ELB never verifies"},
    Hook: {"function": "ECS: hookTargetArn", "onFailure": "Systems Manager: onFailure"},
    Hooks: {"beforeCutover": "CodeDeploy: BeforeAllowTraffic", "afterCutover": "CodeDeploy: AfterAllowTraffic"},
    Approval: {"timeoutMinutes": "ECS: timeoutInMinutes"},
    Readiness: {"scheduleExpression": "EventBridge Scheduler: ScheduleExpression"},
}
HEAD = ["key", "default", "allowed", "elsewhere"]


def generated() -> dict[Path, str]:
    """The files, and their correct text."""
    documents = {
        path: TABLE.sub(lambda marker: marker[1] + table(marker[2].split()), path.read_text()) for path in DOCUMENTS
    }
    return documents | {SCHEMA: json.dumps(schema(), indent=2) + "\n"}


def table(names: list[str]) -> str:
    """The table of the context values of these names, in their order."""
    at_place: dict[str, list[type[Section]]] = {}
    parts = [part for part in sections_in(Settings) if part[0] and part[0][0] in names]
    for place, section in sorted(parts, key=lambda part: names.index(part[0][0])):
        at_place.setdefault(".".join(place).replace("*", "<name>"), []).append(section)
    fields = {name: key for name, key in Settings.model_fields.items() if name in names}
    texts = [_row(name, {"": key}) for name, key in fields.items() if key.annotation is str]
    alike: dict[tuple[type[Section], ...], list[str]] = {}  # the places with the same keys
    for name, sections in at_place.items():
        alike.setdefault(tuple(sections), []).append(f"`{name}`")
    rows = texts + [row for choice, at in alike.items() for row in _rows(", ".join(at), list(choice))]
    columns = len(HEAD) if any(row[-1] for row in rows) else len(HEAD) - 1
    return "".join(f"| {' | '.join(row[:columns])} |\n" for row in [HEAD, ["---"] * len(HEAD), *rows])


def _rows(places: str, choice: list[type[Section]]) -> Iterator[list[str]]:
    """The keys of the sections that may be at these places. The keys that all sections have come first."""

    def having(name: str) -> list[type[Section]]:
        return [section for section in choice if name in section.model_fields]

    for owners, names in groupby(dict.fromkeys(name for each in choice for name in each.model_fields), having):
        only = "" if owners == choice else f", with {' or '.join(owner.kind for owner in owners)}"
        yield [f"**{places}**{only}", "", "", ""]
        for name in names:
            elsewhere = (ELSEWHERE.get(each, {}).get(name) for owner in owners for each in owner.__mro__)
            keys = {owner.kind: owner.model_fields[name] for owner in owners}
            yield _row(name, keys, next(filter(None, elsewhere), ""))


def _row(name: str, keys: dict[str, FieldInfo], elsewhere: str = "") -> list[str]:
    """The row of a key, which several kinds of its section may have."""
    key = next((key for key in keys.values() if key.description), next(iter(keys.values())))
    note, default = _docstring(key)
    return [f"`{name}`", default or _default(keys), ". ".join(filter(None, [_words(key), note])), elsewhere]


def _docstring(key: FieldInfo) -> tuple[str, ...]:
    """The note in the docstring of a key, and its default in words."""
    note, _, default = " ".join((key.description or "").split()).partition("Default: ")
    return note.strip(), default.strip(". ")


def _default(keys: dict[str, FieldInfo]) -> str:
    """The default of a key, for each kind of its section if the defaults differ."""
    defaults = {
        kind: "required" if key.is_required() else "none" if key.default is None else f"`{json.dumps(key.default)}`"
        for kind, key in keys.items()
        if len(keys) == 1 or not (key.is_required() and get_origin(key.annotation) is Literal)
    }
    if len({*defaults.values()}) == 1:
        return next(iter(defaults.values()))
    return ", ".join(f"{default} with {kind}" for kind, default in defaults.items())


def _words(key: FieldInfo) -> str:
    """The allowed values of a key, and the allowed values inside them. The keys of a section have their own rows."""

    def inside(annotation: Any) -> Iterator[str]:
        for part in get_args(annotation):
            yield from [part.words] if isinstance(part, Allowed) else inside(part)

    own, _, keys = words_of(key).partition("the keys ")
    words = f"{own}the keys below" if keys else "; ".join([own, *inside(key.annotation)])
    return re.sub(r"[`|*_]", r"\\\g<0>", words)


class ForEditors(GenerateJsonSchema):
    """Remove null, the default null and the title from the schema of a key."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        no_value = schema.get("default") is None
        return self.generate_inner(schema["schema"]) if no_value else super().default_schema(schema)

    def field_title_should_be_set(self, _: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """The JSON schema of cdk.json. The description of a key says what the key allows."""
    context = Settings.model_json_schema(schema_generator=ForEditors)
    definitions = context.pop("$defs")
    for _, section in sections_in(Settings):
        for name, key in section.model_fields.items():
            described = definitions.get(section.__name__, context)["properties"][name]
            described["description"] = ". ".join(filter(None, [words_of(key), _docstring(key)[0]]))
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "cdk.json of the Elastic IP cutover",
        "type": "object",
        "properties": {"context": context | {"additionalProperties": True}},
        "$defs": definitions,
    }


if __name__ == "__main__":
    for path, content in generated().items():
        path.write_text(content)
