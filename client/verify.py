"""Checks the guarantees against what AWS keeps of an execution: its history, its repair's, and CloudTrail's events."""

import time
from collections.abc import Callable, Iterator, Sequence
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
    "everything-settles": "a history does not show what happened later",
}
NOTHING = "nothing happened that this is about"
BROKEN, HOLDS, NOT_KNOWN = "broken", "holds", "not known"
Sleep = Callable[[float], None]


class Evidence:
    """What AWS shows of an execution."""

    def __init__(self, account: Account, described: JsonObject, sleep: Sleep, before: "Evidence | None" = None) -> None:
        self.described, self.arn = described, str(described["executionArn"])
        self.reader, self.events = Reader(self.arn, shown=dict(before.reader.shown) if before else {}), list[Event]()
        for _ in range(LAST_READS):  # GetExecutionHistory is eventually consistent
            history = account.events(self.arn)
            if described["status"] in RUNNING or (history and history[-1]["type"] in ENDED):
                break
            sleep(FIRST_SECONDS)
        self.problems = [*contradictions(described, history)]
        for event in history:
            self.events += self.reader.read(event)
        self.problems += self.reader.problems
        self.result = Result(described, self.reader.progress)
        output, ended = object_of(described.get("output")), described.get("stopDate")
        for role in ROLES:
            if role in output and output[role] != self.reader.shown.get(role):
                self.problems.append(f"The output has another {role} address than was described last.")
        if ended:
            result = self.result.status, self.result.outcome, output, self.result.cause
            self.events.append(Ended(ended.timestamp(), self.arn, *result))

    @property
    def ids(self) -> set[str]:
        """Of the pair, and of its associations."""
        shown, changes = self.reader.shown.values(), self.reader.changes
        return {
            *self.pair.ids,
            *(str(each.get(key)) for each in (*shown, *changes) for key in ("associationId", "publicIp")),
        }

    @property
    def pair(self) -> Pair:
        """As the plan has it."""
        plan = self.reader.progress.plan
        places = [place for key in ("live", "idle", "stagingTo") if (place := as_object(plan.get(key)))]
        servers = {place["name"]: Server(place["name"], place["instanceId"]) for place in places}
        first, second, *_ = (*servers.values(), Server("", ""), Server("", ""))
        ids = [as_object(plan.get(role)).get("allocationId", "") for role in ROLES]
        return Pair(str(plan.get("pair", "")), *ids, (first, second), health_check=[])

    def to_json(self, by: str | None) -> JsonObject:
        ended = self.described.get("stopDate")
        about = {"startedAt": self.described["startDate"].isoformat(), "endedAt": ended and ended.isoformat(),
                 "startedBy": by, "approvedBy": self.reader.approved_by, "input": self.described.get("input"),
                 "checks": self.reader.checks, "changes": self.reader.changes}  # fmt: skip
        return {**self.result.to_json(), **about}

    def tables(self, by: str | None) -> Iterator[Rows]:
        people = [("started by", by or "unknown"), ("approved by", self.reader.approved_by or "nobody")]
        yield [*self.result.summary(), *((label, plain(value, 200)) for label, value in people)]
        checks = [
            {"check": each["state"], "at": each["at"], "result": "passed" if each["passed"] else "FAILED",
             "what it saw": plain(each["text"])} for each in self.reader.checks
        ]  # fmt: skip
        changes = [
            {"change": each["address"], "at": each["at"], "from": each["from"] or "no server",
             "to": each["to"] or "no server", "request": each["requestId"] or "unknown",
             "by": each["state"] or each["by"] or "someone else"} for each in self.reader.changes
        ]  # fmt: skip
        for table in (checks, changes):
            if table:
                yield [("", line) for line in columns(table)]


def verified(account: Account, execution: str, *, sleep: Sleep = time.sleep) -> tuple[JsonObject, list[Rows]]:
    """The evidence as JSON and for people. Raises Problem for an execution of something else."""
    described, notes = account.describe(account.arn_of(execution)), list[str]()
    workflow = account.output("StateMachineArn")
    if described["stateMachineArn"] not in (workflow, f"{workflow}-repair"):
        raise Problem(f"{plain(described['executionArn'])} is not an execution of {plain(workflow)} or of its repair.")
    if described["status"] in RUNNING:
        notes.append("The execution still runs: what it has done so far was checked.")
    evidence = [Evidence(account, described, sleep)]
    try:
        evidence += [Evidence(account, repair, sleep, evidence[0]) for repair in _repairs_of(account, described)]
    except AwsError as error:
        notes.append(f"Whether the execution was repaired was not checked. {error}")
    by, why_unknown = started_by(account, [each.described for each in evidence], sleep=sleep)
    notes += [why_unknown] if why_unknown else []
    try:
        notes += _compare_with_cloudtrail(account, evidence, sleep)
    except AwsError as error:
        notes.append(f"The changes were not compared with CloudTrail. {error}")
    guarantees = [*_judged(evidence)]
    kept = not any(each["result"] == BROKEN for each in guarantees)
    first, *repairs = [each.to_json(by.get(each.arn)) for each in evidence]
    document = {**first, "repairs": repairs, "kept": kept, "guarantees": guarantees, "notChecked": notes}
    promises = [(each["result"], ": ".join([each["promise"], *each["seen"]])) for each in guarantees]
    tables = [table for each in evidence for table in each.tables(by.get(each.arn))]
    return document, [*tables, [*promises, *(("not checked", note) for note in notes)]]


def _repairs_of(account: Account, described: JsonObject) -> Iterator[JsonObject]:
    if described["status"] in ("SUCCEEDED", *RUNNING):
        return
    for listed in islice(account.executions(repair=True), MOST_EXECUTIONS):
        if listed["startDate"] < described["startDate"]:
            return
        repair = account.describe(listed["executionArn"])
        if object_of(repair.get("input")).get("execution") == described["executionArn"]:
            yield repair


def _judged(evidence: Sequence[Evidence]) -> Iterator[JsonObject]:
    """Each promise, and whether it was kept: broken, holds or not known; and what was seen, or why it is not known."""
    first, broken = evidence[0], dict[str, list[str]]()
    broken[WHOLE] = [problem for each in evidence for problem in each.problems]
    checker = Guarantees(first.pair)
    # An execution begins without the lock.
    began: Event = Unlocked(first.described["startDate"].timestamp(), first.arn)
    events = sorted((event for each in evidence for event in each.events), key=lambda event: event.at)
    try:
        for event in (began, *events):
            for each in checker.observe(event):
                broken.setdefault(each.guarantee, []).append(each.text)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        broken[WHOLE].append(f"The plan or an answer has another form than in this version: {error!r}.")
    for name, promise in PROMISES.items():
        texts, known = broken.get(name), name == WHOLE or (name in checker.known and name not in UNSEEN)
        result = BROKEN if texts else HOLDS if known else NOT_KNOWN
        seen = texts or ([] if known else [UNSEEN.get(name, NOTHING)])
        yield {"guarantee": name, "promise": promise, "result": result, "seen": [plain(text, 600) for text in seen]}


def _compare_with_cloudtrail(account: Account, evidence: Sequence[Evidence], sleep: Sleep) -> list[str]:
    """Writes into each change which call it was, and whose, and adds changes by others. Returns which calls CloudTrail
    does not show; it may be some minutes late. Source: CloudTrail User Guide, "Record contents"."""
    first, changes = evidence[0], [change for each in evidence for change in each.reader.changes]
    began, ended = first.described["startDate"], evidence[-1].described
    ended = ended.get("stopDate") or ended["answered"]
    calls = {
        str(call.get("requestID")): call
        for name in ("AssociateAddress", "DisassociateAddress")
        for call in in_trail(account, name, began, ended, sleep)
        if call.get("eventSource") == "ec2.amazonaws.com" and not call.get("errorCode")
    }
    for change in sorted(changes, key=lambda change: change["requestId"] is None):
        alike = (key for key, call in calls.items() if change["requestId"] is None and _is_of(call, change))
        call = calls.pop(change["requestId"] or next(alike, ""), None)
        if call is None:
            continue
        if not _is_of(call, change):
            first.problems.append(f"CloudTrail shows request {change['requestId']} as {call.get('requestParameters')}.")
        identity = caller(as_object(call.get("userIdentity")))
        change |= {"requestId": call["requestID"], "cloudTrail": {"eventId": call.get("eventID"), "by": identity}}
    for call in calls.values():
        given, at = as_object(call.get("requestParameters")), moment(call.get("eventTime"))
        if at and began <= at <= ended and first.ids & {*map(str, given.values())}:
            ids = given.get("allocationId"), given.get("instanceId")
            first.events.append(Changed(at.timestamp(), None, str(call.get("eventName")), *ids))
            first.reader.changes.append(
                dict.fromkeys(("state", "address", "from", "associationId"))
                | {"at": at.isoformat(), "by": caller(as_object(call.get("userIdentity"))), "allocationId": ids[0],
                   "to": ids[1], "instanceId": ids[1], "requestId": call.get("requestID")}
            )  # fmt: skip
    late = [change["requestId"] or "unknown" for change in changes if "cloudTrail" not in change]
    return [f"CloudTrail does not show these requests (yet): {', '.join(late)}."] if late else []


def _is_of(call: JsonObject, change: JsonObject) -> bool:
    """Whether a call of CloudTrail is this change, as far as its parameters say."""
    given, associates = as_object(call.get("requestParameters")), call.get("eventName") == "AssociateAddress"
    same = all(given.get(key) in (None, change[key]) for key in ("allocationId", "instanceId", "associationId"))
    return same and associates == (change["instanceId"] is not None)
