"""A definition in the Amazon States Language, prepared once: its expressions parsed, its states as objects.

Only what the three workflows use is known. Everything else is refused when the definition is prepared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.expressions import Template, template

ALL = "States.ALL"
# States.ALL does not catch them, and a retrier of States.ALL does not retry them.
TERMINAL = frozenset({"States.Runtime", "States.DataLimitExceeded"})
UNSUPPORTED_ERRORS = frozenset({"States.TaskFailed", "States.HeartbeatTimeout"})
LONGEST_TASK_SECONDS = 99_999_999
EVERYWHERE = {"Type", "Comment", "QueryLanguage"}
ENDING = {"Next", "End", "Assign", "Output"}
FIELDS = {
    "Task": {*ENDING, "Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch"},
    "Parallel": {*ENDING, "Branches", "Retry", "Catch"},
    "Choice": {"Choices", "Default"},
    "Wait": {*ENDING, "Seconds", "Timestamp"},
    "Pass": ENDING,
    "Succeed": {"Output"},
    "Fail": {"Error", "Cause"},
}


@dataclass(frozen=True, slots=True)
class Way:
    """Where a state leads, and what it assigns and hands on then. It leads nowhere at the end of the machine. `edge`
    names the way of a rule or of a catcher."""

    to: str | None
    assign: Template | None
    output: Template | None
    edge: str | None


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors that a Retry or a Catch names."""

    names: frozenset[str]

    def include(self, error: str) -> bool:
        return error in self.names or (ALL in self.names and error not in TERMINAL)


@dataclass(frozen=True, slots=True)
class Retrier:
    errors: Errors
    attempts: int
    interval: float
    rate: float
    longest: float
    jitter: bool

    def delay(self, retry: int) -> float:
        """The seconds before the first, second, ... retry, at most if there is jitter."""
        return min(self.longest, self.interval * self.rate ** min(retry - 1, 64))


@dataclass(frozen=True, slots=True)
class Catcher:
    errors: Errors
    way: Way


@dataclass(frozen=True, slots=True)
class Rule:
    condition: Template
    way: Way


@dataclass(frozen=True, slots=True)
class State:
    name: str
    way: Way

    def ways(self) -> Iterator[Way]:
        yield self.way


@dataclass(frozen=True, slots=True)
class Handled(State):
    """A state whose errors may be retried and caught."""

    retry: Sequence[Retrier]
    catch: Sequence[Catcher]

    def ways(self) -> Iterator[Way]:
        yield self.way
        yield from (catcher.way for catcher in self.catch)


@dataclass(frozen=True, slots=True)
class Task(Handled):
    resource: str
    arguments: Template
    timeout: Template

    @property
    def waits_for_token(self) -> bool:
        return self.resource.endswith(".waitForTaskToken")


@dataclass(frozen=True, slots=True)
class Parallel(Handled):
    branches: Sequence["Machine"]


@dataclass(frozen=True, slots=True)
class Choice(State):
    """`way` is the default."""

    rules: Sequence[Rule]

    def ways(self) -> Iterator[Way]:
        yield from (rule.way for rule in self.rules)
        yield self.way


@dataclass(frozen=True, slots=True)
class Wait(State):
    seconds: Template | None
    timestamp: Template | None


@dataclass(frozen=True, slots=True)
class Pass(State):
    """Or a Succeed state, which leads nowhere."""


@dataclass(frozen=True, slots=True)
class Fail(State):
    error: Template | None
    cause: Template | None


class Machine:
    """The states of a definition, or of a branch. `timeout_seconds` is for who runs it."""

    def __init__(self, definition: Mapping[str, Any], *, query_language: str = "JSONPath") -> None:
        language = definition.get("QueryLanguage", query_language)
        self.start = str(definition["StartAt"])
        self.timeout_seconds: float | None = definition.get("TimeoutSeconds")
        self.states = {name: _state(name, fields, language) for name, fields in definition["States"].items()}

    def every_state(self) -> Iterator[State]:
        """Those of the branches, too."""
        for state in self.states.values():
            yield state
            if isinstance(state, Parallel):
                for branch in state.branches:
                    yield from branch.every_state()


def _state(name: str, fields: Mapping[str, Any], query_language: str) -> State:
    kind = fields["Type"]
    if fields.get("QueryLanguage", query_language) != "JSONata":
        raise ValueError(f"state {name}: only JSONata is supported")
    if unknown := fields.keys() - EVERYWHERE - FIELDS.get(kind, set()):
        raise ValueError(f"state {name} of type {kind}: not supported here: {', '.join(sorted(unknown))}")
    way = _way(fields, fields.get("Next"))
    match kind:
        case "Task":
            arguments, timeout = fields.get("Arguments", {}), fields.get("TimeoutSeconds", LONGEST_TASK_SECONDS)
            return Task(name, way, *_handling(name, fields), fields["Resource"], template(arguments), template(timeout))
        case "Parallel":
            branches = [Machine(branch, query_language="JSONata") for branch in fields["Branches"]]
            return Parallel(name, way, *_handling(name, fields), branches)
        case "Choice":
            rules = [
                Rule(template(rule["Condition"]), _way(rule, rule["Next"], f"{name}, rule {number}"))
                for number, rule in enumerate(fields["Choices"], 1)
            ]
            return Choice(name, _way(fields, fields.get("Default"), f"{name}, default"), rules)
        case "Wait":
            return Wait(name, way, _optional(fields, "Seconds"), _optional(fields, "Timestamp"))
        case "Pass" | "Succeed":
            return Pass(name, way)
        case "Fail":
            return Fail(name, way, _optional(fields, "Error"), _optional(fields, "Cause"))
    raise ValueError(f"state {name}: type {kind} is not supported here")


def _way(fields: Mapping[str, Any], to: str | None, edge: str | None = None) -> Way:
    return Way(to, _optional(fields, "Assign"), _optional(fields, "Output"), edge and f"{edge}: {to}")


def _optional(fields: Mapping[str, Any], name: str) -> Template | None:
    return template(fields[name]) if name in fields else None


def _handling(name: str, fields: Mapping[str, Any]) -> tuple[Sequence[Retrier], Sequence[Catcher]]:
    catchers = [
        Catcher(_errors(each), _way(each, each["Next"], f"{name}, catcher {number}"))
        for number, each in enumerate(fields.get("Catch", []), 1)
    ]
    return [_retrier(each) for each in fields.get("Retry", [])], catchers


def _errors(fields: Mapping[str, Any]) -> Errors:
    names = frozenset(fields["ErrorEquals"])
    if unsupported := names & UNSUPPORTED_ERRORS:
        raise ValueError(f"not supported here: {', '.join(sorted(unsupported))}")
    return Errors(names)


def _retrier(fields: Mapping[str, Any]) -> Retrier:
    """With the defaults of the specification."""
    return Retrier(
        _errors(fields),
        fields.get("MaxAttempts", 3),
        fields.get("IntervalSeconds", 1),
        fields.get("BackoffRate", 2),
        fields.get("MaxDelaySeconds", float("inf")),
        fields.get("JitterStrategy", "NONE") == "FULL",
    )
