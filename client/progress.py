"""What an execution's history tells while it grows: which states run, what the health checks found, what failed.

Nothing here knows the names of states: what an event means is read from its type and from the shape of its data, so
that a workflow that has gained a state is followed as well. Events: API reference of Step Functions, HistoryEvent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from client.text import JsonObject, parsed, plain

ENTERED, EXITED = "StateEntered", "StateExited"
# They branch in no time, and say nothing that the next state does not.
UNTOLD = ("ChoiceStateEntered",)
BRANCHING = ("Parallel", "Map")
ENDED = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")
FAILURE_CHARACTERS = 300


@dataclass(frozen=True)
class Line:
    """Something that happened: `seconds` after the execution began, and whether it is good, bad or neither."""

    seconds: float
    text: str
    good: bool | None = None


@dataclass
class Progress:
    """Reads events in their order, and keeps what they came to so far."""

    began: datetime | None = None
    last: int = 0
    ended: bool = False
    running: list[str] = field(default_factory=list)
    states: list[JsonObject] = field(default_factory=list)
    health_checks: list[JsonObject] = field(default_factory=list)
    plan: JsonObject | None = None
    _state_of: dict[int, str] = field(default_factory=dict)

    def read(self, event: Mapping[str, Any]) -> Iterator[Line]:
        """Takes the next event, and returns what there is to say about it."""
        self.began = self.began or event["timestamp"]
        self.last = event["id"]
        kind, details = str(event["type"]), _details(event)
        seconds = (event["timestamp"] - self.began).total_seconds()
        self.ended = self.ended or kind in ENDED
        state = self._state_of.get(event.get("previousEventId", 0), "")
        if kind.endswith(ENTERED):
            state = str(details.get("name", ""))
            if kind not in UNTOLD:
                self.running.append(state)
                self.states.append({"name": state, "seconds": round(seconds, 3)})
                yield Line(seconds, plain(state))
        elif kind.endswith(EXITED):
            self._exited(kind, str(details.get("name", "")))
            state = ""
        elif "error" in details and not kind.startswith("Execution"):
            yield Line(seconds, f"{plain(state) or 'a step'} failed: {_failure(details)}", good=False)
        elif kind == "TaskSucceeded":
            yield from self._succeeded(seconds, parsed(details.get("output")))
        self._state_of[event["id"]] = state

    @property
    def now(self) -> str:
        """The states that run now, as one text: where there are branches, the state that has them first."""
        idle = "between two states" if self.states else "starting"
        first, *others = [plain(name) for name in self.running] or [idle]
        return f"{first}: {', '.join(others)}" if others else first

    def _exited(self, kind: str, name: str) -> None:
        if name not in self.running:
            return
        index = self.running.index(name)
        # A branch that failed, or was cancelled with it, is not exited itself.
        branches = kind.startswith(BRANCHING)
        self.running = self.running[:index] + ([] if branches else self.running[index + 1 :])

    def _succeeded(self, seconds: float, output: object) -> Iterator[Line]:
        payload = output.get("Payload") if isinstance(output, dict) else None
        if not isinstance(payload, dict):
            return
        if all(isinstance(payload.get(key), dict) for key in ("live", "idle", "production", "staging")):
            self.plan = payload
            if reason := payload.get("reason"):
                yield Line(seconds, f"plan: {plain(reason)}")
        if "healthy" in payload:
            self.health_checks.append({**payload, "checks": _checks(payload)})
            good = payload["healthy"] is True
            yield Line(seconds, _health(payload), good=good)
            for check in _checks(payload):
                yield Line(seconds, _probes(check), good=good)


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one value of an event whose key ends so; each type of event has a key of its own for it."""
    return next((value for key, value in event.items() if key.endswith("EventDetails") and isinstance(value, dict)), {})


def _failure(details: Mapping[str, Any]) -> str:
    cause = details.get("cause", "")
    inner = parsed(cause)
    message = inner.get("errorMessage", cause) if isinstance(inner, dict) else cause
    return plain(f"{details['error']}: {message}" if message else details["error"], FAILURE_CHARACTERS)


def _checks(payload: Mapping[str, Any]) -> list[JsonObject]:
    """What was asked and what was found: a list of checks with their probes, or probes of the only check."""
    checks = payload.get("checks")
    if not isinstance(checks, list):
        checks = [{"probes": payload["probes"]}] if isinstance(payload.get("probes"), list) else []
    return [check for check in checks if isinstance(check, dict) and isinstance(check.get("probes"), list)]


def _health(payload: Mapping[str, Any]) -> str:
    found = "healthy" if payload["healthy"] is True else "not healthy"
    server = payload.get("server")
    name = server.get("name") if isinstance(server, dict) else server
    through = " ".join(plain(payload[key]) for key in ("address", "publicIp") if payload.get(key))
    return f"{plain(name) if name else 'the server'} is {found}{f' through {through}' if through else ''}"


def _probes(check: Mapping[str, Any]) -> str:
    asked = f"{plain(check['check'])}: " if check.get("check") else "probes: "
    return asked + (", ".join(_probe(each) for each in check["probes"] if isinstance(each, dict)) or "none")


def _probe(probe: Mapping[str, Any]) -> str:
    found = ": ".join(plain(probe[key], 120) for key in ("status", "error") if probe.get(key) is not None)
    milliseconds = probe.get("milliseconds")
    return (found or "nothing") + (f" in {milliseconds:.0f} ms" if isinstance(milliseconds, int | float) else "")
