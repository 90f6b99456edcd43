"""What the history of a running execution shows: the running states, the results of health checks, the failures.

This module knows no state by name, so the client can also follow a workflow with a new state. The type of an event and
the shape of its data say what the event means. Events: API reference of Step Functions, HistoryEvent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from client.text import JsonObject, as_object, parsed, plain

ENDED = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")
FAILURE_CHARACTERS = 300


@dataclass(frozen=True)
class Line:
    """An event `seconds` after the execution began. `good` is None if the event is neither good nor bad."""

    seconds: float
    text: str
    good: bool | None = None


@dataclass
class Progress:
    """Reads events in order, and keeps what they show."""

    began: datetime | None = None
    last: int = 0
    ended: bool = False
    running: list[str] = field(default_factory=list)
    states: list[JsonObject] = field(default_factory=list)
    health_checks: list[JsonObject] = field(default_factory=list)
    plan: JsonObject | None = None
    _state_of: dict[int, str] = field(default_factory=dict)

    def read(self, event: Mapping[str, Any]) -> list[Line]:
        """Take the next event. Returns the lines to print about it."""
        self.began = self.began or event["timestamp"]
        self.last = event["id"]
        kind = str(event["type"])
        # Each type of event has its own key for its details.
        details = next((as_object(value) for key, value in event.items() if key.endswith("EventDetails")), {})
        seconds = (event["timestamp"] - self.began).total_seconds()
        self.ended = self.ended or kind in ENDED
        state = self._state_of.get(event.get("previousEventId", 0), "")
        lines: list[Line] = []
        if kind.endswith("StateEntered"):
            state = str(details.get("name", ""))
            # A Choice takes no time, and the next state shows its result.
            if kind != "ChoiceStateEntered":
                self.running.append(state)
                self.states.append({"name": state, "seconds": round(seconds, 3)})
                lines = [Line(seconds, plain(state))]
        elif kind.endswith("StateExited"):
            if (name := str(details.get("name", ""))) in self.running:
                index = self.running.index(name)
                # A branch that failed, or that this failure cancelled, has no exit event of its own.
                del self.running[index : None if kind.startswith(("Parallel", "Map")) else index + 1]
            state = ""
        elif "error" in details and not kind.startswith("Execution"):
            cause = details.get("cause", "")
            message = as_object(parsed(cause)).get("errorMessage", cause)
            error = plain(f"{details['error']}: {message}" if message else details["error"], FAILURE_CHARACTERS)
            lines = [Line(seconds, f"{plain(state) or 'a step'} failed: {error}", good=False)]
        elif kind == "TaskSucceeded":
            lines = list(self._succeeded(seconds, parsed(details.get("output"))))
        self._state_of[event["id"]] = state
        return lines

    @property
    def now(self) -> str:
        """The states that run now, as one text, with an outer state before its inner states."""
        idle = "between two states" if self.states else "starting"
        first, *others = map(plain, self.running or [idle])
        return f"{first}: {', '.join(others)}" if others else first

    def _succeeded(self, seconds: float, output: object) -> Iterator[Line]:
        payload = as_object(as_object(output).get("Payload"))
        if all(isinstance(payload.get(key), dict) for key in ("live", "idle", "production", "staging")):
            self.plan = payload
            if reason := payload.get("reason"):
                yield Line(seconds, f"plan: {plain(reason)}")
        if "healthy" in payload:
            checks = payload["checks"] if isinstance(payload.get("checks"), list) else []
            report = {**payload, "checks": [each for each in checks if isinstance(as_object(each).get("probes"), list)]}
            self.health_checks.append(report)
            for text in _health(report):
                yield Line(seconds, text, good=payload["healthy"] is True)


def _health(report: Mapping[str, Any]) -> Iterator[str]:
    """The server's health, and the probes of each check."""
    health = "healthy" if report["healthy"] is True else "not healthy"
    through = " ".join(plain(report[key]) for key in ("address", "publicIp") if report.get(key))
    yield f"{plain(report.get('server') or 'the server')} is {health}{f' through {through}' if through else ''}"
    for check in report["checks"]:
        probes = ", ".join(_probe(probe) for probe in check["probes"] if isinstance(probe, dict))
        yield f"{plain(check.get('check', 'probes'))}: {probes or 'none'}"


def _probe(probe: Mapping[str, Any]) -> str:
    answer = ": ".join(plain(probe[key], 120) for key in ("status", "error") if probe.get(key) is not None)
    milliseconds = probe.get("milliseconds")
    return (answer or "nothing") + (f" in {milliseconds:.0f} ms" if isinstance(milliseconds, int | float) else "")
