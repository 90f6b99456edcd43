"""The functions of JSONata for compiled expressions."""

import json
from collections.abc import Callable
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions
from jsonata.jexception import JException
from jsonata.utils import Utils

NULL, JList = Utils.NULL_VALUE, Utils.JList
Call = Callable[[list[Any]], Any]


class Unusual(Exception):
    """An expression meets a value that is not compiled: the library evaluates it this time."""


class NotCompiled(Exception):
    """An expression has a form that is not compiled: the library always evaluates it."""


def parse(text: Any) -> Any:
    """`$parse`, which Step Functions adds to JSONata."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise JException("D3120", -1) from error
    return NULL if value is None else value


def native(name: str) -> Callable[[list[Any]], Any] | None:
    """A function of JSONata, the most frequent ones without a look at its signature if it is sure to accept the values.
    Functions that take functions are not compiled."""
    function = Jsonata.static_frame.bindings.get(name)
    if name in TAKES_FUNCTIONS:
        raise NotCompiled
    if not isinstance(function, Jsonata.JNativeFunction):
        return None
    quick = QUICK.get(name)

    def call(values: list[Any]) -> Any:
        if quick:
            result = quick(values)
            if result is not UNSURE:
                return result
        if any(callable(value) for value in values):
            raise Unusual
        result = function.call(None, function.signature.validate(values, None))
        if type(result) is JList and result.sequence:
            raise Unusual
        return result

    return call


def _exists(values: list[Any]) -> Any:
    return values[0] is not None if len(values) == 1 else UNSURE


def _not(values: list[Any]) -> Any:
    return not values[0] if len(values) == 1 and type(values[0]) is bool else UNSURE


def _count(values: list[Any]) -> Any:
    return len(values[0]) if len(values) == 1 and isinstance(values[0], list) else UNSURE


def _string(values: list[Any]) -> Any:
    match values:
        case [str() as text]:
            return text
        case [dict() as value]:
            return Functions.string(value, None)
    return UNSURE


def _contains(values: list[Any]) -> Any:
    match values:
        case [str() as text, str() as part]:
            return part in text
    return UNSURE


def _append(values: list[Any]) -> Any:
    match values:
        case [list() as first, list() as second]:
            return Functions.append(first, second)
    return UNSURE


def _merge(values: list[Any]) -> Any:
    match values:
        case [list() as objects] if all(type(each) is dict for each in objects):
            return Functions.merge(objects)
    return UNSURE


def _substring(values: list[Any]) -> Any:
    match values:
        case [str() as text, int() as start, *length] if all(type(each) is int for each in length):
            return Functions.substring(text, start, *(length or [None]))
    return UNSURE


UNSURE: Any = object()
QUICK: dict[str, Callable[[list[Any]], Any]] = {
    "exists": _exists,
    "not": _not,
    "count": _count,
    "string": _string,
    "contains": _contains,
    "append": _append,
    "merge": _merge,
    "substring": _substring,
}
TAKES_FUNCTIONS = {"map", "filter", "single", "reduce", "sift", "each", "sort", "eval"}
