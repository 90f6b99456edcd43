"""JSONata expressions as Python closures, which evaluate ten times as fast as jsonata-python walks its syntax tree.

Only what the workflows' expressions mostly consist of is compiled, and only where the result is sure to be that of the
library: if a value turns up that JSONata treats in a way of its own, such as a list within a path, the closure raises
Unusual, and the library evaluates the expression. A test compares both on random values. Values are the library's: None
is undefined, and `NULL` is null.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from jsonata import Jsonata
from jsonata.functions import Functions

from tests.simulation.compiled_functions import NULL, JList, NotCompiled, Unusual, native, parse

Bindings = dict[str, Any]  # the values of variables by name, and under `MILLIS` what returns the time
Evaluate = Callable[[Bindings], Any]
MILLIS = ""
# What a node of the syntax tree may have besides its own kind of children: nothing of it is compiled.
EXTRAS = (
    "group", "focus", "index", "tuple", "ancestor", "keep_array", "consarray", "keep_singleton_array", "next_function",
)  # fmt: skip


def compiled(tree: Any) -> Evaluate | None:
    """What evaluates a syntax tree of jsonata-python; None if something in it is not compiled."""
    try:
        return None if _binds(tree) else _node(tree)
    except NotCompiled:
        return None


def is_place(tree: Any) -> bool:
    """Whether the value is one that a variable has already."""
    return bool(tree.type == "variable" or (tree.type == "path" and tree.steps[0].type == "variable"))


def _node(node: Any) -> Evaluate:
    if any(getattr(node, extra, None) for extra in EXTRAS) or getattr(node, "stages", None):
        raise NotCompiled
    if node.type not in KINDS:
        raise NotCompiled
    evaluate = KINDS[node.type](node)
    return _at(evaluate, node.predicate) if getattr(node, "predicate", None) else evaluate


def _at(evaluate: Evaluate, predicate: Sequence[Any]) -> Evaluate:
    """An item of a list, by its number."""
    if len(predicate) > 1 or predicate[0].expr.type != "number" or predicate[0].expr.value < 0:
        raise NotCompiled
    number = int(predicate[0].expr.value)

    def item(bindings: Bindings) -> Any:
        value = evaluate(bindings)
        if not isinstance(value, list):
            return value if number == 0 else None
        if number >= len(value):
            return None
        found = value[number]
        if isinstance(found, list):
            raise Unusual
        return NULL if found is None else found

    return item


def _literal(node: Any) -> Evaluate:
    value = NULL if node.value is None else node.value
    return lambda _: value


def _variable(node: Any) -> Evaluate:
    name = node.value
    if name in ("", "$"):
        raise NotCompiled
    if name not in Jsonata.static_frame.bindings:
        return lambda bindings: bindings.get(name)

    def value_or_function(bindings: Bindings) -> Any:
        value = bindings.get(name)
        if value is None:
            raise Unusual
        return value

    return value_or_function


def _path(node: Any) -> Evaluate:
    first, *steps = node.steps
    if first.type not in ("variable", "function", "block"):
        raise NotCompiled
    evaluate = _step_of_root(first)
    for step in steps:
        evaluate = _step(evaluate, step, last=step is steps[-1])
    return evaluate


def _step_of_root(node: Any) -> Evaluate:
    stages, node.stages = getattr(node, "stages", None), None
    try:
        evaluate = _node(node)
    finally:
        node.stages = stages
    return _at(evaluate, stages) if stages else evaluate


def _step(evaluate: Evaluate, node: Any, *, last: bool) -> Evaluate:
    """The value of a key. A list is on no path: JSONata would look in each of its items."""
    if node.type != "name" or getattr(node, "predicate", None) or any(getattr(node, extra, None) for extra in EXTRAS):
        raise NotCompiled
    key, stages = str(node.value), getattr(node, "stages", None)

    def value_of(bindings: Bindings) -> Any:
        value = evaluate(bindings)
        if type(value) is not dict:
            if isinstance(value, list):
                raise Unusual
            return None
        value = value.get(key, value_of)
        if value is value_of:
            return None
        return NULL if value is None else value

    return _at(value_of, stages) if stages else value_of


def _block(node: Any) -> Evaluate:
    """Its variables are its own."""
    *before, last = [_node(each) for each in node.expressions]
    if not before and not _binds(node.expressions[0]):
        return last

    def evaluate(bindings: Bindings) -> Any:
        bindings = dict(bindings)
        for each in before:
            each(bindings)
        return last(bindings)

    return evaluate


def _binds(node: Any) -> bool:
    return bool(node.type == "bind")


def _bind(node: Any) -> Evaluate:
    name, value = node.lhs.value, _node(node.rhs)

    def evaluate(bindings: Bindings) -> Any:
        bindings[name] = result = value(bindings)
        return result

    return evaluate


def _condition(node: Any) -> Evaluate:
    condition, then = _node(node.condition), _node(node.then)
    otherwise = _node(node._else) if node._else is not None else lambda _: None
    return lambda bindings: (then if _truth(condition(bindings)) else otherwise)(bindings)


def _truth(value: Any) -> bool:
    return value if type(value) is bool else Jsonata.boolize(value)


def _unary(node: Any) -> Evaluate:
    match node.value:
        case "[":
            return _array([(_node(each), str(each.value) == "[") for each in node.expressions])
        case "{":
            return _object([(key.value, _node(value)) for key, value in node.lhs_object if _is_key(key)])
    raise NotCompiled


def _is_key(node: Any) -> bool:
    if node.type != "string":
        raise NotCompiled
    return True


def _array(items: Sequence[tuple[Evaluate, bool]]) -> Evaluate:
    def evaluate(bindings: Bindings) -> Any:
        result = JList()
        for item, is_array in items:
            value = item(bindings)
            if isinstance(value, list) and not is_array:
                result.extend(value)
            elif value is not None:
                result.append(value)
        return result

    return evaluate


def _object(members: Sequence[tuple[str, Evaluate]]) -> Evaluate:
    if len({key for key, _ in members}) < len(members):
        raise NotCompiled

    def evaluate(bindings: Bindings) -> Any:
        values = [(key, value(bindings)) for key, value in members]
        return {key: value for key, value in values if value is not None}

    return evaluate


def _binary(node: Any) -> Evaluate:
    left, right, operator = _node(node.lhs), _node(node.rhs), str(node.value)
    if operator == "and":
        return lambda bindings: _truth(left(bindings)) and _truth(right(bindings))
    if operator == "or":
        return lambda bindings: _truth(left(bindings)) or _truth(right(bindings))
    if operator not in OPERATORS:
        raise NotCompiled
    operate = OPERATORS[operator]
    return lambda bindings: operate(left(bindings), right(bindings))


def _equal(left: Any, right: Any) -> bool:
    if type(left) is str and type(right) is str:
        return left == right
    return bool(LIBRARY.evaluate_equality_expression(left, right, "="))


def _unequal(left: Any, right: Any) -> bool:
    return bool(LIBRARY.evaluate_equality_expression(left, right, "!="))


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    return "" if value is None else str(Functions.string(value, None))


def _regex(node: Any) -> Evaluate:
    return lambda _: node.value


def _lambda(node: Any) -> Evaluate:
    if node.signature is not None or node.thunk:
        raise NotCompiled
    names, body = [str(each.value) for each in node.arguments], _body(node.body)

    def make(bindings: Bindings) -> Any:
        return lambda *values: body({**bindings, **dict(zip(names, values, strict=False))})

    return make


def _body(node: Any) -> Evaluate:
    """A call at the end of a function is wrapped, for jsonata-python to make it without recursion."""
    return _node(node.body if node.type == "lambda" and node.thunk else node)


def _function(node: Any) -> Evaluate:
    if node.procedure.type != "variable":
        raise NotCompiled
    name, arguments = node.procedure.value, [_node(each) for each in node.arguments or []]
    function = native(name)

    def evaluate(bindings: Bindings) -> Any:
        own = bindings.get(name)
        values = [each(bindings) for each in arguments]
        if own is not None:
            if not callable(own):
                raise Unusual
            return own(*values)
        if function is None:
            raise Unusual
        return function(values)

    match name, arguments:
        case "millis", []:
            return lambda bindings: bindings[MILLIS]()
        case "now", []:
            return lambda bindings: Functions.datetime_from_millis(bindings[MILLIS](), None, None)
        case "parse", [text]:
            return lambda bindings: parse(text(bindings))
    return evaluate


LIBRARY = Jsonata("1")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": _equal,
    "!=": _unequal,
    "&": lambda left, right: _text(left) + _text(right),
    "in": LIBRARY.evaluate_includes_expression,
    **{each: partial(LIBRARY.evaluate_numeric_expression, op=each) for each in ("+", "-", "*", "/", "%")},
    **{each: partial(LIBRARY.evaluate_comparison_expression, op=each) for each in ("<", "<=", ">", ">=")},
}
KINDS: dict[str, Callable[[Any], Evaluate]] = {
    "string": _literal,
    "number": _literal,
    "value": _literal,
    "variable": _variable,
    "path": _path,
    "block": _block,
    "bind": _bind,
    "condition": _condition,
    "unary": _unary,
    "binary": _binary,
    "regex": _regex,
    "lambda": _lambda,
    "function": _function,
}
