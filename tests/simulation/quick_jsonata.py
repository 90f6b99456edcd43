"""jsonata-python, evaluating some three times as fast: most of a run of a workflow goes into its expressions.

The library looks up two callbacks that nobody has set before and after each node, and treats `$plan.idle.name` as three
steps over sequences. The results are the same: a test evaluates every expression of the workflows both ways.
"""

from typing import Any

from jsonata import jsonata as library
from jsonata.utils import Utils

JList, NULL = Utils.JList, Utils.NULL_VALUE
OTHER: Any = object()


class Jsonata(library.Jsonata):  # type: ignore[misc]  # the library has no types
    """As the library's class."""

    input: Any
    environment: Any

    def eval(self, expr: Any, input: Any, environment: Any) -> Any:  # noqa: A002  # the library's name
        kind = expr.type
        if kind == "path":
            names = expr.__dict__.get("quick_names", OTHER)
            if names is OTHER:
                names = expr.quick_names = _names(expr)
            if names is not None:
                value = _followed(environment, names)
                if value is not OTHER:
                    return value
        elif kind in ("string", "number", "value") and _is_plain(expr):
            return expr.value if expr.value is not None else NULL
        elif kind == "variable" and expr.value != "" and _is_plain(expr):
            value = _variable(environment, str(expr.value))
            if type(value) is not JList:
                return value
        before = self.input, self.environment
        self.input, self.environment = input, environment
        try:
            return self._evaluated(kind, expr, input, environment)
        finally:
            self.input, self.environment = before

    def _evaluated(self, kind: str, expr: Any, input: Any, environment: Any) -> Any:  # noqa: A002
        """As `_eval` of the library."""
        evaluate = EVALUATE.get(kind)
        result = evaluate(self, expr, input, environment) if evaluate else None
        predicate = getattr(expr, "predicate", None)
        if predicate is not None:
            for item in predicate:
                result = self.evaluate_filter(item.expr, result, environment)
        if kind != "path" and getattr(expr, "group", None) is not None:
            result = self.evaluate_group_expression(expr.group, result, environment)
        if isinstance(result, JList) and result.sequence and not result.tuple_stream:
            if expr.keep_array:
                result.keep_singleton = True
            if not result:
                return None
            if len(result) == 1 and not result.keep_singleton:
                return result[0]
        return result

    def get_per_thread_instance(self) -> "Jsonata":
        return self


def _literal(jsonata: Jsonata, node: Any, *_: Any) -> Any:
    return jsonata.evaluate_literal(node)


# What evaluates a node, given the node, its input and its frame; the library calls some with less.
EVALUATE: dict[str, Any] = {
    "path": Jsonata.evaluate_path,
    "binary": Jsonata.evaluate_binary,
    "unary": Jsonata.evaluate_unary,
    "name": Jsonata.evaluate_name,
    "string": _literal,
    "number": _literal,
    "value": _literal,
    "wildcard": lambda jsonata, node, given, _: jsonata.evaluate_wildcard(node, given),
    "descendant": lambda jsonata, node, given, _: jsonata.evaluate_descendants(node, given),
    "parent": lambda _jsonata, node, _given, frame: frame.lookup(node.slot.label),
    "condition": Jsonata.evaluate_condition,
    "block": Jsonata.evaluate_block,
    "bind": Jsonata.evaluate_bind_expression,
    "regex": lambda jsonata, node, *_: jsonata.evaluate_regex(node),
    "function": lambda jsonata, node, given, frame: jsonata.evaluate_function(node, given, frame, Utils.NONE),
    "variable": Jsonata.evaluate_variable,
    "lambda": Jsonata.evaluate_lambda,
    "partial": Jsonata.evaluate_partial_application,
    "apply": Jsonata.evaluate_apply_expression,
    "transform": Jsonata.evaluate_transform_expression,
}


def _is_plain(expr: Any) -> bool:
    """Whether nothing else is to be done with the value of this node."""
    return (
        getattr(expr, "predicate", None) is None
        and getattr(expr, "group", None) is None
        and getattr(expr, "stages", None) is None
    )


def _names(expr: Any) -> tuple[str, ...] | None:
    """Of a path that begins with a variable and goes on with names only; None if it is another one."""
    if expr.group is not None or expr.keep_singleton_array or not _is_plain(expr) or expr.keep_array:
        return None
    first, *steps = expr.steps
    for step in expr.steps:
        if not _is_plain(step) or step.tuple is not None or step.focus is not None or step.consarray or step.keep_array:
            return None
    if first.type != "variable" or first.value in ("", "$") or any(step.type != "name" for step in steps):
        return None
    return (str(first.value), *(str(step.value) for step in steps))


def _variable(environment: Any, name: str) -> Any:
    frame = environment
    while frame is not None:
        value = frame.bindings.get(name, OTHER)
        if value is not OTHER:
            return value
        frame = frame.parent
    return None


def _followed(environment: Any, names: tuple[str, ...]) -> Any:
    """The value at the end of a path through objects; OTHER if a list is on the way."""
    value = _variable(environment, names[0])
    for name in names[1:]:
        if type(value) is not dict:
            return OTHER if isinstance(value, list | dict) else None
        if name not in value:
            return None
        value = value[name]
        if value is None:
            value = NULL
    return OTHER if type(value) is JList else value
