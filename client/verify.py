"""Checks the guarantees against what AWS keeps of an execution: its history, its repair's, and CloudTrail's events."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from client.account import Account, AwsError, Problem
from client.executions import FIRST_SECONDS, LAST_READS, MOST_EXECUTIONS, caller, in_trail, started_by
from client.guarantees import GUARANTEES, Guarantees
from client.history import Reader, contradictions
from client.progress import ENDED
from client.result import ROLES, RUNNING, Result
from client.text import JsonObject, Rows, as_object, columns, plain
from client.trace import Changed, Ended, Event, Unlocked
from domain.lock import moment, object_of
from domain.pair import Pair, Server

WHOLE = "the-history-is-whole"
PROMISES = {WHOLE: "The history contradicts neither itself, nor DescribeExecution, nor CloudTrail.", **GUARANTEES}
# A history shows only some breaches of these.
UNSEEN = {
    "described-before-each-change": "a history does not show what a function described before its call",
    "nobody-is-displaced": "a history does not show other addresses",
    "rollbacks-go-to-good-servers": "a history does not show what happened before",
    "everything-settles": "a history does not show what happened later",
}
NOTHING = "nothing happened that this is about"
CHANGES = ("AssociateAddress", "DisassociateAddress")
Sleep = Callable[[float], None]


class Evidence:
    """What AWS shows of an execution, and what that says. The execution `before` is the one that it repairs."""

    def __init__(self, account: Account, described: JsonObject, sleep: Sleep, before: "Evidence | None" = None) -> None:
        self.described, self.arn, self.events = described, str(described["executionArn"]), list[Event]()
        self.reader: Reader = Reader(self.arn, dict(before.reader.shown) if before else {})
        self.problems, self.by = self.reader.problems, ""
        for _ in range(LAST_READS):  # GetExecutionHistory is eventually consistent
            history = account.events(self.arn)
            if described["status"] in RUNNING or (history and history[-1]["type"] in ENDED):
                break
            sleep(FIRST_SECONDS)
        self.problems += contradictions(described, history)
        with self.unreadable():
            for event in history:
                self.events += self.reader.read(event)
        self.result, output = Result(described, self.reader.progress), object_of(described.get("output"))
        for role in ROLES:
            if role in output and output[role] != self.reader.shown.get(role):
                self.problems.append(f"The output has another {role} address than was described last.")
        if ended := described.get("stopDate"):
            result = self.result.status, self.result.outcome, output, self.result.cause
            self.events.append(Ended(ended.timestamp(), self.arn, *result))

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """Around what reads the values of a history, which may have another form than expected."""
        try:
            yield
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self.problems.append(f"The plan or an answer has another form than in this version: {error!r}.")

    def to_json(self) -> JsonObject:
        stopped, reader = self.described.get("stopDate"), self.reader
        about = {"began": self.described["startDate"].isoformat(), "ended": stopped and stopped.isoformat()}
        about |= {"input": self.described.get("input"), "by": self.by or None, "approvedBy": reader.approved_by}
        return {**self.result.to_json(), **about, "checks": reader.checks, "changes": reader.changes}

    def tables(self) -> Iterator[Rows]:
        needed = self.reader.progress.plan.get("approvalMinutes") is not None
        approver = plain(self.reader.approved_by or ("nobody" if needed else "nobody: no approval was needed"))
        yield [*self.result.summary(), ("started by", plain(self.by or "unknown")), ("approved by", approver)]
        checks = [
            {"check": each["state"], "at": each["at"], "result": "passed" if each["passed"] else "failed",
             "shows": each["text"]} for each in self.reader.checks
        ]  # fmt: skip
        changes = [
            {"change": each["address"] or each["allocationId"], "at": each["at"], "from": each["from"] or "-",
             "to": each["to"] or "-", "request": each["requestId"] or "unknown",
             "by": each["state"] or each["by"] or "someone else"} for each in self.reader.changes
        ]  # fmt: skip
        yield from ([("", line) for line in columns(table)] for table in (checks, changes) if table)


def verified(account: Account, execution: str, *, sleep: Sleep = time.sleep) -> tuple[JsonObject, list[Rows]]:
    """The evidence as JSON and for people. Raises Problem for an execution of something else."""
    described, notes = account.describe(account.arn_of(execution)), list[str]()
    workflow = account.output("StateMachineArn")
    if described["stateMachineArn"] not in (workflow, f"{workflow}-repair"):
        raise Problem(f"{plain(described['executionArn'])} is not an execution of {plain(workflow)} or of its repair.")
    if described["status"] in RUNNING:
        notes.append("The execution still runs: only what it has done so far was checked.")
    evidence = [Evidence(account, described, sleep)]
    with _noted(notes, "Whether the execution was repaired was not checked."):
        evidence += [Evidence(account, repair, sleep, evidence[0]) for repair in _repairs_of(account, described)]
    by, why_unknown = started_by(account, [each.described for each in evidence], sleep=sleep)
    notes += [why_unknown] if why_unknown else []
    with _noted(notes, "The changes were not compared with CloudTrail."):
        notes += _compare_with_cloudtrail(account, evidence, sleep)
    for each in evidence:
        each.by = by.get(each.arn, "")
    guarantees = [*_judged(evidence)]
    kept, (first, *repairs) = (
        all(each["result"] != "broken" for each in guarantees),
        (each.to_json() for each in evidence),
    )
    document = {**first, "repairs": repairs, "kept": kept, "guarantees": guarantees, "notChecked": notes}
    promises = [(each["result"], ": ".join([each["promise"].rstrip("."), *each["seen"]])) for each in guarantees]
    tables = [table for each in evidence for table in each.tables()]
    return document, [*tables, [*promises, *(("not checked", plain(note)) for note in notes)]]


@contextmanager
def _noted(notes: list[str], what: str) -> Iterator[None]:
    """Around calls that may not be permitted: then the rest is checked all the same."""
    try:
        yield
    except AwsError as error:
        notes.append(f"{what} {error}")


def _pair_of(evidence: Sequence[Evidence]) -> Pair:
    """As the first plan has it."""
    reader = next((each.reader for each in evidence if each.reader.places), evidence[0].reader)
    plan, servers = reader.progress.plan, {each.get("name"): each.get("instanceId") for each in reader.places}
    first, second, *_ = (*(Server(str(name), str(each)) for name, each in servers.items()), *[Server("", "")] * 2)
    production, staging = (str(as_object(plan.get(role)).get("allocationId")) for role in ROLES)
    return Pair(str(plan.get("pair")), production, staging, (first, second), health_check=[])


def _repairs_of(account: Account, described: JsonObject) -> Iterator[JsonObject]:
    for listed in islice(account.executions(repair=True), MOST_EXECUTIONS) if described.get("stopDate") else ():
        if described["status"] == "SUCCEEDED" or listed["startDate"] < described["startDate"]:
            return
        repair = account.describe(listed["executionArn"])
        if object_of(repair.get("input")).get("execution") == described["executionArn"]:
            yield repair


def _judged(evidence: Sequence[Evidence]) -> Iterator[JsonObject]:
    """Each promise, and its result: broken, holds or not known; and what was seen, or why it is not known."""
    first, broken = evidence[0], {name: list[str]() for name in PROMISES}
    checker = Guarantees(_pair_of(evidence))
    # An execution begins without the lock.
    began: Event = Unlocked(first.described["startDate"].timestamp(), first.arn)
    with first.unreadable():
        for event in (
            began,
            *sorted((event for each in evidence for event in each.events), key=lambda event: event.at),
        ):
            for each in checker.observe(event):
                broken[each.guarantee].append(each.text)
    broken[WHOLE] = [problem for each in evidence for problem in each.problems]
    for name, promise in PROMISES.items():
        known = name == WHOLE or (name in checker.known and name not in UNSEEN)
        result = "broken" if broken[name] else "holds" if known else "not known"
        seen = broken[name] or ([] if known else [UNSEEN.get(name, NOTHING)])
        yield {"guarantee": name, "promise": promise, "result": result, "seen": [plain(text, 600) for text in seen]}


def _compare_with_cloudtrail(account: Account, evidence: Sequence[Evidence], sleep: Sleep) -> list[str]:
    """Writes into each change which call it was, and whose, and adds changes by others. Returns which calls CloudTrail
    does not show; it may be some minutes late. Source: CloudTrail User Guide, "Record contents"."""
    first, changes = evidence[0], [change for each in evidence for change in each.reader.changes]
    began, ended = first.described["startDate"], evidence[-1].described.get("stopDate") or first.described["answered"]
    events = (call for name in CHANGES for call in in_trail(account, name, began, ended, sleep))
    accepted = (call for call in events if call.get("eventSource") == "ec2.amazonaws.com" and not call.get("errorCode"))
    calls = {str(call.get("requestID")): call for call in accepted}
    for change in sorted(changes, key=lambda change: change["requestId"] is None):
        alike = (key for key in calls if change["requestId"] is None and _is_of(calls[key], change))
        if call := calls.pop(change["requestId"] or next(alike, ""), None):
            if not _is_of(call, change):
                first.problems.append(f"CloudTrail shows {change['requestId']} as {call.get('requestParameters')}.")
            change |= {"requestId": call["requestID"], "eventId": call.get("eventID"), "calledBy": _caller(call)}
    shown = [address for each in evidence for address in (*each.reader.shown.values(), *each.reader.changes)]
    ids = {*_pair_of(evidence).ids, *(str(each.get(key)) for each in shown for key in ("associationId", "publicIp"))}
    for request_id, call in calls.items():
        given, at = as_object(call.get("requestParameters")), moment(call.get("eventTime"))
        if at and began <= at <= ended and ids & {*map(str, given.values())}:
            to = given.get("allocationId"), given.get("instanceId")
            first.events.append(Changed(at.timestamp(), None, str(call.get("eventName")), *to))
            change = {
                "at": at.isoformat(),
                "by": _caller(call),
                "requestId": request_id,
                "eventId": call.get("eventID"),
            }
            nothing = dict.fromkeys(("state", "address", "from"))
            first.reader.changes.append({**nothing, **change, "allocationId": to[0], "to": to[1]})
    late = [change["requestId"] or f"of {change['state']}" for change in changes if "eventId" not in change]
    return [f"CloudTrail does not show these requests, or not yet: {', '.join(map(str, late))}."] if late else []


def _is_of(call: JsonObject, change: JsonObject) -> bool:
    """Whether a call of CloudTrail is this change, as far as its parameters say."""
    given, name = as_object(call.get("requestParameters")), CHANGES[change["instanceId"] is None]
    alike = (given.get(key) in (None, change[key]) for key in ("allocationId", "instanceId", "associationId"))
    return call.get("eventName") == name and all(alike)


def _caller(call: JsonObject) -> str | None:
    return caller(as_object(call.get("userIdentity")))
