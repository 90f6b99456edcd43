"""JSONata as Step Functions evaluates it: what is undefined, or throws, or is a function, fails its state.

An expression is parsed once. A path such as `$plan.idle.name` is followed here, in a hundredth of the time.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonata.jexception import JException
from jsonata.utils import Utils

from tests.simulation.quick_jsonata import Jsonata

EXPRESSION = re.compile(r"\{%(.*)%\}", re.DOTALL)
PATH = re.compile(r"\$([A-Za-z]\w*)((?:\.(?!(?:true|false|null|and|or|in)\b)[A-Za-z]\w*)*)")
LITERALS = {"true": True, "false": False, "null": None}
NOT_ON_AWS = re.compile(r"\$eval\b")
UNDEFINED: Any = object()
UNUSUAL: Any = object()
Template = Callable[["Scope"], Any]


class QueryFailed(Exception):
    """States.QueryEvaluationError, with its cause."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression sees: the variables, `$states`, and the time in milliseconds since the epoch."""

    variables: Mapping[str, Any]
    states: Mapping[str, Any]
    millis: Callable[[], int]


class Expression:
    """A JSONata expression, without the `{% %}` around it."""

    def __init__(self, text: str) -> None:
        if NOT_ON_AWS.search(text):
            raise ValueError(f"Step Functions has no $eval: {text}")
        self.text = text
        self._jsonata = Jsonata(text)
        path = PATH.fullmatch(text)
        self._path = (path[1], path[2].split(".")[1:]) if path else None
        self._literal = LITERALS.get(text, UNUSUAL)

    def value(self, scope: Scope) -> Any:
        """The result; QueryFailed if there is none, or if the evaluation throws."""
        result = self.quick(scope)
        if result is UNUSUAL:
            result = self.thorough(scope)
        if result is UNDEFINED:
            raise QueryFailed(f"The JSONata expression '{self.text}' returned nothing (undefined).")
        return result

    def quick(self, scope: Scope) -> Any:
        """A literal's or a path's result, maybe UNDEFINED; UNUSUAL if only JSONata knows."""
        if self._path is None:
            return self._literal
        name, keys = self._path
        value = scope.states if name == "states" else scope.variables.get(name, UNDEFINED)
        for key in keys:
            if type(value) is dict:
                value = value.get(key, UNDEFINED)
            elif isinstance(value, list):
                return UNUSUAL
            else:
                return UNDEFINED
        return value

    def thorough(self, scope: Scope) -> Any:
        """The same by JSONata alone."""
        frame = Jsonata.Frame(FUNCTIONS)
        frame.bindings = {name: Utils.NULL_VALUE if value is None else value for name, value in scope.variables.items()}
        frame.bindings["states"] = scope.states
        jsonata = self._jsonata
        jsonata.timestamp = scope.millis()
        Jsonata.CURRENT.jsonata = jsonata  # that functions ask for the time
        try:
            result = jsonata.eval(jsonata.ast, None, frame)
        except JException as error:
            reason = f"threw an error during evaluation. {error.error}: {error}"
            raise QueryFailed(f"The JSONata expression '{self.text}' {reason}") from error
        return UNDEFINED if result is None else self._in_json(result)

    def _in_json(self, value: Any) -> Any:
        match value:
            case dict():
                return {key: self._in_json(each) for key, each in value.items()}
            case list():
                return [self._in_json(each) for each in value]
            case None | str() | bool() | int() | float():
                return value
            case _ if value is Utils.NULL_VALUE:
                return None
        raise QueryFailed(f"The JSONata expression '{self.text}' returned an unsupported result type.")


def _parse(text: Any) -> Any:
    """`$parse`, which Step Functions adds to JSONata."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise JException("D3120", -1) from error
    return Utils.NULL_VALUE if value is None else value


FUNCTIONS = Jsonata.Frame(Jsonata.static_frame)
FUNCTIONS.bind("parse", Jsonata.JLambda(_parse))


@cache
def expression(text: str) -> Expression:
    return Expression(text)


def template(value: Any) -> Template:
    """The value of a field such as `Arguments`, with the result of each `{% expression %}` in its place."""
    match value:
        case str() if text := EXPRESSION.fullmatch(value):
            return expression(text[1].strip()).value
        case dict() if not is_constant(value):
            values = [(key, template(each)) for key, each in value.items()]
            return lambda scope: {key: each(scope) for key, each in values}
        case list() if not is_constant(value):
            items = [template(each) for each in value]
            return lambda scope: [each(scope) for each in items]
    return lambda _: value


def is_constant(value: Any) -> bool:
    match value:
        case dict():
            return all(is_constant(each) for each in value.values())
        case list():
            return all(is_constant(each) for each in value)
    return not (isinstance(value, str) and EXPRESSION.fullmatch(value))
