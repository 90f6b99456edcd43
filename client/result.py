"""How an execution ended, in words and as JSON, and its exit code. Makes no calls."""

import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from client.progress import Progress
from client.screen import JsonObject, Rows, as_object, duration, plain, program
from domain.lock import object_of
from domain.pair import Address, AddressName

OK, CLIENT_FAILED, USAGE, OTHER_FAILURE, UNLOCK_REFUSED, INTERRUPTED = 0, 1, 2, 19, 20, 130
# The exit codes of successes with --detailed-exit-code. 3 is: nothing was done.
DETAILED = {"ALREADY_LIVE": 3, "NOTHING_TO_REPAIR": 3, "REPAIRED": 4, "DRY_RUN": 5}
FAILURES = {"InvalidRequest": 10, "CutoverInProgress": 11, "StagingUnhealthy": 12, "PreflightFailed": 13,
            "AddressMoved": 14, "RolledBack": 15, "RollbackFailed": 16, "ABORTED": 17, "TIMED_OUT": 18,
            "DeployFailed": 21, "NotApproved": 22}  # fmt: skip
# Each exit code, for --help and docs/client.md. A test compares the two.
MEANINGS = {
    OK: "CUT_OVER, ALREADY_LIVE, REPAIRED or DRY_RUN; or another command succeeded",
    CLIENT_FAILED: "the client failed, and standard error says why; or `verify` found a broken guarantee",
    USAGE: "the command line is wrong",
    **{code: f"{outcome}, with --detailed-exit-code" for outcome, code in DETAILED.items()},
    DETAILED["ALREADY_LIVE"]: "ALREADY_LIVE or NOTHING_TO_REPAIR: nothing was done, with --detailed-exit-code",
    **{code: error for error, code in FAILURES.items()},
    FAILURES["ABORTED"]: "the execution was stopped",
    FAILURES["TIMED_OUT"]: "the execution timed out",
    OTHER_FAILURE: "the execution failed with another error, for example RepairFailed of `unlock`",
    UNLOCK_REFUSED: "`unlock` changed nothing: the execution that holds the lock still runs",
    INTERRUPTED: "interrupted (143 by SIGTERM), or the output could not be written; the execution continues",
}
RUNNING = ("RUNNING", "PENDING_REDRIVE")
ROLES: tuple[AddressName, ...] = ("production", "staging")
REPORTED = (*ROLES, "previous", "plan", "gap")
# After these errors, this execution has not moved production; it was last described on the server that was live before.
NOT_BEGUN = ("StagingUnhealthy", "PreflightFailed", "DeployFailed", "NotApproved")
STOPPED = ("Production stays where it was at the end, perhaps on the new server, unchecked. Staging and the lock are "
           "repaired automatically, within minutes. Check with `status`.")  # fmt: skip
ADVICE = {
    "InvalidRequest": "Correct the options, or the pair's configuration, and start again.",
    "CutoverInProgress": "Wait until the other execution ends, then start again.",
    "StagingUnhealthy": "Fix the release on the idle server, restart the application, and start again.",
    "PreflightFailed": "Do what the cause says, then start again.",
    "AddressMoved": "Find out who moves the addresses of this pair, check with `status`, and start again.",
    "RolledBack": "Fix the problem in the cause, on the idle server or in EC2, then start again.",
    "RollbackFailed": "Act now: run the commands in the cause, then check with `status`.",
    "DeployFailed": "Fix what the cause shows, in the command of `deploy` or on the idle server, and start again.",
    "NotApproved": "If the release should go live, start again, and run `approve` in time.",
    "RepairFailed": "Act now: do what the cause says, then check with `status`.",
    **dict.fromkeys(("ABORTED", "TIMED_OUT"), STOPPED),
}
# The sections of docs/runbook.md that are not called as the outcome in lower case.
RUNBOOK = {"RollbackFailed": "rollbackfailed-eip-cutover-rollback-failed",
           "RepairFailed": "repairfailed-eip-cutover-repair-failed",
           **dict.fromkeys(("ABORTED", "TIMED_OUT"), "aborted-timed_out-eip-cutover-repair-ran")}  # fmt: skip


class Result:
    """The state of an execution, from DescribeExecution and what was read of its history. `outcome` is the outcome of a
    success, the error of a failure, or the status. `execution` is its ARN; `holder` is the running execution whose lock
    `unlock` leaves alone. The keys of its JSON are the attributes, in camel case, and what it `reported`."""

    def __init__(self, described: Mapping[str, Any], progress: Progress) -> None:
        self.execution = str(described["executionArn"])
        self.name = str(described.get("name") or self.execution.rsplit(":", 1)[-1])
        self.status = str(described["status"])
        output = object_of(described.get("output")) if self.succeeded else {}
        error = str(described.get("error") or self.status) if self.status == "FAILED" else self.status
        self.outcome = str(output.get("outcome", self.status)) if self.succeeded else error
        # The plan matters for an execution that runs or failed. The output of a success has the same and more.
        plan, sources = progress.plan, (output, progress.plan, object_of(described.get("input")))
        self.pair = next(filter(None, (_text(source.get("pair")) for source in sources)), None)
        self.was_live = _server(output.get("previous")) or _text(as_object(plan.get("live")).get("name"))
        # A redriven execution changes nothing, and does not know what it changed before.
        unmoved = error in (*NOT_BEGUN, "RolledBack") and not described.get("redriveCount")
        self.is_live = _server(output) if output else self.was_live if unmoved else None
        self.cause = _text(output.get("cause")) or (None if self.succeeded else _text(described.get("cause")))
        self.holder, stopped = _text(output.get("holder")), described.get("stopDate")
        self.seconds = round((stopped - described["startDate"]).total_seconds(), 3) if stopped else None
        self.reported: JsonObject = {key: as_object(output.get(key)) or None for key in REPORTED}
        self.reported["warnings"] = output["warnings"] if isinstance(output.get("warnings"), list) else []
        self.reported |= {"healthChecks": progress.health_checks, "states": progress.states}

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"

    @property
    def advice(self) -> str | None:
        if self.succeeded:
            return None
        section = RUNBOOK.get(self.outcome, self.outcome.lower() if self.outcome in ADVICE else "any-other-error")
        advice = f"{ADVICE.get(self.outcome, STOPPED)} More: docs/runbook.md#{section}"
        in_progress = self.cause if self.outcome == "CutoverInProgress" else None
        holder = re.search(r"arn:\S+:execution:\S+?(?=[,\s]|$)", in_progress or "")
        return f"{advice}\n{shlex.join([program(), 'watch', holder[0]])}" if holder else advice

    def exit_code(self, *, detailed: bool = False) -> int:
        if self.holder:
            return UNLOCK_REFUSED
        if self.succeeded:
            return DETAILED.get(self.outcome, OK) if detailed else OK
        return FAILURES.get(self.outcome, OTHER_FAILURE)

    def to_json(self) -> JsonObject:
        own = {name: value for name, value in vars(self).items() if name != "reported"}
        camel = {re.sub("_(.)", lambda match: match[1].upper(), name): value for name, value in own.items()}
        return {**camel, **self.reported, "advice": self.advice}

    def summary(self) -> Rows:
        """What a person reads at the end: labels and values. Only the cause and what to do may have several lines."""
        steps, gap = as_object(self.reported["plan"]).get("steps"), as_object(self.reported["gap"])
        failed = f"{gap.get('failed')} of {gap.get('requests')} requests failed"
        known = f"{self.is_live}, when last described" if self.outcome in NOT_BEGUN else self.is_live
        unknown = "unknown; check with `status`" if self.was_live else None
        facts = [
            ("outcome", self.outcome),
            ("pair", self.pair),
            ("was live", self.was_live),
            ("is live", known if self.is_live else unknown),
            *((role, self._place(role)) for role in ROLES),
            *(("plan", step) for step in (steps if isinstance(steps, list) else [])),
            *(("warning", warning) for warning in self.reported["warnings"]),
            ("gap", f"{failed}; longest time without a good answer {gap.get('longestMs')} ms" if gap else None),
            ("took", None if self.seconds is None else duration(self.seconds)),
            ("execution", self.name),
        ]
        # The output of a server's command has no command to copy.
        all_of_it = self.cause or ""
        cause, *output = (all_of_it.splitlines() if self.outcome == "DeployFailed" else [all_of_it]) or [""]
        texts = (("cause", cause), *(("", f"| {each}") for each in output), ("what to do", self.advice or ""))
        return [(label, plain(value)) for label, value in facts if value] + [row for row in texts if row[1]]

    def _place(self, role: AddressName) -> str | None:
        with suppress(KeyError):  # the outcome does not report this address
            return in_words(Address.from_json(role, self.reported[role] or {}))
        return None


def in_words(address: Address | None) -> str | None:
    """`203.0.113.10 on tao (i-0b…)`."""
    return f"{address.public_ip} {address.place}" if address else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _server(addresses: object) -> str | None:
    """The name of the server that holds the production address."""
    return _text(as_object(as_object(addresses).get("production")).get("server"))
