"""What an execution came to, and with which exit code the client says so. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client.progress import Progress
from client.text import JsonObject, duration, parsed, plain

OK, CLIENT_FAILED, USAGE, UNLOCK_REFUSED, INTERRUPTED = 0, 1, 2, 20, 130
# Of an execution that did what was asked, and only where --detailed-exit-code asks for it.
DETAILED = {"ALREADY_LIVE": 3, "REPAIRED": 4, "DRY_RUN": 5}
FAILURES = {
    "InvalidRequest": 10,
    "CutoverInProgress": 11,
    "StagingUnhealthy": 12,
    "PreflightFailed": 13,
    "AddressMoved": 14,
    "RolledBack": 15,
    "RollbackFailed": 16,
    "ABORTED": 17,
    "TIMED_OUT": 18,
}
OTHER_FAILURE = 19
# Each exit code once, for the README, --help and the test that compares them.
MEANINGS = {
    OK: "CUT_OVER, ALREADY_LIVE, REPAIRED or DRY_RUN; any other command did what was asked",
    CLIENT_FAILED: "the client failed: no credentials, no stack, an error of AWS; standard error says which",
    USAGE: "the command line is wrong",
    3: "ALREADY_LIVE, with --detailed-exit-code",
    4: "REPAIRED, with --detailed-exit-code",
    5: "DRY_RUN, with --detailed-exit-code",
    10: "InvalidRequest",
    11: "CutoverInProgress",
    12: "StagingUnhealthy",
    13: "PreflightFailed",
    14: "AddressMoved",
    15: "RolledBack",
    16: "RollbackFailed",
    17: "the execution was stopped",
    18: "the execution timed out",
    OTHER_FAILURE: "the execution failed in another way",
    UNLOCK_REFUSED: "`unlock` refused: the lock is not dead",
    INTERRUPTED: "interrupted while following (143 by SIGTERM); the execution goes on",
}
RUNNING = ("RUNNING", "PENDING_REDRIVE")
# Production stands where it stood before: nothing was moved, or all was moved back.
UNMOVED = ("StagingUnhealthy", "PreflightFailed", "RolledBack")
ADVICE = {
    "InvalidRequest": "Correct the options, or the pair's configuration, and start again.",
    "CutoverInProgress": "Wait until the other one ends, then start again.",
    "StagingUnhealthy": "Mend the release on the idle server, restart it, and start again.",
    "PreflightFailed": "Do what the cause says, then start again.",
    "AddressMoved": "Find out who moves the addresses of this pair, look with `status`, and start again.",
    "RolledBack": "Mend what the cause tells of, on the idle server or in EC2, then start again.",
    "RollbackFailed": "Act now: run the commands that the cause names, then look with `status`.",
    "ABORTED": "It is repaired by itself within minutes: production stays where it is. Look with `status`.",
    "TIMED_OUT": "It is repaired by itself within minutes: production stays where it is. Look with `status`.",
}
# The section of docs/runbook.md for each.
RUNBOOK = {
    **{error: error.lower() for error in ADVICE},
    "RollbackFailed": "rollbackfailed-eip-cutover-rollback-failed",
    "ABORTED": "aborted-timed_out-eip-cutover-repair-ran",
    "TIMED_OUT": "aborted-timed_out-eip-cutover-repair-ran",
}


@dataclass(frozen=True)
class Result:
    """How an execution stands or ended. `outcome` is a success's outcome, a failure's error, or the status."""

    arn: str
    name: str
    status: str
    outcome: str
    pair: str | None
    was_live: str | None
    is_live: str | None
    production: JsonObject | None
    staging: JsonObject | None
    previous: JsonObject | None
    plan: JsonObject | None
    gap: JsonObject | None
    cause: str | None
    seconds: float | None
    health_checks: list[JsonObject]
    states: list[JsonObject]

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"

    @property
    def advice(self) -> str | None:
        if self.succeeded:
            return None
        advice = ADVICE.get(self.outcome, "Look at the execution in the Step Functions console.")
        if self.outcome == "CutoverInProgress" and (
            holder := re.search(r"arn:\S+:execution:\S+?(?=[,\s]|$)", self.cause or "")
        ):
            advice = f"Follow it with `cutover.py watch {plain(holder[0])}`, and start again when it has ended."
        return f"{advice} More: docs/runbook.md#{RUNBOOK.get(self.outcome, 'any-other-error')}"

    def exit_code(self, *, detailed: bool = False) -> int:
        if self.succeeded:
            return DETAILED.get(self.outcome, OK) if detailed else OK
        return FAILURES.get(self.outcome, OTHER_FAILURE)

    def to_json(self) -> JsonObject:
        return {
            "execution": self.arn,
            "name": self.name,
            "status": self.status,
            "outcome": self.outcome,
            "pair": self.pair,
            "wasLive": self.was_live,
            "isLive": self.is_live,
            "production": self.production,
            "staging": self.staging,
            "previous": self.previous,
            "plan": self.plan,
            "gap": self.gap,
            "cause": self.cause,
            "advice": self.advice,
            "seconds": self.seconds,
            "healthChecks": self.health_checks,
            "states": self.states,
        }

    def summary(self) -> list[tuple[str, str]]:
        """What a person reads at the end: a word and its value, a line each."""
        lines = [
            ("outcome", self.outcome),
            ("pair", self.pair),
            ("was live", self.was_live),
            ("is live", self.is_live or ("not known; look with `status`" if self.was_live else None)),
            ("production", place(self.production)),
            ("staging", place(self.staging)),
            ("users met", met(self.gap)),
            ("took", None if self.seconds is None else duration(self.seconds)),
            ("execution", self.name),
            ("cause", self.cause),
            ("what to do", self.advice),
        ]
        steps = self.plan.get("steps") if self.plan else None
        if isinstance(steps, list):
            lines[5:5] = [("would", str(step)) for step in steps]
        return [(word, plain(value)) for word, value in lines if value]


def result_of(described: Mapping[str, Any], progress: Progress | None = None) -> Result:
    """From what DescribeExecution says, and where there is one, from what the history told."""
    progress = progress or Progress()
    status = str(described["status"])
    output = parsed(described.get("output")) if status == "SUCCEEDED" else None
    output = output if isinstance(output, dict) else {}
    request = parsed(described.get("input"))
    asked = request.get("pair") if isinstance(request, dict) else None
    # The plan of an execution that goes on or failed; one that succeeded has said it better.
    plan = progress.plan or {}
    previous = _object(output.get("previous"))
    was_live = _server(previous, "production") if previous else _name(plan.get("live"))
    error = str(described.get("error") or status) if status == "FAILED" else status
    stopped = described.get("stopDate")
    # An execution that is redriven changes nothing more, and does not know what it had changed before.
    unmoved = error in UNMOVED and not described.get("redriveCount")
    return Result(
        arn=described["executionArn"],
        name=str(described.get("name") or described["executionArn"].rsplit(":", 1)[-1]),
        status=status,
        outcome=str(output.get("outcome", status)) if status == "SUCCEEDED" else error,
        pair=_text(output.get("pair")) or _text(plan.get("pair")) or _text(asked),
        was_live=was_live,
        is_live=_server(output, "production") if output else was_live if unmoved else None,
        production=_object(output.get("production")),
        staging=_object(output.get("staging")),
        previous=previous,
        plan=_object(output.get("plan")),
        gap=_object(output.get("gap")),
        cause=_text(output.get("cause")) or (_text(described.get("cause")) if status != "SUCCEEDED" else None),
        seconds=round((stopped - described["startDate"]).total_seconds(), 3) if stopped else None,
        health_checks=progress.health_checks,
        states=progress.states,
    )


def met(gap: Mapping[str, Any] | None) -> str | None:
    """What was measured at the production address while it moved."""
    if gap is None:
        return None
    longest = f"{gap.get('longestMs')} ms at most without a good answer"
    return f"{gap.get('failed')} of {gap.get('requests')} requests failed, {longest}"


def place(address: Mapping[str, Any] | None) -> str | None:
    """`203.0.113.10 on tao (i-0b…)`, for the shape in which outcomes and `status` report an address."""
    if address is None:
        return None
    instance = address.get("instanceId")
    if address.get("server"):
        where = f"on {address['server']} ({instance})"
    elif instance or address.get("associationId"):
        where = f"on {instance or 'something'}, which is not in the pair"
    else:
        where = "on no server"
    return f"{address.get('publicIp')} {where}"


def _object(value: object) -> JsonObject | None:
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _name(server: object) -> str | None:
    return _text(server.get("name")) if isinstance(server, dict) else None


def _server(addresses: Mapping[str, Any] | None, role: str) -> str | None:
    address = addresses.get(role) if addresses else None
    return _text(address.get("server")) if isinstance(address, dict) else None
