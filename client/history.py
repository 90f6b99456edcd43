"""What a history of Step Functions says of an execution: its checks, its changes, and events for the checker of the
guarantees (`Evidence`); and what in it cannot be true (`contradictions`). Makes no calls. Source: Step Functions API
Reference, HistoryEvent."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from client import trace
from client.progress import FAILED_TRY, Line, Progress, details_of
from client.result import ROLES, RUNNING, Result
from client.text import JsonObject, as_object
from client.trace import Event, Places
from domain.lock import object_of
from domain.record import Record

SKEW = timedelta(seconds=1)  # AWS's own clocks may differ
PLACE = ("instanceId", "privateIp")
CHECKS = ("HealthCheck", "CheckServers", "Rehearse", "Bake")
FAILURE = f"(?:{'|'.join(FAILED_TRY)})"
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
    # Of each event its type, its moment, and the value that it hands on; before all of them, that is the input.
    before = {0: ("ExecutionStarted", described["startDate"], _value(described.get("input")))}
    for number, event in enumerate(events, 1):
        previous, kind, details = event.get("previousEventId", 0), str(event["type"]), details_of(event)
        last, moment, given = before.get(previous, ("", event["timestamp"], None))
        what, link = f"Event {event['id']} ({kind})", f"{last}>{kind}"
        if event["id"] != number:
            yield f"{what} is number {number} of the history: an event is missing or was moved."
        if not LINK.fullmatch(link) or (previous == 0 and number > 2 and not kind.startswith("Execution")):
            yield f"{what} cannot follow event {previous} ({last or 'which is not before it'})."
        if event["timestamp"] < moment - SKEW:
            yield f"{what} is earlier than event {previous}, which it follows."
        value = next((_value(details[key]) for key in ("input", "output") if key in details), given)
        if link == "TaskSucceeded>TaskStateExited":
            given = as_object(given).get("Payload") or value  # only of a function that was not called asynchronously
        if value != given and re.fullmatch(r".+>(\w+StateEntered|ExecutionS\w+)|TaskSucceeded>TaskStateExited", link):
            yield f"{what} has another value than event {previous} handed on."
        before[event["id"]] = kind, event["timestamp"], value
    if described["status"] not in RUNNING:
        last, details = (str(events[-1]["type"]), details_of(events[-1])) if events else ("nothing", {})
        if last != f"Execution{described['status'].title().replace('_', '')}":
            yield f"The history ends with {last}, but the execution is {described['status']}."
        for key in ("output", "error", "cause"):
            if _value(details.get(key)) != _value(described.get(key)) and (key != "output" or key in details):
                yield f"DescribeExecution shows another {key} than the history."


@dataclass
class Evidence(Progress):
    """What AWS shows of an execution, and what that says. `shown` has both addresses as they were shown last, at first
    as they were before, if that is known; `changes` has what changed them, by which execution; None is someone else."""

    described: JsonObject = field(default_factory=dict)
    shown: JsonObject = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    checks: list[JsonObject] = field(default_factory=list)
    changes: list[JsonObject] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    approved_by: object = None
    started_by: str | None = None

    @property
    def arn(self) -> str:
        return str(self.described["executionArn"])

    @property
    def servers(self) -> dict[str, str | None]:
        """The instances of the plan's servers, by name."""
        places = [place for key in ("live", "idle", "stagingTo") if (place := as_object(self.plan.get(key)))]
        return {str(place.get("name")): place.get("instanceId") for place in places}

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """Around what reads the values of a history, which may have another form than expected."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            self.problems.append(f"The plan or an answer has another form than in this version: {error!r}.")

    def read_whole(self, history: Sequence[Mapping[str, Any]]) -> None:
        """All events so far, and how the execution ended."""
        self.problems += contradictions(self.described, history)
        with self.unreadable():
            for event in history:
                self.read(event)
        result, output = Result(self.described, self), object_of(self.described.get("output"))
        for role in ROLES:
            if role in output and output[role] != self.shown.get(role):
                self.problems.append(f"The output has another {role} address than was described last.")
        if ended := self.described.get("stopDate"):
            end = trace.Ended(ended.timestamp(), self.arn, result.status, result.outcome, output, result.cause)
            self.events.append(end)

    def read(self, event: Mapping[str, Any]) -> list[Line]:
        lines, at, kind = super().read(event), event["timestamp"].timestamp(), str(event["type"])
        state = self.state_of[event["id"]]
        if kind.endswith("StateEntered"):
            self.events.append(trace.Entered(at, self.arn, state))
        elif kind == "TaskSucceeded":
            self.events += self._answered(at, state, self.results[state])
        elif kind == "ParallelStateFailed":
            self.errors.setdefault(self.running[0], []).append(kind)
        elif kind.endswith("StateExited") and not self.error(state):
            self.events.append(trace.Passed(at, self.arn, state, as_object(self.results.get(state, {}).get("Payload"))))
        if state.startswith(CHECKS) and (kind == "TaskSucceeded" or kind in FAILED_TRY):
            text = "; ".join(line.text for line in lines)
            self.checks.append({"at": _moment(at), "state": state, "passed": not self.error(state), "text": text})
        return lines

    def _answered(self, at: float, state: str, result: JsonObject) -> Iterator[Event]:
        payload, retried = as_object(result.get("Payload")), any(self.errors[state])
        self.approved_by = result.get("approvedBy", self.approved_by)
        if not payload.get("healthy", True) is payload.get("passed", True) is True:
            self.errors[state].append("it has not passed")
        if "changed" in payload and isinstance(payload.get("address"), dict):
            yield from self._change(at, state, payload, retried=retried)
        if all(isinstance(payload.get(role), dict) for role in ROLES):
            for role in ROLES:
                yield from self._show(at, role, payload[role], by=None)
            yield trace.Seen(at, Places.shown(self.shown))
        for command in payload["commands"] if isinstance(payload.get("commands"), list) else ():
            server = self.servers.get(str(command.get("server")))
            yield trace.CommandBegan(at, self.arn, str(command.get("step")), server)
        yield from self._lock(at, state, as_object(result.get("Attributes")))

    def _change(self, at: float, state: str, payload: JsonObject, *, retried: bool) -> Iterator[Event]:
        address, asked = payload["address"], as_object(self.asked.get(state, {}).get("Payload"))
        moved, allocation_id = payload["changed"] is True, address.get("allocationId")
        if asked.get("server") and any(asked.get(key) != address.get(key) for key in ("server", "privateIp")):
            self.problems.append(f"{state} has not put the address where it was asked to.")
        # If the answer of an earlier try was lost, a later one only finds what that one did.
        by = self.arn if moved or retried else None
        role = next((role for role in self.shown if self.shown[role].get("allocationId") == allocation_id), None)
        if role:
            more = {"state": state, "requestId": payload.get("requestId")}
            yield from self._show(at, role, address, by=by, always=moved, **more)
        elif moved:
            yield trace.Changed(at, by, "AssociateAddress", allocation_id, address.get("instanceId"), state=state)

    def _show(
        self, at: float, role: str, address: JsonObject, *, by: str | None, always: bool = False, **more: Any
    ) -> Iterator[Event]:
        """Keeps where an address is. If it was elsewhere, or `always`, it was changed."""
        before, was = Places.shown(self.shown) if len(self.shown) == len(ROLES) else None, self.shown.get(role, {})
        other = "staging" if role == "production" else "production"
        beside = self.shown.get(other, {})
        self.shown[role] = address
        if by and address.get("instanceId") and all(beside.get(key) == address.get(key) for key in PLACE):
            self.shown[other] = beside | dict.fromkeys(("associationId", "server", *PLACE))  # EC2 has displaced it
        if before and (always or before != Places.shown(self.shown)):
            change = {"at": _moment(at), "by": by, "state": None, "requestId": None, **more, "address": role,
                      "allocationId": address.get("allocationId"), "associationId": was.get("associationId"),
                      "from": was.get("server") or was.get("instanceId"), "instanceId": address.get("instanceId"),
                      "to": address.get("server") or address.get("instanceId")}  # fmt: skip
            self.changes.append(change)
            action = "AssociateAddress" if address.get("associationId") else "DisassociateAddress"
            of_change = action, change["allocationId"], change["instanceId"], before, Places.shown(self.shown)
            yield trace.Changed(at, by, *of_change, state=change["state"] or "")

    def _lock(self, at: float, state: str, item: JsonObject) -> Iterator[Event]:
        """`item` is what the update has returned of the pair's item."""
        asked, me = self.asked.get(state, {}), self.arn
        values = {key[1:]: value for key, value in as_object(asked.get("ExpressionAttributeValues")).items()}
        if state == "TakeOverLock":
            dead = as_object(values.get("holder") or values.get("dead")).get("S")
            yield trace.Unlocked(at, dead, by=me)
        if state == "AcquireLock" or (state == "TakeOverLock" and "me" in values):
            yield trace.Locked(at, me)
        if state == "ReleaseLock":
            kept = {"rollbackTo": item.get("rollbackTo", {})} if "if_not_exists" in str(asked) else {}
            yield trace.Unlocked(at, me, record=Record.from_item(values | kept))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _value(text: object) -> object:
    """What this text is as JSON, or the text; None for an empty one."""
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)  # type: ignore[arg-type]
    return text or None
