"""DynamoDB's expressions, as far as the workflows and functions use them: parsed once, kept as functions of an item.

Source: DynamoDB Developer Guide, "Condition and filter expressions, operators, and functions" and "Update expressions".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from tests.simulation.world.errors import AwsError, NotModelled

Value = dict[str, Any]  # such as {"S": "text"}
Item = dict[str, Value]
Values = Mapping[str, Value]
Operand = Callable[[Mapping[str, Value], Values], Value | None]
Condition = Callable[[Mapping[str, Value], Values], bool]
Action = Callable[[Mapping[str, Value], Values, Item], None]
TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*|:\w+|<>|[=(),])|(\S))")


@dataclass(frozen=True)
class Parsed:
    """A condition, or the changes of an update: given the item and the values, and for an update the new item.
    `values` are the names of the values that it uses."""

    evaluate: Any
    values: frozenset[str]


@cache
def condition(text: str) -> Parsed:
    tokens = _Tokens(text)
    evaluate = _alternatives(tokens)
    tokens.expect("")
    return Parsed(evaluate, frozenset(tokens.values))


@cache
def update(text: str) -> Parsed:
    """Raises AwsError if two of its changes are of one attribute."""
    tokens, actions, attributes = _Tokens(text), list[Action](), list[str]()
    clauses = {"SET": _set, "REMOVE": _remove, "ADD": _add}
    while tokens.next:
        parse = clauses.get(tokens.take().upper())
        if parse is None:
            raise tokens.unknown()
        while True:
            attributes.append(tokens.next)
            actions.append(parse(tokens))
            if not tokens.skip(","):
                break
    if len(set(attributes)) != len(attributes):
        raise AwsError("ValidationException", "Invalid UpdateExpression: Two document paths overlap with each other")

    def apply(item: Mapping[str, Value], values: Values, new: Item) -> None:
        for act in actions:
            act(item, values, new)

    return Parsed(apply, frozenset(tokens.values))


class _Tokens:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at = text, [], 0
        for known, unknown in TOKEN.findall(text):
            if unknown:
                raise self.unknown()
            self._tokens.append(known)
        self.values: set[str] = set()

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.next
        self._at += 1
        return token

    def skip(self, word: str) -> bool:
        if self.next.upper() == word:
            self._at += 1
            return True
        return False

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise self.unknown()

    def attribute(self) -> str:
        token = self.take()
        if not token.isidentifier():
            raise self.unknown()
        return token

    def value(self) -> str:
        token = self.take()
        if not token.startswith(":"):
            raise self.unknown()
        self.values.add(token)
        return token

    def unknown(self) -> NotModelled:
        return NotModelled(f"the expression {self._text}")


def _alternatives(tokens: _Tokens) -> Condition:
    first = _conjunction(tokens)
    if not tokens.skip("OR"):
        return first
    other = _alternatives(tokens)
    return lambda item, values: first(item, values) or other(item, values)


def _conjunction(tokens: _Tokens) -> Condition:
    first = _negation(tokens)
    if not tokens.skip("AND"):
        return first
    other = _conjunction(tokens)
    return lambda item, values: first(item, values) and other(item, values)


def _negation(tokens: _Tokens) -> Condition:
    if tokens.skip("NOT"):
        negated = _negation(tokens)
        return lambda item, values: not negated(item, values)
    if tokens.skip("("):
        inner = _alternatives(tokens)
        tokens.expect(")")
        return inner
    return _comparison(tokens)


def _comparison(tokens: _Tokens) -> Condition:
    name = tokens.attribute()
    match tokens.take():
        case "(":
            return _function(name, tokens)
        case "=":
            value = tokens.value()
            return lambda item, values: _equal(item.get(name), values[value])
        case "<>":
            value = tokens.value()
            return lambda item, values: not _equal(item.get(name), values[value])
        case "IN":
            tokens.expect("(")
            candidates = [tokens.value()]
            while tokens.skip(","):
                candidates.append(tokens.value())
            tokens.expect(")")
            return lambda item, values: any(_equal(item.get(name), values[each]) for each in candidates)
    raise tokens.unknown()


def _function(name: str, tokens: _Tokens) -> Condition:
    attribute = tokens.attribute()
    if name in ("attribute_exists", "attribute_not_exists"):
        tokens.expect(")")
        wanted = name == "attribute_exists"
        return lambda item, values: (attribute in item) is wanted
    tokens.expect(",")
    value = tokens.value()
    tokens.expect(")")
    match name:
        case "attribute_type":
            return lambda item, values: values[value]["S"] in item.get(attribute, {})
        case "contains":
            return lambda item, values: _contains(item.get(attribute, {}), values[value])
    raise tokens.unknown()


def _set(tokens: _Tokens) -> Action:
    attribute = tokens.attribute()
    tokens.expect("=")
    if not tokens.skip("IF_NOT_EXISTS"):
        value = tokens.value()
        return lambda item, values, new: new.__setitem__(attribute, values[value])
    tokens.expect("(")
    other = tokens.attribute()
    tokens.expect(",")
    value = tokens.value()
    tokens.expect(")")
    return lambda item, values, new: new.__setitem__(attribute, item.get(other) or values[value])


def _remove(tokens: _Tokens) -> Action:
    attribute = tokens.attribute()

    def remove(_item: Mapping[str, Value], _values: Values, new: Item) -> None:
        new.pop(attribute, None)

    return remove


def _add(tokens: _Tokens) -> Action:
    attribute, value = tokens.attribute(), tokens.value()

    def add(item: Mapping[str, Value], values: Values, new: Item) -> None:
        before, added = item.get(attribute, {"N": "0"}), values[value]
        if "N" not in before or "N" not in added:
            raise AwsError("ValidationException", "An operand in the update expression has an incorrect data type")
        new[attribute] = {"N": str(Decimal(before["N"]) + Decimal(added["N"]))}

    return add


def _equal(attribute: Value | None, value: Value) -> bool:
    if attribute is None or attribute == value:
        return attribute is not None
    return "N" in attribute and "N" in value and Decimal(attribute["N"]) == Decimal(value["N"])


def _contains(attribute: Value, value: Value) -> bool:
    return "S" in attribute and "S" in value and value["S"] in attribute["S"]
