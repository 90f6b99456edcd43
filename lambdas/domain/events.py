"""The events of the handlers: each is declared as a dataclass and read here, so that a contract test knows its keys.

A field is named after its key: `expected_release` holds `expectedRelease`. A field with a default is an optional key.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Event = TypeVar("Event", bound="DataclassInstance")


class InvalidEvent(ValueError):
    """A state and its handler disagree on the keys of an event; the message names the keys."""


def keys(event_type: "type[DataclassInstance]") -> tuple[frozenset[str], frozenset[str]]:
    """The required and the optional keys of an event of this dataclass."""
    required = {field.name for field in fields(event_type) if field.default is field.default_factory is MISSING}
    optional = {field.name for field in fields(event_type)} - required
    return frozenset(map(_key, required)), frozenset(map(_key, optional))


def read(event_type: type[Event], event: Mapping[str, Any]) -> Event:
    """The event as an instance of its dataclass. An optional key that is null counts as absent.

    If the type of a field is a dataclass (maybe `| None`) or a list of one, the value is read as such too. Unknown keys
    inside such a value are ignored, because it may be part of something larger. Raises InvalidEvent for a required key
    that is missing, and for an unknown key of the event itself.
    """
    required, optional = keys(event_type)
    if unknown := event.keys() - required - optional:
        raise InvalidEvent(f"{event_type.__name__} has no key {_listed(unknown)}; {_known_keys(event_type)}.")
    return _instance(event_type, event)


def _instance(event_type: type[Event], event: Mapping[str, Any]) -> Event:
    required, _ = keys(event_type)
    if missing := required - event.keys():
        raise InvalidEvent(f"{event_type.__name__} lacks the key {_listed(missing)}; {_known_keys(event_type)}.")
    values = {}
    for name, kind in get_type_hints(event_type).items():
        key = _key(name)
        if event.get(key) is not None or key in required:
            values[name] = _value(kind, event[key])
    return event_type(**values)


def _value(kind: Any, value: Any) -> Any:
    for each in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        if is_dataclass(each) and isinstance(value, Mapping):
            return _instance(each, value)  # type: ignore[arg-type]  # a class, because it is a type
        if get_origin(each) is list and isinstance(value, list):
            return [_value(get_args(each)[0], item) for item in value]
    return value


def _key(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _known_keys(event_type: "type[DataclassInstance]") -> str:
    required, optional = keys(event_type)
    return f"required: {_listed(required)}; optional: {_listed(optional)}"


def _listed(names: AbstractSet[str]) -> str:
    return ", ".join(sorted(names)) or "none"
