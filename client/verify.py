"""Checks the guarantees against what AWS keeps of an execution: its history, its repair's, and CloudTrail's events."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from client.account import Account, AwsError, Problem
from client.executions import FIRST_SECONDS, LAST_READS, MOST_EXECUTIONS, in_trail, started_by
from client.history import ANOTHER_FORM, Evidence, noted
from client.result import RUNNING
from client.screen import JsonObject, Rows, as_object, columns, plain
from domain.lock import moment, object_of
from domain.pair import Pair
from guarantees.checker import GUARANTEES, Guarantees
from guarantees.trace import Changed

WHOLE = "the-history-is-whole"
PROMISES = {WHOLE: "The history contradicts neither itself, nor DescribeExecution, nor CloudTrail.", **GUARANTEES}
# A history shows only some breaches of these.
UNSEEN = {
    "described-before-and-after": "a history does not show what a function described",
    "nobody-is-displaced": "a history does not show other addresses",
    "rollbacks-go-to-good-servers": "a history does not show what happened before",
    "everything-settles": "a history does not show what happened later",
}
CHANGES = ("AssociateAddress", "DisassociateAddress")
Sleep = Callable[[float], None]


def _evidence(account: Account, described: JsonObject, sleep: Sleep, repaired: Evidence | None = None) -> Evidence:
    for _ in range(LAST_READS):  # GetExecutionHistory is eventually consistent
        evidence = Evidence(described, account.events(described["executionArn"]), repaired.shown if repaired else {})
        if evidence.ended or described["status"] in RUNNING:
            break
        sleep(FIRST_SECONDS)
    return evidence


def _shown(evidence: Evidence, by: str | None) -> tuple[JsonObject, list[Rows]]:
    """As JSON and for people. `by` has started the execution."""
    described, ended = evidence.described, evidence.described.get("stopDate")
    document = {
        **evidence.result.to_json(), "began": described["startDate"].isoformat(), "ended": ended and ended.isoformat(),
        "input": described.get("input"), "by": by, "approvedBy": evidence.approved_by or None,
        "checks": evidence.checks, "changes": evidence.changes,
    }  # fmt: skip
    nobody = "nobody" if evidence.plan.get("approvalMinutes") is not None else "nobody: no approval was needed"
    people = [("started by", plain(by or "unknown")), ("approved by", plain(evidence.approved_by or nobody))]
    checks = [{"check": each["state"], "at": each["at"], "result": "passed" if each["passed"] else "failed",
               "shows": each["text"]} for each in evidence.checks]  # fmt: skip
    changes = [{"change": each["address"] or each["allocationId"], "at": each["at"], "from": each["from"] or "-",
                "to": each["to"] or "-", "request": each["requestId"] or "unknown",
                "by": each["state"] or each["by"] or "someone else"} for each in evidence.changes]  # fmt: skip
    tables = [[("", line) for line in columns(rows)] for rows in (checks, changes) if rows]
    return document, [[*evidence.result.summary(), *people], *tables]


def verified(account: Account, execution: str, *, sleep: Sleep = time.sleep) -> tuple[JsonObject, list[Rows]]:
    """The evidence as JSON and for people. Raises Problem for an execution of something else."""
    described, notes = account.describe(account.arn_of(execution)), list[str]()
    workflow = account.output("StateMachineArn")
    if described["stateMachineArn"] not in (workflow, f"{workflow}-repair"):
        raise Problem(f"{plain(described['executionArn'])} is not an execution of {plain(workflow)} or of its repair.")
    if described["status"] in RUNNING:
        notes.append("The execution still runs: only what it has done so far was checked.")
    evidence = [_evidence(account, described, sleep)]
    with noted(notes, "Whether the execution was repaired was not checked.", AwsError):
        evidence += [_evidence(account, repair, sleep, evidence[0]) for repair in _repairs_of(account, described)]
    pair = next((each.pair for each in evidence if each.plan), evidence[0].pair)
    by, why_unknown = started_by(account, [each.described for each in evidence], sleep=sleep)
    notes += [why_unknown] if why_unknown else []
    with noted(notes, "The changes were not compared with CloudTrail.", AwsError):
        notes += _compare_with_cloudtrail(account, pair, evidence, sleep)
    guarantees = [*_judged(pair, evidence)]
    (first, tables), *repairs = (_shown(each, by.get(each.arn)) for each in evidence)
    document = {**first, "repairs": [repair for repair, _ in repairs], "guarantees": guarantees, "notChecked": notes}
    document["kept"] = all(each["result"] != "broken" for each in guarantees)
    promises = [(each["result"], ": ".join([each["promise"].rstrip("."), *each["seen"]])) for each in guarantees]
    promises += [("not checked", plain(note)) for note in notes]
    return document, [*tables, *(table for _, more in repairs for table in more), promises]


def _repairs_of(account: Account, described: JsonObject) -> Iterator[JsonObject]:
    for listed in islice(account.executions(repair=True), MOST_EXECUTIONS) if described.get("stopDate") else ():
        if described["status"] == "SUCCEEDED" or listed["startDate"] < described["startDate"]:
            return
        repair = account.describe(listed["executionArn"])
        if object_of(repair.get("input")).get("execution") == described["executionArn"]:
            yield repair


def _judged(pair: Pair, evidence: Sequence[Evidence]) -> Iterator[JsonObject]:
    """Each promise, and its result: broken, holds or not known; and what was seen, or why it is not known."""
    first, broken = evidence[0], {name: list[str]() for name in PROMISES}
    checker = Guarantees(pair)
    checker.known.add(WHOLE)
    with noted(first.problems, *ANOTHER_FORM):
        for event in sorted((event for each in evidence for event in each.events), key=lambda event: event.at):
            for each in checker.observe(event):
                broken[each.guarantee].append(each.text)
    broken[WHOLE] = [problem for each in evidence for problem in each.problems]
    for name, promise in PROMISES.items():
        result = "broken" if broken[name] else "holds" if name in checker.known else "not known"
        seen = [UNSEEN.get(name, "nothing happened that this is about")] if result == "not known" else broken[name]
        yield {"guarantee": name, "promise": promise, "result": result, "seen": [plain(text, 600) for text in seen]}


def _compare_with_cloudtrail(account: Account, pair: Pair, evidence: Sequence[Evidence], sleep: Sleep) -> list[str]:
    """Writes into each change which call it was, and whose, and adds changes by others. Returns which calls CloudTrail
    does not show; it may be some minutes late. Source: CloudTrail User Guide, "Record contents"."""
    first, changes = evidence[0], [change for each in evidence for change in each.changes]
    began, ended = first.described["startDate"], evidence[-1].described.get("stopDate") or first.described["answered"]
    trail = (call for name in CHANGES for call in in_trail(account, "ec2", name, began, ended, sleep=sleep))
    calls = {str(call.get("requestID")): call for call in trail}
    for change, known in sorted(((each, each["requestId"]) for each in changes), key=lambda each: each[1] not in calls):
        request_id = known if known in calls else next((key for key in calls if _is_of(calls[key], change, known)), "")
        if call := calls.pop(request_id, None):
            if known not in (None, request_id) or not _is_of(call, change):
                first.problems.append(f"CloudTrail shows {known} as {request_id}: {call.get('requestParameters')}.")
            change |= {"requestId": request_id, "eventId": call.get("eventID"), "calledBy": call["calledBy"]}
    shown = [address for each in evidence for address in (*each.shown.values(), *each.changes)]
    ids = {*pair.ids, *(str(each.get(key)) for each in shown for key in ("associationId", "publicIp"))}
    for request_id, call in calls.items():
        given, at = as_object(call.get("requestParameters")), moment(call.get("eventTime"))
        if at and began <= at <= ended and ids & {*map(str, given.values())}:
            to = given.get("allocationId"), given.get("instanceId")
            first.events.append(Changed(at.timestamp(), None, str(call.get("eventName")), *to))
            first.changes.append({
                "at": at.isoformat(), "by": call["calledBy"], "state": None, "requestId": request_id, "address": None,
                "eventId": call.get("eventID"), "allocationId": to[0], "from": None, "to": to[1],
            })  # fmt: skip
    late = [change["requestId"] or f"of {change['state']}" for change in changes if "eventId" not in change]
    return [f"CloudTrail does not show these requests, or not yet: {', '.join(map(str, late))}."] if late else []


def _is_of(call: JsonObject, change: JsonObject, known: str | None = None) -> bool:
    """Whether a call of CloudTrail is this change, as far as its parameters say; all of them if an id is known."""
    given, name = as_object(call.get("requestParameters")), CHANGES[change["instanceId"] is None]
    keys = ("allocationId", "instanceId") if change["instanceId"] else ("associationId",)
    alike = (given.get(key, None if known else change[key]) == change[key] for key in keys)
    return call.get("eventName") == name and all(alike)
