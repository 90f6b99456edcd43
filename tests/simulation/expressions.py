"""JSONata as Step Functions evaluates it: what is undefined, or throws, or is a function, fails its state.

An expression is parsed once, and compiled to closures as far as `compiled` knows it. jsonata-python evaluates the rest.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any

from jsonata import Jsonata
from jsonata.jexception import JException

from tests.simulation.compiled import MILLIS, Bindings, compiled, is_place
from tests.simulation.compiled_functions import NULL, parse

EXPRESSION = re.compile(r"\{%(.*)%\}", re.DOTALL)
NOT_ON_AWS = re.compile(r"\$eval\b")
Template = Callable[["Scope"], Any]


class QueryFailed(Exception):
    """States.QueryEvaluationError, with its cause."""


class Scope:
    """What an expression sees: the variables, `$states`, and the time in milliseconds since the epoch."""

    def __init__(self, variables: Mapping[str, Any], states: Mapping[str, Any], millis: Callable[[], int]) -> None:
        self._variables, self._states, self.millis = variables, states, millis

    @cached_property
    def bindings(self) -> Bindings:
        """The variables do not change before the state ends."""
        variables = {name: NULL if value is None else value for name, value in self._variables.items()}
        return {**variables, "states": self._states, MILLIS: self.millis}


class Expression:
    """A JSONata expression, without the `{% %}` around it."""

    def __init__(self, text: str) -> None:
        if NOT_ON_AWS.search(text):
            raise ValueError(f"Step Functions has no $eval: {text}")
        self.text = text
        self._jsonata = Jsonata(text)
        self._compiled = compiled(self._jsonata.ast)
        self._is_place = is_place(self._jsonata.ast)

    @property
    def is_compiled(self) -> bool:
        return self._compiled is not None

    def value(self, scope: Scope) -> Any:
        """The result; QueryFailed if it is undefined, or if the evaluation throws."""
        if self._compiled is None:
            return self.by_library(scope)
        try:
            result = self._compiled(scope.bindings)
        except Exception:  # also what the library throws, which then says what is wrong
            return self.by_library(scope)
        return (None if result is NULL else result) if self._is_place and result is not None else self._json(result)

    def by_library(self, scope: Scope) -> Any:
        """The same by jsonata-python alone."""
        variables = Jsonata.Frame(FUNCTIONS)
        variables.bindings = scope.bindings
        jsonata = self._jsonata
        jsonata.timestamp = scope.millis()
        Jsonata.CURRENT.jsonata = jsonata  # that functions ask for the time
        try:
            return self._json(jsonata.eval(jsonata.ast, None, Jsonata.Frame(variables)))
        except JException as error:
            reason = f"threw an error during evaluation. {error.error}: {error}"
            raise QueryFailed(f"The JSONata expression '{self.text}' {reason}") from error

    def _json(self, result: Any) -> Any:
        if result is None:
            raise QueryFailed(f"The JSONata expression '{self.text}' returned nothing (undefined).")
        return self._plain(result)

    def _plain(self, value: Any) -> Any:
        match value:
            case str() | bool() | int() | float() | None:
                return value
            case dict():
                return {key: self._plain(each) for key, each in value.items()}
            case list():
                return [self._plain(each) for each in value]
            case _ if value is NULL:
                return None
        raise QueryFailed(f"The JSONata expression '{self.text}' returned an unsupported result type.")


FUNCTIONS = Jsonata.Frame(Jsonata.static_frame)
FUNCTIONS.bind("parse", Jsonata.JLambda(parse))


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
