"""Reads the events of the handlers. Each event is declared as a dataclass, so that a contract test knows its keys. A
field is named after its key: `expected_release` holds `expectedRelease`. A field with a default is an optional key."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Event = TypeVar("Event")


@dataclass(frozen=True)
class PairEvent:
    """What most events have: the execution's ARN, for the log, and the name of the pair."""

    execution: str
    pair: str


class InvalidEvent(ValueError):
    """A state and its handler disagree on the keys of an event; the message names the keys."""


def keys(event_type: type[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The required and the optional keys of an event of this dataclass."""
    required = {_key(field.name) for field in fields(event_type) if field.default is field.default_factory is MISSING}
    return frozenset(required), frozenset(_key(field.name) for field in fields(event_type)) - required


def read(event_type: type[Event], event: Mapping[str, Any]) -> Event:
    """As `read_value`. Raises InvalidEvent for an unknown key, too."""
    if unknown := event.keys() - frozenset.union(*keys(event_type)):
        raise _disagreement(event_type, "has no", unknown)
    return read_value(event_type, event)


def read_value(event_type: type[Event], event: Mapping[str, Any]) -> Event:
    """An optional key that is null counts as absent, and unknown keys are ignored. InvalidEvent for a missing key."""
    required, _ = keys(event_type)
    if missing := required - event.keys():
        raise _disagreement(event_type, "lacks the", missing)
    values = {}
    for name, kind in get_type_hints(event_type).items():
        if event.get(key := _key(name)) is not None or key in required:
            values[name] = _value(kind, event[key])
    return event_type(**values)


def _value(kind: Any, value: Any) -> Any:
    for each in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        if is_dataclass(each) and isinstance(value, Mapping):
            return read_value(each, value)  # type: ignore[arg-type]  # a class, because it is a type
        if get_origin(each) is list and isinstance(value, list):
            return [_value(get_args(each)[0], item) for item in value]
    return value


def in_json(value: object, *names: str) -> dict[str, Any]:
    """These attributes of a value by their keys, as `read` reads them."""
    return {_key(name): getattr(value, name) for name in names}


def _key(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _disagreement(event_type: type[Any], verb: str, names: Iterable[str]) -> InvalidEvent:
    key, required, optional = (", ".join(sorted(each)) or "none" for each in (names, *keys(event_type)))
    return InvalidEvent(f"{event_type.__name__} {verb} key {key}; required: {required}; optional: {optional}.")
