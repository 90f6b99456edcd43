"""What a history of Step Functions says of an execution: its checks, its changes, and what the checker of the guarantees
observes (`Reader`); and what in it cannot be true (`contradictions`). Makes no calls. Source: Step Functions API
Reference, HistoryEvent."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from client.progress import FAILED_TRY, Progress
from client.result import ROLES, RUNNING
from client.text import JsonObject, as_object
from client.trace import (
    Changed,
    CommandBegan,
    CommandEnded,
    Entered,
    Event,
    Failed,
    Locked,
    Passed,
    Places,
    Seen,
    Unlocked,
)
from domain.lock import object_of
from domain.pair import AddressName
from domain.record import Record

PLACES, PLACE = ("live", "idle", "stagingTo"), ("instanceId", "privateIp")
CHECKS = ("HealthCheck", "CheckServers", "Rehearse", "Bake")
FAILURE = f"(?:{'|'.join(FAILED_TRY)}|EvaluationFailed)"
# Which event may follow which one of its branch.
LINK = re.compile(
    "(ExecutionStarted|ParallelStateStarted|[A-Z][a-z]+StateExited)>[A-Z][a-z]+StateEntered"
    f"|(TaskStateEntered|{FAILURE})>TaskScheduled|TaskScheduled>TaskStarted|TaskStarted>TaskSubmitted"
    f"|Task(Started|Submitted)>TaskSucceeded|[A-Z][A-Za-z]+>{FAILURE}|(TaskSucceeded|{FAILURE})>TaskStateExited"
    r"|(?P<kind>Choice|Wait|Pass|Succeed)StateEntered>(?P=kind)StateExited|ExecutionRedriven>[A-Z][A-Za-z]+"
    "|[A-Z][A-Za-z]+>(ParallelState(Started|Succeeded|Failed|Exited)|[A-Z][a-z]+StateAborted|Execution[A-Z][A-Za-z]+)"
)


def contradictions(described: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What cannot be true in a whole history of the execution that DescribeExecution shows so, in words."""
    # By event, what follows from it: its type and moment, and the value that it hands on. At first, that is the input.
    before = {0: ("ExecutionStarted", described["startDate"], _value(described.get("input")))}
    for number, event in enumerate(events, 1):
        previous, kind, details = event.get("previousEventId", 0), str(event["type"]), _details(event)
        what, (last, moment, given) = (
            f"Event {event['id']} ({kind})",
            before.get(previous, ("", event["timestamp"], None)),
        )
        if event["id"] != number:
            yield f"{what} is number {number} of the history: an event is missing or was moved."
        if not LINK.fullmatch(f"{last}>{kind}") or (previous == 0 and number > 2 and not kind.startswith("Execution")):
            yield f"{what} cannot follow event {previous} ({last or 'which is not before it'})."
        if event["timestamp"] < moment:
            yield f"{what} is earlier than event {previous}, which it follows."
        value = next((_value(details[key]) for key in ("input", "output") if key in details), given)
        if last == "TaskSucceeded":
            given = as_object(given).get("Payload") or value  # MeasureGap has no result
        if value != given and (last == "TaskSucceeded" or re.fullmatch(r"\w+StateEntered|ExecutionS\w+", kind)):
            yield f"{what} has another value than event {previous} handed on."
        before[event["id"]] = kind, event["timestamp"], value
    if described["status"] not in RUNNING:
        last, details = (str(events[-1]["type"]), _details(events[-1])) if events else ("", {})
        if last != f"Execution{described['status'].title().replace('_', '')}":
            yield f"The history ends with {last or 'nothing'}, but the execution is {described['status']}."
        for key in ("output", "error", "cause"):
            if _value(details.get(key)) != _value(described.get(key)) and (key != "output" or key in details):
                yield f"DescribeExecution shows another {key} than the history."


@dataclass
class Reader:
    """Reads the events of an execution in order. `checks` and `changes` are for people and programs."""

    execution: str
    progress: Progress = field(default_factory=Progress)
    checks: list[JsonObject] = field(default_factory=list)
    changes: list[JsonObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    approved_by: object = None
    shown: dict[AddressName, JsonObject] = field(default_factory=dict)  # both addresses, as they were shown last
    _asked: dict[str, JsonObject] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)
    _results: dict[str, JsonObject] = field(default_factory=dict)

    def read(self, event: Mapping[str, Any]) -> Iterator[Event]:
        """What the checker observes of the next event."""
        at, kind, details = event["timestamp"].timestamp(), str(event["type"]), _details(event)
        lines = self.progress.read(event)
        state = str(details.get("name") or self.progress.state_of[event["id"]])
        if kind.endswith("StateEntered"):
            self._failed.pop(state, None)
            yield Entered(at, self.execution, state)
        elif kind == "TaskScheduled":
            self._asked[state] = object_of(details.get("parameters"))
        elif kind == "TaskSucceeded":
            yield from self._succeed(at, state, object_of(details.get("output")))
        elif kind in FAILED_TRY or kind in ("EvaluationFailed", "ParallelStateFailed"):
            state = state if kind != "ParallelStateFailed" else self.progress.running[0]
            self._failed[state] = str(details.get("error", kind))
        elif kind.endswith("StateExited"):
            error = self._failed.get(state)
            passed = Passed(at, self.execution, state, self._results.get(state))
            yield Failed(at, self.execution, state, error) if error else passed
        if state.startswith(CHECKS) and (kind == "TaskSucceeded" or kind in FAILED_TRY):
            text, passed = "; ".join(line.text for line in lines), state not in self._failed
            self.checks.append({"at": event["timestamp"].isoformat(), "state": state, "passed": passed, "text": text})

    @property
    def places(self) -> Places | None:
        return Places.shown(self.shown) if len(self.shown) == len(ROLES) else None

    def _succeed(self, at: float, state: str, result: JsonObject) -> Iterator[Event]:
        payload, retried = as_object(result.get("Payload")), self._failed.pop(state, None) is not None
        self._results[state] = payload
        if not payload.get("healthy", True) is payload.get("passed", True) is True:
            self._failed[state] = "it has not passed"
        if "changed" in payload and isinstance(payload.get("address"), dict):
            yield from self._change(at, state, payload, retried=retried)
        if all(isinstance(payload.get(role), dict) for role in ROLES):
            for role in ROLES:
                yield from self._show(at, role, payload[role], by=None)
            yield Seen(at, Places.shown(self.shown))
        servers = {each["name"]: each["instanceId"] for each in map(self.progress.plan.get, PLACES) if as_object(each)}
        for command in payload["commands"] if isinstance(payload.get("commands"), list) else ():
            step, server = as_object(command).get("step"), as_object(command).get("server")
            yield CommandBegan(at, self.execution, str(step), servers.get(server))
            yield CommandEnded(at, self.execution, str(step), servers.get(server))
        self.approved_by = result.get("approvedBy", self.approved_by)
        yield from self._lock(at, state, as_object(result.get("Attributes")))

    def _change(self, at: float, state: str, payload: JsonObject, *, retried: bool) -> Iterator[Event]:
        address, asked = payload["address"], as_object(self._asked.get(state, {}).get("Payload"))
        if asked.get("server") and any(asked.get(key) != address.get(key) for key in ("server", "privateIp")):
            self.problems.append(f"{state} has not put the address where it was asked to.")
        ids = {shown.get("allocationId"): role for role, shown in self.shown.items()}
        moved = payload["changed"] is True
        # If the answer of an earlier try was lost, a later one only finds what that one did.
        by = self.execution if moved or retried else None
        if address.get("allocationId") in ids:
            given = {"state": state, "requestId": payload.get("requestId")}
            yield from self._show(at, ids[address["allocationId"]], address, by=by, always=moved, **given)
        elif moved:
            yield Changed(at, by, _action(address), address.get("allocationId"), address.get("instanceId"), state=state)

    def _show(
        self, at: float, role: AddressName, address: JsonObject, *, by: str | None, always: bool = False, **given: Any
    ) -> Iterator[Event]:
        """Keeps an address as it is. If it was elsewhere before, it was changed `by` this execution, or by None, unknown."""
        before, was = self.places, self.shown.get(role)
        other: AddressName = "staging" if role == "production" else "production"
        beside = self.shown.get(other, {})
        self.shown[role] = address
        if by and address.get("instanceId") and all(beside.get(key) == address.get(key) for key in PLACE):
            self.shown[other] = beside | dict.fromkeys(("associationId", "server", *PLACE))  # EC2 has displaced it
        if was and before and (always or before != self.places):
            ids = address.get("allocationId"), address.get("instanceId")
            more = {"request_id": given.get("requestId"), "state": given.get("state", "")}
            yield Changed(at, by, _action(address), *ids, before, self.places, **more, described=before)
            moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
            place = {"address": role, "allocationId": ids[0], "from": was.get("server") or was.get("instanceId"),
                     "to": address.get("server") or ids[1], "instanceId": ids[1],
                     "associationId": was.get("associationId")}  # fmt: skip
            self.changes.append({"at": moment, "by": by, "state": None, **place, "requestId": None, **given})

    def _lock(self, at: float, state: str, item: JsonObject) -> Iterator[Event]:
        """`item` is the item as the update has returned it."""
        asked = self._asked.get(state, {})
        values = {key[1:]: value for key, value in as_object(asked.get("ExpressionAttributeValues")).items()}
        if state == "TakeOverLock":
            dead = as_object(values.get("holder") or values.get("dead")).get("S")
            yield Unlocked(at, dead, by=self.execution)
        if state == "AcquireLock" or (state == "TakeOverLock" and "me" in values):
            yield Locked(at, self.execution)
        if state == "ReleaseLock":
            kept = {"rollbackTo": item.get("rollbackTo", {})} if "if_not_exists" in str(asked) else {}
            yield Unlocked(at, self.execution, record=Record.from_item(values | kept))


def _action(address: JsonObject) -> str:
    return "AssociateAddress" if address.get("associationId") else "DisassociateAddress"


def _details(event: Mapping[str, Any]) -> JsonObject:
    """Each type of event has its own key for its details."""
    return next((as_object(value) for key, value in event.items() if key.endswith("EventDetails")), {})


def _value(text: object) -> object:
    """What this text is as JSON, or the text; null for an empty one."""
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)  # type: ignore[arg-type]
    return text or None
