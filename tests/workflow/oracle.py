"""Whether an execution kept the guarantees (`broken`), whatever happened to it. One oracle for all cases of the matrix.

The workflow cannot rule out three events, and the oracle allows for exactly them:

- *Someone else moves an address* (`moved`). EC2 has no lock that others would respect. A move before the first
  description is part of what the execution finds. If the execution notices a move before its first change, the address
  stays where the other person put it, and the error says what is true. After the first change, staging is put on its
  server, but production on a stranger stays there, and the outcome says so. Staging that someone moved onto the live
  server displaces production. So no call of *ours* may take production off a server, or take it from a stranger, except
  in the races that EC2's API leaves open: a move in the milliseconds between our description and our call, for which
  EC2 has no condition. In every case, a success or a complete rollback must be true.
- *A server is terminated*. EC2 disassociates its addresses, and they cannot go back to it. After the first change, the
  execution may therefore end RollbackFailed with commands that cannot run, because the instance no longer exists.
- *The lock cannot be deleted* (DynamoDB fails for ever). The lock stays, and the next execution takes it over. A topic
  that fails for ever receives nothing. A topic whose answer was lost receives the outcome twice.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local.faults import Fault
from tests.workflow.account import PAIR, Aws, Execution
from tests.workflow.ec2_calls import Change, EC2Calls, Sight

NOTHING_CHANGED = ("PreflightFailed", "StagingUnhealthy", "AddressMoved", "DeployFailed")
OUTCOMES = ("CUT_OVER", "REPAIRED", "RolledBack", "RollbackFailed", *NOTHING_CHANGED)
COMMAND = re.compile(r"aws ec2 associate-address(?: --[a-z-]+(?: (?!--)[\w.-]*[\w-])?)+")


@dataclass(frozen=True)
class Run:
    """One execution that is over: the pair before and now, and all that was seen of it.

    `rollback_to` is the server that a rollback would have gone to before, `rollback` whether the execution was one.
    """

    aws: Aws
    before: dict[str, dict[str, Any]]
    calls: EC2Calls
    fault: Fault | None
    execution: Execution
    rollback_to: str | None = None
    rollback: bool = False


def broken(run: Run) -> list[str]:
    """The guarantees that do not hold, in words; running the commands of a RollbackFailed is part of it."""
    return [
        *_in_every_moment(run),
        *_nothing_outside_the_plan(run),
        *_lock(run),
        *_notices(run),
        *_the_outcome_is_true(run),
        *_the_record_is_true(run),
        *_commands_on_servers(run),
    ]


def _commands_on_servers(run: Run) -> Iterator[str]:
    """One at a time, each at most once, none when the lock is free; and hooks before a cutover are undone."""
    sent, outcome = run.aws.systems_manager.commands, run.execution.outcome
    steps = [command.parameters["Step"] for command in sent]
    if overlaps := run.aws.systems_manager.overlaps():
        yield f"commands ran at once: {overlaps}"
    if len(set(steps)) != len(steps):
        yield f"commands ran twice: {steps}"
    if not run.aws.locks and (running := [command for command in sent if command.ended is None]):
        yield f"{running} may still run, and the lock is free"
    if outcome == "CUT_OVER" and steps not in ([], ["deploy", "beforeCutover0", "afterCutover0"]):
        yield f"CUT_OVER after {steps}"
    in_vain = "beforeCutover0" in steps and outcome != "CUT_OVER"
    warned = "AfterRollback" in str(run.aws.notices) or "afterRollback0" in str(run.aws.notices)
    if in_vain and "afterRollback0" not in steps and not warned:
        yield f"{outcome} after {steps}, and nothing was undone"


def _the_record_is_true(run: Run) -> Iterator[str]:
    """A rollback goes only to a server that users were served well by, as the record says once the lock is released."""
    record, outcome = run.aws.record, run.execution.outcome
    if run.aws.locks or outcome not in OUTCOMES:
        return
    expected = None if record.releases else run.rollback_to
    if outcome in ("RolledBack", "RollbackFailed"):
        expected = None
    elif outcome == "CUT_OVER":
        was = run.execution.output["production" if run.rollback else "previous"]
        expected = (was if run.rollback else was["production"])["server"]
    if record.rollback_to.server != expected:
        yield f"{outcome}, and a rollback would go to {record.rollback_to}, not to {expected}"
    cut_over = (record.last_cutover or {}).get("execution") == run.execution.arn
    if cut_over != (outcome == "CUT_OVER"):
        yield f"{outcome}, and the last cutover is {record.last_cutover}"
    told = record.last_outcome and record.last_outcome["outcome"]
    if told != (outcome if "Decision?" in run.execution.states else None):
        yield f"{outcome}, and the last outcome is {record.last_outcome}"


def _in_every_moment(run: Run) -> Iterator[str]:
    others = bool(run.calls.struck)
    servers = set(run.aws.servers.values()) if others else set(_servers(run))
    previous: Sight | None = None
    for number, sight in enumerate(run.calls.sights):
        ours = sight.when.startswith("after a") and sight.when != "after a strike"
        lost_by_us = ours and previous is not None and previous.production and number not in run.calls.races
        if sight.production is None and (not others or lost_by_us):
            yield f"production was on no server at sight {number}, {sight.when}"
        if sight.production is not None and sight.production not in servers:
            yield f"production was on {sight.production} at sight {number}, {sight.when}"
        stranger = run.aws.servers.get("stranger", "none")
        left_alone = previous is None or previous.production != stranger or previous.when == "after a strike"
        if ours and not left_alone and sight.production != stranger:
            yield f"production was taken from the stranger at sight {number}, {sight.when}"
        previous = sight


def _nothing_outside_the_plan(run: Run) -> Iterator[str]:
    for change in run.calls.effects:
        if change.action == "DisassociateAddress" and change.allocation_id == run.aws.production:
            yield "production was disassociated"
        if change.action == "AssociateAddress" and change.instance_id not in _servers(run):
            yield f"an address was put on {change.instance_id}, which is none of the pair's"
        if change.effective and change.allocation_id not in (run.aws.production, run.aws.staging):
            yield f"{change.allocation_id} was moved, which is none of the pair's"


def _lock(run: Run) -> Iterator[str]:
    undeletable = _failed_for_ever(run, "dynamodb UpdateItem")
    if run.aws.locks and not undeletable:
        yield f"the lock is still held: {run.aws.locks}"
    for lock in run.aws.locks:
        if lock["execution"]["S"] != run.execution.arn or run.aws.status(run.execution.arn) == "RUNNING":
            yield f"the lock that is left is not of a dead execution: {lock}"


def _notices(run: Run) -> Iterator[str]:
    told = {"sns Publish": run.aws.notices, "events PutEvents": [event["detail"] for event in run.aws.events]}
    for action, notices in told.items():
        expected = 1
        if run.fault and run.fault.action == action:
            expected = 0 if run.fault.times is None else 2 if run.fault.kind == "answer-lost" else 1
        if len(notices) != expected:
            yield f"{len(notices)} of {action} instead of {expected}"
    for notice in [found for notices in told.values() for found in notices]:
        if (notice["outcome"], notice["execution"]) != (run.execution.outcome, run.execution.arn):
            yield f"the notice says {notice['outcome']}, the execution ended {run.execution.outcome}"
    if len(json.dumps(run.execution.cause)) > 32_000:
        yield "the cause is longer than Step Functions allows"


def _the_outcome_is_true(run: Run) -> Iterator[str]:
    outcome, now, before = run.execution.outcome, _places(run.aws), _placed(run.before)
    live = before[0]
    sound = (live, _other(run, live))
    changes = [change for change in run.calls.effects if change.effective and not _is_a_repair(run, change, sound)]
    if outcome not in OUTCOMES:
        yield f"it ended {outcome}: {run.execution.cause}"
    if outcome == "CUT_OVER":
        yield from _cut_over(run, now, before)
    if outcome == "REPAIRED" and (changes or now != sound):
        yield f"REPAIRED, and the addresses stand {now}, not {sound}; changes: {changes}"
    if outcome in NOTHING_CHANGED:
        if changes or (outcome == "AddressMoved" and any(change.effective for change in run.calls.effects)):
            yield f"{outcome} although something was changed: {run.calls.effects}"
        if now not in (before, sound) and not run.calls.struck:
            yield f"{outcome}, and the addresses stand {now}, not {before}"
    if outcome == "RolledBack" and now != sound:
        yield f"RolledBack, and the addresses stand {now}, not {sound}"
    if outcome == "RollbackFailed":
        yield from _commands(run, sound)
    if not any("moved" in fault.kind or "terminated" in fault.kind for fault in run.calls.struck):
        yield from _on_the_pair(run)


def _on_the_pair(run: Run) -> Iterator[str]:
    if run.aws.described("production")["instanceId"] not in _servers(run):
        yield f"in the end production stands {_places(run.aws)}"


def _cut_over(run: Run, now: Any, before: Any) -> Iterator[str]:
    live = before[0] or _other(run, now[0])  # if production was on no server, it goes where it was asked for
    idle = _other(run, live)
    warned = "Someone else moved it." in str(run.execution.output.get("warnings"))
    if run.fault and run.fault.kind == "stale" and run.fault.times is None and warned:
        return  # EC2 shows what was before, until the end
    nowhere = "so it will be on no server." in str(run.execution.output.get("warnings"))
    if nowhere and now == (idle, None) and not (run.aws.runs(live) or _stopped(run, live)):
        return  # the other server cannot hold staging
    if now != (idle, live) and not (now[0] == idle and run.calls.struck and warned):
        yield f"CUT_OVER, and the addresses stand {now}, not {(idle, live)}"
        return
    for name in ("production", "staging"):
        shown = run.aws.described(name)
        if run.execution.output[name] != shown | {"server": shown["server"] if shown["server"] in PAIR else None}:
            yield f"CUT_OVER reports {run.execution.output[name]}, EC2 has {shown}"
        if run.execution.output["previous"][name] != run.before[name]:
            yield f"CUT_OVER reports as previous {run.execution.output['previous'][name]}, not {run.before[name]}"


def _is_a_repair(run: Run, change: Change, sound: Any) -> bool:
    """Staging that was elsewhere was put on the idle server, before anything else; and production back, if that
    displaced it in a race."""
    put = (change.allocation_id, change.instance_id)
    back = bool(run.calls.races) and put == (run.aws.production, sound[0])
    return _placed(run.before) != sound and (back or put == (run.aws.staging, sound[1]))


def _commands(run: Run, sound: Any) -> Iterator[str]:
    commands = COMMAND.findall(str(run.execution.cause))
    if not commands:
        yield f"RollbackFailed without a command: {run.execution.cause}"
    if not all(run.aws.runs(server) or _stopped(run, server) for server in _servers(run)):
        return  # of a terminated server, no command puts anything back
    for command in commands:
        words = shlex.split(command)
        options = dict(zip(words[3::2], words[4::2], strict=False))
        try:
            run.aws.ec2.associate_address(
                AllocationId=options["--allocation-id"],
                InstanceId=options["--instance-id"],
                PrivateIpAddress=options["--private-ip-address"],
                AllowReassociation="--allow-reassociation" in words,
            )
        except ClientError as error:
            yield f"{command} fails: {error}"
    if _places(run.aws) != sound:
        yield f"the commands {commands} lead to {_places(run.aws)}, not {sound}"


def _stopped(run: Run, server: str) -> bool:
    return run.aws.state_of(server) == "stopped"


def _servers(run: Run) -> tuple[str, str]:
    return run.aws.servers["bittybot"], run.aws.servers["tao"]


def _other(run: Run, instance_id: str) -> str:
    first, second = _servers(run)
    return second if instance_id == first else first


def _places(aws: Aws) -> tuple[Any, Any]:
    return aws.described("production")["instanceId"], aws.described("staging")["instanceId"]


def _placed(described: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    return described["production"]["instanceId"], described["staging"]["instanceId"]


def _failed_for_ever(run: Run, action: str) -> bool:
    return run.fault is not None and run.fault.action == action and run.fault.times is None
