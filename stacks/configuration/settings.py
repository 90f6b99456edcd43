"""Everything that the app reads from its context, so that all problems are reported at once."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationError, ValidationInfo

from stacks.configuration.allowed import Section, list_of, section, some_of, text
from stacks.configuration.ci import CiAccess, Pipeline
from stacks.configuration.names import DEFAULT_NAME, STACK_NAME, Names
from stacks.configuration.pairs import Pairs, Vpc
from stacks.configuration.problems import InvalidConfiguration, line, path_of, shown
from stacks.configuration.readiness import Evaluated, Readiness
from stacks.configuration.report import Report

NOT_JSON = object()
EMAIL = text("an e-mail address", r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


class Notifications(Section):
    """SNS sends each address two mails to confirm, for outcomes and for alarms, and nothing else until then."""

    emails: Annotated[list[Annotated[str, EMAIL]], list_of(1, 20, "e-mail addresses")]


def _is_known_to_later_keys(value: Any, info: ValidationInfo) -> Any:
    (info.context or {})[info.field_name] = value
    return value


class Settings(Section):
    """What the app reads of the context in cdk.json; None for what is not configured."""

    name: Annotated[str, STACK_NAME] = DEFAULT_NAME
    """Every stack in an account and Region needs its own name. If you change it, you get another stack."""
    readiness: Annotated[Evaluated, AfterValidator(_is_known_to_later_keys)] = Readiness()
    pairs: Annotated[Pairs, AfterValidator(_is_known_to_later_keys)]
    vpc: Annotated[Vpc | None, section(Vpc)] = None
    notifications: Annotated[Notifications | None, section(Notifications)] = None
    ciAccess: Annotated[CiAccess | None, section(CiAccess, rule=some_of(*CiAccess.model_fields))] = None
    pipeline: Annotated[Pipeline | None, section(Pipeline)] = None

    @property
    def names(self) -> Names:
        return Names(self.name)


def configured(context: Callable[[str], object], cdk_json: Path | None = None) -> Settings:
    """Raises InvalidConfiguration with the problems of all parts. `context` is `node.try_get_context`: a value is from
    cdk.json, or text of `cdk --context`, as JSON except for `name`. `cdk_json` is the file itself: if a key is there
    twice, the CDK CLI passes only the last value."""
    problems: list[str] = []
    document = {name: value for name in Settings.model_fields if (value := context(name)) is not None}
    if cdk_json and cdk_json.exists():
        match _parsed("", cdk_json.read_text(encoding="utf-8-sig"), problems):
            case {"context": {"name": None}}:  # the CDK ignores null, and the default would be another stack
                document.setdefault("name", None)
    for name, value in document.items():
        if isinstance(value, str) and Settings.model_fields[name].annotation is not str:
            document[name] = _parsed(name, value, problems)
    try:
        settings = Settings.model_validate(document, context={"pairs": {}, "vpc": "vpc" in document})
    except ValidationError as error:
        errors = [each for each in error.errors() if document.get(str(each["loc"][0])) is not NOT_JSON]
        problems += Report(Settings, document).lines(errors)
    if problems:
        raise InvalidConfiguration(problems)
    return settings


def _parsed(name: str, text: str, problems: list[str]) -> object:
    """The value of JSON text, or NOT_JSON. `name` is the name of the context value, or empty for cdk.json itself."""
    try:
        return _with_keys_once(json.loads(text, object_pairs_hook=tuple), name, problems)
    except (ValueError, RecursionError) as error:
        found = f"text that is not JSON ({error}): {shown(text)}"
        problems.append(line(name or "cdk.json", found, "an object as JSON"))
        return NOT_JSON


def _with_keys_once(value: object, path: str, problems: list[str]) -> object:
    """The value, with each object as a dict in place of a tuple of pairs. A key that is there twice is a problem."""
    if isinstance(value, list):
        return [_with_keys_once(each, f"{path}[{index}]", problems) for index, each in enumerate(value)]
    if not isinstance(value, tuple):
        return value
    for twice in (path_of(path, key) for key, times in Counter(key for key, _ in value).items() if times > 1):
        problems.append(line(twice.removeprefix("context."), "this key more than once", "each key of an object once"))
    return {key: _with_keys_once(each, path_of(path, key), problems) for key, each in value}
