"""Runs the interpreter on the history of an execution, and says in words what it does otherwise.

Each try of a task is answered from the history. Times are not compared, nor what depends on the second.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.simulation.histories import ENDS, Event, History, Strand, parsed
from tests.simulation.interpreter import ExecutionFailed, Interpreter, TaskCall, TaskFailed
from tests.simulation.states import Machine

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
# What Step Functions writes before the cause if an expression cannot be evaluated.
WHERE = re.compile(r"An error occurred while executing the state '[^']*' \(entered at the event id #\d+\)\. ")
ENDED_BEFORE = {"ExecutionAborted", "ExecutionTimedOut"}
MILLISECONDS = 1_000_000_000_000  # a number above this is a time
SHOWN = 400


def differences(machine: Machine, events: Iterable[Mapping[str, Any]], execution: Mapping[str, Any]) -> list[str]:
    """How the interpreter differs from a history, if at all. `execution` is the context's Execution. If two branches
    have failed, either may have been the first. A state that asked for the time did so between two events."""
    events = list(events)
    replay = Replay(machine, History(events), execution)
    told = replay.run()
    others: list[dict[str, Any]] = [{"first_failure": choice} for choice in range(1, replay.failed_branches)]
    for other in [*others, {"asks_late": True}]:
        if told and Replay(machine, History(events), execution, **other).run() == []:
            return []
    return told


class CutOff(Exception):  # it is no error: the history ends here
    pass


class Diverged(Exception):
    """The interpreter does something else than what comes next in the history."""


class Replay:
    """The surroundings of an interpreter: what a history says."""

    def __init__(
        self,
        machine: Machine,
        history: History,
        execution: Mapping[str, Any],
        *,
        first_failure: int = 0,
        asks_late: bool = False,
    ) -> None:
        self._interpreter = Interpreter(machine, self)
        self._history, self._execution, self._first_failure = history, execution, first_failure
        self._strand = history.root
        self._at = 0.0
        self._asked_for_time, self._asks_late = False, asks_late
        self._told: list[str] = []
        self.failed_branches = 0

    def run(self) -> list[str]:
        end, details = self._history.end or ("none: it still runs", {})
        try:
            output = self._interpreter.run(self._execution)
        except CutOff:
            if not self._may_stop_early(end, details):
                self._told.append(f"the history ends early, with {end} {_short(details)}")
        except Diverged as difference:
            self._told.append(str(difference))
        except ExecutionFailed as failure:
            if end not in ENDED_BEFORE:
                expected = end, details.get("error"), details.get("cause")
                self._compare("the end", ("ExecutionFailed", failure.error, failure.cause), expected)
        else:
            if end not in ENDED_BEFORE:
                self._compare("the end", ("ExecutionSucceeded", output), (end, parsed(details.get("output"))))
        if not self._told:
            self._told += [f"the history goes on: {_shown(event)}" for event in self._history.unread()][:3]
        return self._told

    @staticmethod
    def _may_stop_early(end: str, details: Mapping[str, Any]) -> bool:
        """Step Functions itself fails an execution by States.Runtime, for example after 25,000 events."""
        return end in ENDED_BEFORE or not end.startswith("Execution") or details.get("error") == "States.Runtime"

    def now(self) -> float:
        self._asked_for_time = True
        return self._strand.next.at if self._asks_late and self._strand.next else self._at

    def pause(self, seconds: float) -> None:
        if self._strand.next:
            self._at = self._strand.next.at

    def jitter(self, state: str, longest: float) -> float:
        return longest

    def entered(self, state: str) -> None:
        event = self._read({"Entered"}, f"enters {state}")
        if event.name != state:
            raise Diverged(f"enters {state}, not as in the history: {_shown(event)}")

    def exited(self, state: str, output: Any, assigned: Mapping[str, Any]) -> None:
        event = self._read({"Exited"}, f"leaves {state}")
        if event.name != state:
            raise Diverged(f"leaves {state}, not as in the history: {_shown(event)}")
        self._compare(f"the output of {state}", output, parsed(event.details["output"]))
        expected = event.details.get("assignedVariables", {})
        self._compare(f"what {state} assigns", sorted(assigned), sorted(expected))
        for name in assigned.keys() & expected.keys():
            self._compare(f"${name} after {state}", assigned[name], _assigned(assigned[name], expected[name]))

    def failed(self, state: str, error: str | None, cause: str | None) -> None: ...

    def task(self, call: TaskCall) -> Any:
        asked_for_time = self._asked_for_time
        scheduled = self._read({"Scheduled"}, f"schedules {call.state}").details
        what = f"try {call.retry_count} of {call.state}"
        arguments = parsed(scheduled.get("parameters", scheduled.get("input")))
        self._compare(f"the arguments of {what}", call.arguments, arguments, token=call.token, near=asked_for_time)
        if timeout := scheduled.get("timeoutInSeconds"):
            self._compare(f"the timeout of {what}", call.timeout_seconds, timeout, near=asked_for_time)
        ended = self._read(ENDS, f"ends a {what}")
        if ended.kind == "Succeeded":
            return parsed(ended.details["output"])
        raise TaskFailed(ended.details.get("error", ""), ended.details.get("cause"))

    def together(self, branches: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        """One branch after the other. The history of one that has been cancelled is cut off."""
        fork, parent, at = self._read({"Forked"}, "starts branches"), self._strand, self._at
        results: list[Any] = []
        failures: list[tuple[int, ExecutionFailed]] = []
        cut_off: CutOff | None = None
        for name, run in branches:
            self._strand, self._at = self._history.branches.get((fork.id, name), Strand()), at
            try:
                results.append(run())
            except ExecutionFailed as failure:
                failures.append((self._strand.events[-1].id, failure))
            except CutOff as end:
                cut_off = end
        self._strand = parent
        if parent.next:
            self._at = parent.next.at
        if failures:
            self.failed_branches = max(self.failed_branches, len(failures))
            failures.sort(key=lambda each: each[0])
            raise failures[min(self._first_failure, len(failures) - 1)][1]
        if cut_off:
            raise cut_off
        return results

    def _read(self, kinds: set[str], act: str) -> Event:
        event = self._strand.next
        if event is None:
            raise CutOff
        if event.kind not in kinds:
            raise Diverged(f"{act}, not as in the history: {_shown(event)}")
        self._strand.read += 1
        self._at, self._asked_for_time = event.at, False
        return event

    def _compare(self, what: str, actual: Any, expected: Any, *, token: str | None = None, near: bool = False) -> None:
        if not _alike(actual, expected, token, near):
            self._told.append(f"{what}: {_short(actual)} here, {_short(expected)} in the history")


def _alike(actual: Any, expected: Any, token: str | None, near: bool) -> bool:
    match actual, expected:
        case dict(), dict():
            return actual.keys() == expected.keys() and all(
                _alike(actual[key], expected[key], token, near) for key in actual
            )
        case ((list() | tuple()), (list() | tuple())):
            pairs = zip(actual, expected, strict=False)
            return len(actual) == len(expected) and all(_alike(*pair, token, near) for pair in pairs)
        case str(), str():
            return actual in {expected, token} or TIME.sub("", actual) == WHERE.sub("", TIME.sub("", expected))
        case (bool(), _) | (_, bool()):
            return actual is expected
        case ((int() | float()), (int() | float())):
            return abs(actual - expected) <= (1 if near else 0) or min(actual, expected) > MILLISECONDS
    return bool(actual == expected)


def _assigned(actual: Any, text: str) -> Any:
    """moto writes a string in quotes without escaping it."""
    return actual if text == f'"{actual}"' else json.loads(text, strict=False)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _shown(event: Event) -> str:
    return f"event {event.id}, {event.kind} {_short(event.details)}"
