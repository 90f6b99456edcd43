"""The simulation compiles the workflows' expressions. They have the results that jsonata-python has."""

import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonata import Jsonata

from tests.simulation.expressions import EXPRESSION, Expression, QueryFailed, Scope
from tests.stacks.synthesis import WORKFLOWS, workflow_of

NAMES = re.compile(r"[.\"'](\w+)")
VARIABLES = re.compile(r"\$(\w+)")
FUNCTIONS = Jsonata.static_frame.bindings.keys()
ROUNDS = 40
SCALARS = (
    None, True, False, 0, 1, 2.5, -3, "", "-", "web", "RUNNING", "CUT_OVER", "RolledBack", "a.b",
    "2026-11-30T12:00:00.250Z", '{"errorMessage": "a reason"}', '{"key": [1, null]}', "an <angle> & \U0001f600",
    "Nothing was changed. More.",
)  # fmt: skip
MORE = (
    "$list[0].a", "$list.a", "$a.list[0]", "$a.list", "$nested[0]", "$nested.a", "[$a.list, null, [1]]", "$a.b.c.d",
    "$a[0].b", "{'k': $a.b, 'l': $list, 'n': null}", "$a.b = $list", "$list = $list", "$a.b & $list & null & 1.50",
    "$not($list)", "$count($a.list)", "$merge([$a, {'b': $b}])", "$append($a.list, $b)", "$append($b, $list)",
    "$list ? 1 : $b", "-$b", "$b in $list", "$b in [null, 1, 'web']", "$b < 2", "$b * 2 - $a.b / 4", "$exists($count)",
    "$map($list, $string)", "$b.b.b", "($x := $b; ($x := 1; $x); $x)", "$substring($b, 1, 2)", "$count", "$string($a)",
    "($f := function($x, $y) { $x & $y }; $f($b) & $f($a.b, 1))", "($string := 1; $string)", "$contains($b, '.')",
    "$type($list)", "$max($list)", "$b and $list or $a", "$a.list[b = 1].a", "$a.b[]", "$list^(a)", "$list.{'n': a}",
    "$a{b: a}", "$a.*", "$a.**.b", "$list[$ > 1]", "$list[-1]", "[$a.missing]", "[1..3]", "$list ~> $count", "$a.'b'.b",
    "$filter($list, function($n) { $n > 1 })", "$reduce($list, function($x, $y) { $x + $y })", "$lookup($a, 'b')",
    "$list@$s.{'n': $s.a}", "$list#$i.{'i': $i}", "function($x) { $x }(1)", "$a.b()", "$undefined(1)", "$sort($list)",
    "$match($b, /w(e)b/).groups",
)  # fmt: skip


def expressions_of(value: Any) -> Iterator[str]:
    match value:
        case str() if text := EXPRESSION.fullmatch(value):
            yield text[1].strip()
        case dict():
            for each in value.values():
                yield from expressions_of(each)
        case list():
            for each in value:
                yield from expressions_of(each)


@pytest.fixture(scope="session")
def expressions(template: dict[str, Any]) -> list[str]:
    return sorted({*(text for name in WORKFLOWS for text in expressions_of(workflow_of(template, name))), *MORE})


class Values:
    """Random values, of which many have the keys that an expression names."""

    def __init__(self, text: str, seed: int) -> None:
        self._random = random.Random(f"{seed}/{text}")  # noqa: S311  # repeatable
        self._keys = sorted({*NAMES.findall(text), "a", "b"})
        self._names = sorted({*VARIABLES.findall(text), "a", "list"} - {"states", "parse"} - FUNCTIONS)

    def scope(self) -> Scope:
        variables = {name: self._value(3) for name in self._names if self._random.random() < 0.9}
        states = {name: self._value(4) for name in ("input", "result", "errorOutput", "context")}
        return Scope(variables, states, lambda: 1796040000250)

    def _value(self, depth: int) -> Any:
        kind = self._random.random()
        if depth and kind < 0.6:
            keys = self._random.sample(self._keys, min(4, len(self._keys)))
            return {key: self._value(depth - 1) for key in keys}
        if depth and kind < 0.7:
            return [self._value(depth - 2 if depth > 1 else 0) for _ in range(self._random.randrange(3))]
        return self._random.choice(SCALARS)


def result_of(evaluate: Callable[[Scope], Any], scope: Scope) -> str:
    try:
        return json.dumps(evaluate(scope))
    except QueryFailed as failure:
        return f"failed: {failure}"


def test_a_compiled_expression_has_the_result_of_jsonata_on_any_values(expressions: list[str]) -> None:
    compared = 0
    for text in expressions:
        expression = Expression(text)
        for seed in range(ROUNDS):
            scope = Values(text, seed).scope()
            try:
                expected = result_of(expression.by_library, scope)
            except Exception:  # noqa: S112  # of the library itself, for values that no workflow has
                continue
            before = json.dumps([scope.bindings["states"]])
            assert result_of(expression.value, scope) == expected, (text, seed)
            assert json.dumps([scope.bindings["states"]]) == before
            compared += 1
    assert compared > len(expressions) * ROUNDS * 0.7


def test_nearly_every_expression_is_compiled(expressions: list[str]) -> None:
    """One that is not takes ten times as long."""
    of_workflows = {*expressions} - {*MORE}
    compiled = [text for text in of_workflows if Expression(text).is_compiled]
    assert len(compiled) > len(of_workflows) * 0.98
