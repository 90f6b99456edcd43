"""The quick evaluation of JSONata has the results of the library's own."""

from typing import Any

import pytest
from jsonata import jsonata as library
from jsonata.jexception import JException
from jsonata.utils import Utils

from tests.simulation.quick_jsonata import Jsonata

VARIABLES: dict[str, Any] = {
    "plan": {
        "pair": "web", "idle": {"name": "tao", "tags": ["a", "b"], "nothing": None, "empty": {}, "none": []},
        "servers": [{"name": "tao", "ports": [80, 443]}, {"name": "bittybot", "ports": [8080]}, {"other": 1}],
        "nested": [[1, 2], [3]], "one": [{"name": "alone"}], "live": True, "seconds": 60,
    },
    "list": [1, 2, 3], "text": "2026-01-01T00:00:00Z", "nothing": Utils.NULL_VALUE, "zero": 0, "warnings": [],
}  # fmt: skip
EXPRESSIONS = (
    "$plan", "$plan.pair", "$plan.idle.name", "$plan.idle.tags", "$plan.idle.nothing", "$plan.idle.nothing.name",
    "$plan.idle.missing", "$plan.idle.missing.name", "$plan.idle.empty", "$plan.idle.none", "$plan.pair.name",
    "$missing", "$missing.name", "$nothing", "$nothing.name", "$zero", "$list", "$list.name", "$warnings",
    "$plan.servers", "$plan.servers.name", "$plan.servers.ports", "$plan.servers[0].name", "$plan.servers[0]",
    "$plan.servers[name = 'tao'].ports[1]", "$plan.servers[ports = 80]", "$plan.servers.ports[0]", "$plan.nested",
    "$plan.nested[0]", "$plan.one", "$plan.one.name", "$plan.one.name[]", "$plan.idle.name[]", "$plan.servers^(name)",
    "$plan.servers.{'n': name}", "$plan{pair: seconds}", "$plan.servers{name: ports}", "$plan.*", "$plan.**.name",
    "$list[$ > 1]", "$list[-1]", "$plan.idle.tags[1]", "[$plan.idle.tags, $list]", "[$plan.idle.missing]",
    "$append($warnings, $plan.idle.tags)", "$append($warnings, $plan.idle.missing)", "[1..3]", "$list ~> $sum",
    "$map($plan.servers, function($each) { $each.name })", "$filter($list, function($n) { $n > 1 })",
    "$merge([$plan.idle, {'more': 1}])", "$exists($plan.idle.nothing)", "$exists($plan.idle.missing)",
    "$plan.idle.nothing = null", "$plan.idle.missing = null", "$nothing = null", "$plan.idle.tags[0] = 'a'",
    "$plan.seconds > 30 ? 'long' : 'short'", "($a := $plan.idle; $a.name & '-' & $plan.pair)", "$not($plan.live)",
    "$plan.idle.name in ['tao', 'other']", "$toMillis($text) + 1000 * $plan.seconds", "$string($plan)", "null", "-1",
    "true and $plan.live", "$substring($plan.pair, 0, 1)", "$join($map($list, $string), ', ')", "$plan.'idle'.name",
    "$reduce($list, function($a, $b) { $a + $b })", "$count($plan.servers)", "$lookup($plan, 'pair')", "$plan.pair & 1",
    "$plan.servers@$s.{'n': $s.name}", "$plan.servers#$i.{'i': $i}", "function($x) { $x }(1)", "$plan.pair + 1",
    "{'a': $plan.idle.nothing}", "$plan.idle.name()", "$undefined(1)", "$match($plan.pair, /w(e)b/).groups",
    "$sort($list)",
)  # fmt: skip


def evaluated(of: type[Any], expression: str) -> Any:
    """The result, or the code of the error."""
    jsonata = of(expression)
    frame = of.Frame(of.static_frame)
    frame.bindings = dict(VARIABLES)
    jsonata.timestamp = 0
    library.Jsonata.CURRENT.jsonata = jsonata
    try:
        result = jsonata.eval(jsonata.ast, None, frame)
    except JException as error:
        return error.error
    return plain(result)


def plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case None | str() | bool() | int() | float():
            return value
    return "null" if value is Utils.NULL_VALUE else "a function"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_has_the_librarys_result(expression: str) -> None:
    assert evaluated(Jsonata, expression) == evaluated(library.Jsonata, expression)
