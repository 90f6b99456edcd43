"""The executions of the workflow: follows one until it ends, answers one that waits for approval, lists the last."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from client.account import DENIED, UNKNOWN_EXECUTION, Account, AwsError, Problem
from client.progress import APPROVAL, FAILED_TRY, STEPS, Progress, doing, states_of
from client.result import RUNNING, Result
from client.screen import JsonObject, Screen, as_object, duration, plain, split
from domain.lock import object_of

FIRST_SECONDS, LONGEST_SECONDS, GROWTH = 0.5, 2.0, 1.25
# DescribeExecution and GetExecutionHistory are eventually consistent: API reference of Step Functions.
UNSEEN_SECONDS, PATIENCE_SECONDS, LAST_READS = 20.0, 300.0, 4
STYLES = {None: "", True: "green", False: "yellow"}
# Step Functions does not list executions by pair, so each execution is described.
MOST_EXECUTIONS = 500
KEYS = ("execution", "name", "status", "outcome", "pair", "wasLive", "isLive", "seconds", "began")
PAGES, SECONDS_APART, EARLIER, LATER = 10, 0.5, timedelta(minutes=1), timedelta(minutes=5)


class CannotFollow(Problem):
    """The client cannot follow the execution any longer. The execution continues."""


@dataclass
class Follower:
    """Follows an execution. Tests replace `sleep` and `monotonic`."""

    account: Account
    arn: str
    screen: Screen
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _progress: Progress = field(default_factory=Progress, init=False)
    _history_denied, _began, _next_read, _shown = False, 0.0, 0.0, ""

    def result(self) -> Result:
        """Return when the execution has ended. Raises CannotFollow if AWS stops answering."""
        pause, described = FIRST_SECONDS, self.described()
        self._began = self.monotonic() - max((described["answered"] - described["startDate"]).total_seconds(), 0)
        with self.screen.live(lambda: self._progress.now, lambda: self.monotonic() - self._began):
            while described["status"] in RUNNING:
                self._patiently(self._read_history)
                self._show_holder()
                self.sleep(pause)
                pause, described = min(pause * GROWTH, LONGEST_SECONDS), self.described()
            for number in range(LAST_READS):
                if number:
                    self.sleep(FIRST_SECONDS)
                self._patiently(self._read_history)
                if self._progress.ended or self._history_denied:
                    break
        return Result(described, self._progress)

    def described(self) -> JsonObject:
        """The execution as it is now. Raises CannotFollow if AWS does not answer or does not know the execution."""
        return dict(self._patiently(lambda: self.account.describe(self.arn)))

    def _read_history(self) -> None:
        if self._history_denied:
            return
        try:
            events = self.account.events(self.arn, after=self._progress.last)
        except AwsError as error:
            if error.code not in DENIED:
                raise
            # The outcome matters more than the steps.
            self._history_denied = True
            self.screen.line("The steps cannot be shown: GetExecutionHistory is not permitted.", "yellow")
            return
        progress = self._progress
        # The number of tries matters only after a failure.
        if progress.definition is None and any(event["type"] in FAILED_TRY for event in events):
            progress.definition = states_of(self.account.definition(self.arn))
        for text, good in (line for event in events for line in progress.read(event)):
            self.screen.line(f"{progress.seconds:8.2f} s  {text}", STYLES[good])

    def _show_holder(self) -> None:
        """While a command runs, or the execution waits for approval: what the item of its lock says about that."""
        progress, pair = self._progress, self._progress.plan.get("pair")
        state = next((each for each in progress.running if each in (*STEPS, APPROVAL)), None)
        if state is None or not isinstance(pair, str) or self.monotonic() < self._next_read:
            return
        self._next_read = self.monotonic() + LONGEST_SECONDS
        with suppress(Problem):  # then only the steps are shown
            lock = self.account.record(pair).lock
            text = doing(state, lock, self.account.command) if lock and lock.execution == self.arn else ""
            if text and text != self._shown:
                self._shown, progress.doing = text, split(text)[0]
                self.screen.line(f"{self.monotonic() - self._began:8.2f} s  {text}")

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """Repeat a call while AWS does not answer, throttles or fails, for at most five minutes. Repeat it for 20 s if
        AWS does not know the execution, which may have just started."""
        began, announced = self.monotonic(), False
        while True:
            try:
                return call()
            except AwsError as error:
                problem, is_unknown = str(error), error.code == UNKNOWN_EXECUTION
                if not (is_unknown or error.is_transient):
                    raise CannotFollow(problem) from None
                patience = UNSEEN_SECONDS if is_unknown else PATIENCE_SECONDS
            if self.monotonic() - began > patience:
                raise CannotFollow(f"{problem} Gave up after {duration(patience)}.")
            if not announced:
                self.screen.line(f"{problem} Trying again ...", "yellow")
                announced = True
            self.sleep(LONGEST_SECONDS)


def answered(account: Account, pair: str, *, approves: bool, reason: str | None = None) -> JsonObject:
    """Approve or reject in the caller's name, and return what was done. Raises Problem if nothing waits for that."""
    record = account.record(pair)
    if (lock := record.lock) is None:
        raise Problem(f"No execution holds pair {pair}, so nothing waits for approval.")
    execution = plain(lock.execution)
    follow = f"To follow it:\n{account.command('watch', execution)}"
    if not lock.approval_token:
        progress = Progress()
        with suppress(Problem):
            for event in account.events(lock.execution):
                progress.read(event)
        now = "it has ended" if progress.ended else progress.now if progress.last else "what it does is unknown"
        raise Problem(f"The execution {execution} does not wait for approval now: {now}. {follow}")
    by = str(account.call("sts", "get_caller_identity")["Arn"])
    # On one line, so that no line of it is a command to copy for those who read the cause.
    cause = f"rejected by {by}: {plain(reason or '', 500)}".removesuffix(": ")
    answer = {"output": json.dumps({"approvedBy": by})} if approves else {"error": "Rejected", "cause": cause}
    operation = "send_task_success" if approves else "send_task_failure"
    try:
        account.call("stepfunctions", operation, taskToken=lock.approval_token, **answer)
    except AwsError as error:
        if error.code not in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
            raise
        why = "it was answered, its time is over, or it was asked to roll back"
        raise Problem(f"The wait of {execution} has just ended: {why}. {follow}") from None
    release = record.releases.get(lock.server, {}).get("release")
    done = {"answer": "approved" if approves else "rejected", "pair": pair, "server": lock.server}
    return {**done, "release": release, "execution": execution, "by": by, "reason": reason}


def entries(account: Account, *, pair: str | None, limit: int) -> tuple[list[JsonObject], str | None]:
    """The last executions of the pair, or of all pairs, newest first. And if their starters are unknown, the reason. If
    the stack has only one pair, an execution whose input, plan and output do not name a pair belongs to that pair."""
    only_pair = next(iter(account.pairs)) if pair is not None and len(account.pairs) == 1 else None
    chosen: list[JsonObject] = []
    for listed in islice(account.executions(), MOST_EXECUTIONS):
        described, progress = account.describe(listed["executionArn"]), Progress()
        # If the execution did not succeed, its history has the plan: the pair, and which server was live.
        for event in account.events(listed["executionArn"]) if described["status"] != "SUCCEEDED" else ():
            progress.read(event)
        result = Result(described, progress)
        if pair is None or (result.pair or only_pair) == pair:
            chosen.append({**listed, **result.to_json(), "began": listed["startDate"].isoformat()})
        if len(chosen) == limit:
            break
    by, why_unknown = started_by(account, chosen)
    return [{key: each[key] for key in KEYS} | {"by": by.get(each["execution"])} for each in chosen], why_unknown


def row(entry: JsonObject) -> dict[str, str]:
    """An execution for people."""
    before, now, seconds = entry["wasLive"], entry["isLive"], entry["seconds"]
    moved = f"{before} stays" if before == now else f"{before} → {now or '?'}"
    return {
        "when": f"{datetime.fromisoformat(entry['began']).astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
        "outcome": plain(entry["outcome"], 40), "pair": plain(entry["pair"] or "", 64),
        "from → to": plain(moved if before else "", 140), "took": "" if seconds is None else duration(seconds),
        "by": plain(entry["by"] or "unknown", 100), "execution": entry["name"],
    }  # fmt: skip


def started_by(
    account: Account, executions: list[JsonObject], *, sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, str], str | None]:
    """Who started these executions, by ARN. And if CloudTrail refused, the reason why names are missing. Step Functions
    does not record it, CloudTrail does, for 90 days."""
    names: dict[str, str] = {}
    if not executions:
        return names, None
    wanted = {execution["executionArn"]: execution["startDate"] for execution in executions}
    try:
        first, last = min(wanted.values()), max(wanted.values())
        for call in in_trail(account, "states", "StartExecution", first, last, sleep=sleep):
            arn = as_object(call.get("responseElements")).get("executionArn")
            if arn in wanted and call["calledBy"]:
                names[str(arn)] = call["calledBy"]
            if names.keys() == wanted.keys():
                break
    except AwsError as error:
        return names, f"It is unknown who started the executions. {error}"
    return names, None


def in_trail(
    account: Account, service: str, name: str, first: datetime, last: datetime, *, sleep: Callable[[float], None]
) -> Iterator[JsonObject]:
    """CloudTrail's successful calls of this name in this time, at most `PAGES`, with their callers. LookupEvents
    (API reference) needs a permission, shows events minutes later, allows 2 calls a second, filters by an attribute."""
    wanted = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]}
    times = {"StartTime": first - EARLIER, "EndTime": last + LATER}
    for page in islice(account.pages("cloudtrail", "lookup_events", **wanted, **times), PAGES):
        for call in (object_of(each.get("CloudTrailEvent")) for each in page.get("Events", [])):
            if call.get("eventSource") == f"{service}.amazonaws.com" and not call.get("errorCode"):
                yield call | {"calledBy": caller(as_object(call.get("userIdentity")))}
        if not page.get("NextToken"):
            return
        sleep(SECONDS_APART)


def caller(identity: Mapping[str, Any]) -> str | None:
    """`alice`, `Deployer/alice` for a role and its session, or `root`; and the AWS service that made the call for them.
    Source: CloudTrail User Guide, userIdentity element."""
    arn, service = str(identity.get("arn", "")), identity.get("invokedBy")
    by_type = {"AssumedRole": arn.partition(":assumed-role/")[2], "Root": "root"}
    name = by_type.get(str(identity.get("type")), identity.get("userName") or arn.rpartition("/")[2])
    name = name or identity.get("principalId")
    text = f"{name} ({service})" if name and service else name or service
    return plain(text, 200) if text else None
