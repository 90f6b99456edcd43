"""What a history of Step Functions says of an execution: its checks, its changes, and events for the checker of the
guarantees (`Evidence`); and what in it cannot be true (`contradictions`). Makes no calls. Source: Step Functions API
Reference, HistoryEvent."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, timedelta
from typing import Any

from client.progress import FAILED_TRY, Line, Progress, details_of
from client.result import ROLES, RUNNING, Result
from client.screen import JsonObject, as_object
from domain.lock import object_of
from domain.pair import Pair, Server
from domain.record import Record
from guarantees import trace
from guarantees.trace import Event, Places

SKEW = timedelta(seconds=1)  # AWS's own clocks may differ
PLACE = ("instanceId", "privateIp")
UNKNOWN_CALL = dict.fromkeys(("by", "state", "requestId"))
TO_IDLE = (*trace.CHECKS[:2], "RehearseAssociateProduction", trace.MOVE, "HealthCheckProduction", "RepairStaging")
AFTER = {"CUT_OVER": "afterCutover", "RolledBack": "afterFailure", "RollbackFailed": "afterFailure"}
CHECKS = ("HealthCheck", "CheckServers", "Rehearse", "Bake")
FAILURE = f"(?:{'|'.join(FAILED_TRY)})"
ANOTHER_FORM = ("The plan or an answer has another form than in this version:",
                AttributeError, LookupError, TypeError, ValueError)  # fmt: skip
# Which event may follow which event of its branch.
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
        if event["timestamp"] < moment - SKEW or (number == 1 and event["timestamp"] > moment + 5 * SKEW):
            yield f"{what} is earlier than event {previous}, which it follows, or not at the startDate."
        value = next((_value(details[key]) for key in ("input", "output") if key in details), given)
        if link == "TaskSucceeded>TaskStateExited":
            given = as_object(given).get("Payload") or value  # only of a function that was not called asynchronously
        if value != given and re.fullmatch(r".+>(\w+StateEntered|ExecutionS\w+)|TaskSucceeded>TaskStateExited", link):
            yield f"{what} has another value than event {previous} handed on."
        before[event["id"]] = kind, event["timestamp"], value
    if described["status"] not in RUNNING:
        last, details = (str(events[-1]["type"]), details_of(events[-1])) if events else ("nothing", {})
        end = f"Execution{described['status'].title().replace('_', '')}"
        if last != end or abs(events[-1]["timestamp"] - described["stopDate"]) > 5 * SKEW:
            yield f"The history ends with {last}, but the execution is {described['status']}, or at another time."
        for key in ("output", "error", "cause"):
            if _value(details.get(key)) != _value(described.get(key)) and (key != "output" or key in details):
                yield f"DescribeExecution shows another {key} than the history."


class Evidence(Progress):
    """What AWS shows of an execution, and what that says. `shown` has both addresses as they were shown last, at first
    as they were before, if that is known; `changes` has what changed them, by which execution; None is someone else."""

    def __init__(self, described: JsonObject, history: Sequence[Mapping[str, Any]], shown: JsonObject) -> None:
        super().__init__()
        self.described, self.arn, self.shown = described, str(described["executionArn"]), dict(shown)
        self.events, self.problems = list[Event](), [*contradictions(described, history)]
        self.checks, self.changes = list[JsonObject](), list[JsonObject]()
        self.approved_by, self._moment = "", ""
        with noted(self.problems, *ANOTHER_FORM):
            for event in history:
                self.read(event)
        self.result, output = Result(described, self), object_of(described.get("output"))
        others = [role for role in ROLES if role in output and output[role] != self.shown.get(role)]
        self.problems += [f"The output has another {role} address than was described last." for role in others]
        if ended := described.get("stopDate"):
            end = self.result.status, self.result.outcome, output, self.result.cause
            self.events.append(last := trace.Ended(ended.timestamp(), self.arn, *end))
            lost = {"LockLost", "Redriven"} & {error for errors in self.errors.values() for error in errors}
            if not (lost or last.is_interruption or "ReleaseLock" in self._seen or described.get("redriveCount")):
                self.problems += ["It has kept the lock." for each in self.events if isinstance(each, trace.Locked)]

    @property
    def pair(self) -> Pair:
        """As its plan has it."""
        places = filter(None, (as_object(self.plan.get(key)) for key in ("live", "idle", "stagingTo")))
        servers = {str(place.get("name")): str(place.get("instanceId")) for place in places}
        first, second, *_ = (*(Server(*server) for server in servers.items()), *[Server("", "")] * 2)
        production, staging = (str(as_object(self.plan.get(role)).get("allocationId")) for role in ROLES)
        return Pair(str(self.plan.get("pair")), production, staging, (first, second), health_check=[])

    def read(self, event: Mapping[str, Any]) -> list[Line]:
        lines, kind, moment = super().read(event), str(event["type"]), event["timestamp"]
        at, state = moment.timestamp(), self.state_of[event["id"]]
        self._moment = moment.astimezone(UTC).isoformat(timespec="milliseconds")
        if kind.endswith("StateEntered"):
            self.events.append(trace.Entered(at, self.arn, state))
        elif kind == "TaskSucceeded":
            self.events += self._answered(at, state, self.results[state])
        elif kind == "ParallelStateFailed":
            self.errors[self.running[0]].append(kind)
        elif kind.endswith("StateExited") and not self.errors[state][-1]:
            self.events.append(trace.Passed(at, self.arn, state, as_object(self.results.get(state, {}).get("Payload"))))
        if state.startswith(CHECKS) and (kind == "TaskSucceeded" or kind in FAILED_TRY):
            text = "; ".join(line.text for line in lines)
            self.checks.append({"at": self._moment, "state": state, "passed": not self.errors[state][-1], "text": text})
        return lines

    def _unlike(self, state: str, asked: JsonObject, answer: JsonObject) -> Iterator[str]:
        """What a call has asked for otherwise than the input, the plan, and the lock's rules say."""
        payload, given = as_object(asked.get("Payload")), object_of(self.described.get("input"))
        if isinstance(request := payload.get("request"), dict) and not payload.get("keepLive"):
            stated = {key: given[key] for key in ("dryRun", "rollback", "release") if given.get(key)}
            yield from ["input"] * (request != given or not stated.items() <= answer.items())
        server, idle = payload.get("server"), as_object(self.plan.get("idle")).get("name")
        yield from ["server"] * (state in TO_IDLE and idle not in (None, server, as_object(server).get("name")))
        me = as_object(as_object(asked.get("ExpressionAttributeValues")).get(":me")).get("S", self.arn)
        rule = "attribute_not_exists(execution)" if state == "AcquireLock" else "execution = :"
        kept = me == self.arn and rule in str(asked.get("ConditionExpression"))
        yield from ["lock"] * ("UpdateExpression" in asked and not kept)

    def _answered(self, at: float, state: str, result: JsonObject) -> Iterator[Event]:
        payload, asked = as_object(result.get("Payload")), self.asked.get(state, {})
        self.problems += [f"{state} asked for another {each}." for each in self._unlike(state, asked, payload)]
        self.approved_by = result.get("approvedBy", self.approved_by)
        # If the answer of an earlier try was lost, a later one only finds what that one did.
        by = self.arn if payload.get("changed") is True or any(self.errors[state][:-1]) else None
        if "changed" in payload and isinstance(address := payload.get("address"), dict):
            to = as_object(asked.get("Payload"))
            if to.get("server") and any(to.get(key) != address.get(key) for key in ("server", "privateIp")):
                self.problems.append(f"{state} has not put the address where it was asked to.")
            call = {"at": self._moment, "by": by, "state": state, "requestId": payload.get("requestId")}
            yield from self._show(at, address, call, moved=payload["changed"] is True)
        if all(isinstance(payload.get(role), dict) for role in ROLES):
            for role in ROLES:
                yield from self._show(at, payload[role], {"at": self._moment, **UNKNOWN_CALL})
            self.shown = {role: payload[role] for role in ROLES}
            yield trace.Seen(at, Places.shown(payload))
        for command in payload["commands"] if isinstance(payload.get("commands"), list) else ():
            server = self.pair.server_named(command.get("server"))
            yield trace.CommandBegan(at, self.arn, str(command.get("step")), server.instance_id if server else None)
        values = {key[1:]: value for key, value in as_object(asked.get("ExpressionAttributeValues")).items()}
        if state == "AcquireLock" or (state == "TakeOverLock" and "me" in values):
            yield trace.Locked(at, self.arn)
        elif state == "TakeOverLock":
            yield trace.Unlocked(at, as_object(values.get("holder") or values.get("dead")).get("S"), by=self.arn)
        elif state == "ReleaseLock":
            record, plan = Record.from_item(values), as_object(self.results.get("DescribeAddresses", {}).get("Payload"))
            ended, last = as_object(record.last_outcome).get("outcome"), as_object(record.last_cutover).get("execution")
            to = as_object(plan.get(AFTER.get(str(ended), ""), as_object(plan.get("record")).get("rollbackTo")))
            if (last == self.arn) != (ended == "CUT_OVER") or (to and record.rollback_to.server != to.get("server")):
                self.problems.append("ReleaseLock wrote another cutover or server to go back to than the plan has.")
            yield trace.Unlocked(at, self.arn, record=record)

    def _show(self, at: float, address: JsonObject, call: JsonObject, *, moved: bool = False) -> Iterator[Event]:
        """Keeps where an address is. If it was elsewhere, or the call of a function has `moved` it, it was changed."""
        by, state = call["by"], call["state"] or ""
        action = "AssociateAddress" if address.get("associationId") else "DisassociateAddress"
        to = address.get("allocationId"), address.get("instanceId")
        role = next((role for role in self.shown if self.shown[role].get("allocationId") == to[0]), None)
        if role is None:
            yield from [trace.Changed(at, by, action, *to, state=state)] * moved
            return
        before, was = Places.shown(self.shown), self.shown[role]
        other = "staging" if role == "production" else "production"
        self.shown[role], beside = address, self.shown[other]
        if by and to[1] and all(beside.get(key) == address.get(key) for key in PLACE):
            self.shown[other] = beside | dict.fromkeys(("associationId", "server", *PLACE))  # EC2 has displaced it
        if moved or before != Places.shown(self.shown):
            places = {"from": was.get("server") or was.get("instanceId"), "to": address.get("server") or to[1]}
            ids = {"allocationId": to[0], "associationId": was.get("associationId"), "instanceId": to[1]}
            if not by and state in ("DisassociateStaging", trace.MOVE) and self.plan.get("checksStaging"):
                self.problems.append(f"{state} has found {role} moved already, which its first try refuses.")
            self.changes.append({**call, "address": role, **ids, **places})
            yield trace.Changed(at, by, action, *to, before, Places.shown(self.shown), state)


@contextmanager
def noted(notes: list[str], what: str, *errors: type[Exception]) -> Iterator[None]:
    """Around what may fail with these errors: then a note says so, and the rest is checked all the same."""
    try:
        yield
    except errors as error:
        notes.append(f"{what} {error}")


def _value(text: object) -> object:
    """What this text is as JSON, or the text; None for an empty one."""
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)  # type: ignore[arg-type]
    return text or None
