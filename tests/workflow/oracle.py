"""Whether an execution kept the guarantees (`broken`), whatever happened to it: what was seen of it becomes the events
of `tests.guarantees_seen_whole`. Beside that, only what the matrix alone can know is checked here.

The workflow cannot rule out three events, and the oracle allows for exactly them:

- *Someone else moves an address* (`moved`). EC2 has no lock that others would respect. A move before the first
  description is part of what the execution finds. If the execution notices a move before its first change, the address
  stays where the other person put it, and the error says what is true. After the first change, staging is put on its
  server, but production on a stranger stays there, and the outcome says so. Staging that someone moved onto the live
  server displaces production. So no call of *ours* may take production off a server, or take it from a stranger, except
  in the races that EC2's API leaves open: a move between our description and our call, for which EC2 has no condition.
  In every case, a success or a complete rollback must be true.
- *A server is terminated*. EC2 disassociates its addresses, and they cannot go back to it. After the first change, the
  execution may therefore end RollbackFailed with commands that cannot run, because the instance no longer exists.
- *The lock cannot be deleted* (DynamoDB fails for ever). The lock stays, and the next execution takes it over. A topic
  that fails for ever receives nothing. A topic whose answer was lost receives the outcome twice.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from botocore.exceptions import ClientError

from domain.pair import Pair
from guarantees.trace import CommandBegan, Event, Places, Step
from local.faults import Fault
from tests.guarantees_seen_whole import STALE_SECONDS, CommandEnded, EndedAt, GuaranteesSeenWhole
from tests.workflow.account import PAIR, Aws, Execution
from tests.workflow.ec2_calls import THIS, EC2Calls

NOTHING_CHANGED = ("PreflightFailed", "StagingUnhealthy", "AddressMoved", "DeployFailed")
OUTCOMES = ("CUT_OVER", "REPAIRED", "RolledBack", "RollbackFailed", *NOTHING_CHANGED)
COMMAND = re.compile(r"aws ec2 associate-address(?: --[a-z-]+(?: (?!--)[\w.-]*[\w-])?)+")
SECONDS_APART = 100.0  # between two events, so that only what an execution described last counts as described


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
    pair = Pair.from_json("web", json.loads(run.aws.pairs_file.read_text())["web"])
    guarantees = GuaranteesSeenWhole(pair, stale_seconds=inf if _shows_the_past(run) else STALE_SECONDS)
    return [
        *(f"{each.guarantee}: {each.text}" for event in _events(run) for each in guarantees.observe(event)),
        *_lock(run),
        *_notices(run),
        *_the_outcome_is_true(run),
        *_the_record_is_true(run),
        *_commands_on_servers(run),
    ]


def _events(run: Run) -> Iterator[Event]:
    """In their order, with the commands on the servers, and the end."""
    execution, events = run.execution, list(run.calls.events)
    for command in run.aws.systems_manager.commands:
        what = THIS, command.parameters["Step"], command.instance_id
        events += [CommandBegan(command.began, *what)] if command.began else []
        events += [CommandEnded(command.ended, *what)] if command.began and command.ended else []
    events.sort(key=lambda event: event.at)
    places = Places(*_places(run.aws))
    output = None if _shows_the_past(run) else execution.output
    events.append(EndedAt(0, THIS, execution.status, execution.outcome, output, execution.cause, places))
    for number, event in enumerate(events):
        now = replace(event, at=number * SECONDS_APART)
        yield replace(now, execution=execution.arn) if isinstance(now, Step) and now.execution == THIS else now


def _shows_the_past(run: Run) -> bool:
    """Whether EC2 shows what was before, until the end."""
    return run.fault is not None and run.fault.kind == "stale" and run.fault.times is None


def _commands_on_servers(run: Run) -> Iterator[str]:
    sent, outcome = run.aws.systems_manager.commands, run.execution.outcome
    steps = [command.parameters["Step"] for command in sent]
    if not run.aws.locks and (running := [command for command in sent if command.ended is None]):
        yield f"{running} may still run, and the lock is free"
    if outcome == "CUT_OVER" and steps not in ([], ["deploy", "beforeCutover0", "afterCutover0"]):
        yield f"CUT_OVER after {steps}"
    in_vain = "beforeCutover0" in steps and outcome != "CUT_OVER"
    warned = "AfterRollback" in str(run.aws.notices) or "afterRollback0" in str(run.aws.notices)
    if in_vain and "afterRollback0" not in steps and not warned:
        yield f"{outcome} after {steps}, and nothing was undone"


def _the_record_is_true(run: Run) -> Iterator[str]:
    """The server to go back to is the one that the record named before the execution had planned."""
    record, outcome = run.aws.record, run.execution.outcome
    if run.aws.locks or outcome not in OUTCOMES:
        return
    expected = None if record.releases or outcome in ("RolledBack", "RollbackFailed") else run.rollback_to
    if outcome != "CUT_OVER" and record.rollback_to.server != expected:
        yield f"{outcome}, and a rollback would go to {record.rollback_to}, not to {expected}"
    recorded = record.last_outcome and record.last_outcome["outcome"]
    if recorded != (outcome if "Decision?" in run.execution.states else None):
        yield f"{outcome}, and the last outcome is {record.last_outcome}"


def _lock(run: Run) -> Iterator[str]:
    undeletable = _failed_for_ever(run, "dynamodb UpdateItem")
    if run.aws.locks and not undeletable:
        yield f"the lock is still held: {run.aws.locks}"
    for lock in run.aws.locks:
        if lock["execution"]["S"] != run.execution.arn or run.aws.status(run.execution.arn) == "RUNNING":
            yield f"the lock that is left is not of a dead execution: {lock}"


def _notices(run: Run) -> Iterator[str]:
    announced = {"sns Publish": run.aws.notices, "events PutEvents": [event["detail"] for event in run.aws.events]}
    for action, notices in announced.items():
        expected = 1
        if run.fault and run.fault.action == action:
            expected = 0 if run.fault.times is None else 2 if run.fault.kind == "answer-lost" else 1
        if len(notices) != expected:
            yield f"{len(notices)} of {action} instead of {expected}"
    for notice in [notice for notices in announced.values() for notice in notices]:
        if (notice["outcome"], notice["execution"]) != (run.execution.outcome, run.execution.arn):
            yield f"the notice says {notice['outcome']}, the execution ended {run.execution.outcome}"
    if len(json.dumps(run.execution.cause)) > 32_000:
        yield "the cause is longer than Step Functions allows"


def _the_outcome_is_true(run: Run) -> Iterator[str]:
    """As the pair is described now, and was before the execution: more than the places that an event has."""
    outcome, live = run.execution.outcome, run.before["production"]["instanceId"]
    if outcome not in OUTCOMES:
        yield f"it ended {outcome}: {run.execution.cause}"
    if outcome == "CUT_OVER" and not _shows_the_past(run):
        yield from _reported(run)
    if outcome == "RollbackFailed":
        yield from _commands(run, (live, _other(run, live)))
    if not any("moved" in fault.kind or "terminated" in fault.kind for fault in run.calls.struck):
        if run.aws.described("production")["instanceId"] not in _servers(run):
            yield f"in the end production stands {_places(run.aws)}"
        if outcome in NOTHING_CHANGED and _places(run.aws) not in (_placed(run.before), (live, _other(run, live))):
            yield f"{outcome}, and the addresses stand {_places(run.aws)}, not {_placed(run.before)}"


def _reported(run: Run) -> Iterator[str]:
    for name in ("production", "staging"):
        shown = run.aws.described(name)
        if run.execution.output[name] != shown | {"server": shown["server"] if shown["server"] in PAIR else None}:
            yield f"CUT_OVER reports {run.execution.output[name]}, EC2 has {shown}"
        if run.execution.output["previous"][name] != run.before[name]:
            yield f"CUT_OVER reports as previous {run.execution.output['previous'][name]}, not {run.before[name]}"


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
