"""Judges a run after every step: what happens in the simulation becomes events of `guarantees.trace`, in their order.

The first guarantee that breaks ends the run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from domain.pair import Pair
from domain.record import Record
from guarantees.checker import Broken
from guarantees.trace import CommandBegan, Entered, Event, Locked, Passed, Places, Seen, Unlocked
from local.systems_manager_agents import Command
from tests.guarantees_seen_whole import (
    CommandEnded,
    Disturbed,
    EndedAt,
    Failed,
    GuaranteesSeenWhole,
    Serving,
    WatchedChange,
)
from tests.simulation.executions import FAILED, RUNNING, SUCCEEDED, Execution, Executions
from tests.simulation.fates import Call
from tests.simulation.scheduler import Scheduler
from tests.simulation.synthesized import CUTOVER
from tests.simulation.world.associations import Change
from tests.simulation.world.dynamodb import Write
from tests.simulation.world.web import healthy
from tests.simulation.world.world import World

SLOW_SECONDS = 0.5  # a server that takes longer may fail its checks or pass them


class GuaranteeBroken(Exception):
    def __init__(self, broken: Broken) -> None:
        super().__init__(f"{broken.guarantee}: {broken.text}")
        self.broken = broken


class Run(Protocol):
    """What is observed of a run."""

    scheduler: Scheduler
    world: World
    executions: Executions


class Observer:
    """Of the only pair of a run. `described` is what EC2 showed last, by the path of the function that asked."""

    def __init__(self, run: Run) -> None:
        self._scheduler, self._world, self._executions = run.scheduler, run.world, run.executions
        (self._pair,) = self._world.pairs.values()
        self.guarantees = GuaranteesSeenWhole(self._pair)
        self.broken: list[Broken] = []
        self._arns: dict[str, str] = {}
        self._described: dict[str, Places] = {}
        self._unseen: dict[tuple[str, str], WatchedChange] = {}  # by state, a change that its function has not seen yet
        self._serving: dict[str, tuple[Any, ...]] = {}
        self._caught: set[tuple[str, str]] = set()  # the states of executions that have failed
        self._began = False
        self._faults = self._changes = self._writes = 0
        self._commands: list[tuple[float | None, float | None]] = []
        self._scheduler.after_step = self.step
        self._executions.on_change.insert(0, self._changed_status)
        self._executions.on_record = self._recorded

    # What happens.

    def answered(self, call: Call, answer: Mapping[str, Any]) -> None:
        """A service has answered to a call, which took effect just now."""
        if call.service == "ec2" and call.action == "DescribeAddresses":
            self._described[call.path] = shown = self._shown(answer)
            name, _, state = call.path.partition("/")
            change = self._unseen.get(key := (name, state.partition(".")[0]))
            if change and change.instance_id == _place_in(shown, change, self._pair):
                del self._unseen[key]
        elif call.service == "ec2" and call.action in ("AssociateAddress", "DisassociateAddress"):
            self._called(call)
        elif call.service == "dynamodb" and call.action == "UpdateItem":
            self._wrote(self._execution_of(call.path))

    def step(self) -> None:
        """After every step: what others than the workflow did, and what commands do on the servers."""
        if not self._began:
            return
        if len(self._world.ec2.changes) != self._changes:
            for change in self._new_changes():
                self._happens(_changed(change, None))
        if len(self._world.dynamodb.writes) != self._writes:
            self._wrote(None)
        if self._world.ssm.sent:
            self._follow_commands()

    def settled(self) -> None:
        """Nothing is left to do, long after the last fault."""
        item = self._world.dynamodb.item(self._pair.name)
        self._judged(self.guarantees.settled(self._now, self._world.ec2.places(), _holder(item)))

    @property
    def _now(self) -> float:
        return self._scheduler.now

    def _execution_of(self, path: str) -> str | None:
        """The ARN of the execution whose path begins so, if it is one."""
        return self._arns.get(path.partition("/")[0])

    def _happens(self, event: Event) -> None:
        faults = self._scheduler.schedule.disturbances
        if faults != self._faults:
            self._faults = faults
            self._judged(self.guarantees.observe(Disturbed(self._now)))
        self.guarantees.moving = self._world.web.moving_seconds > 0
        self._judged(self.guarantees.observe(event))

    def _judged(self, broken: list[Broken]) -> None:
        self.broken += broken
        if self.broken and self._scheduler.crash is None:
            self._scheduler.crash = GuaranteeBroken(self.broken[0])

    def _begin(self) -> None:
        """The pair as it is before anything happens."""
        self._began = True
        self._changes, self._writes = len(self._world.ec2.changes), len(self._world.dynamodb.writes)
        self._happens(Seen(self._now, self._world.ec2.places()))
        if holder := _holder(self._world.dynamodb.item(self._pair.name)):
            self._happens(Locked(self._now, holder))

    # Executions.

    def _changed_status(self, execution: Execution) -> None:
        self._arns[execution.name] = execution.arn
        if not self._began:
            self._begin()
        if execution.status == RUNNING:
            return
        self.step()
        if any(self._world.ec2.state_of(server.instance_id) != "running" for server in self._pair.servers):
            self._happens(Disturbed(self._now))  # no address can be moved there
        of_end = execution.status, execution.outcome, execution.output, execution.cause, self._world.ec2.places()
        self._happens(EndedAt(self._now, execution.arn, *of_end))
        if execution.machine == CUTOVER and execution.status in (SUCCEEDED, FAILED) and not execution.redrives:
            self._announced(execution)

    def _announced(self, execution: Execution) -> None:
        """The outcome is announced on both channels, unless a fault prevented it."""
        if str(execution.error).startswith("States."):
            return
        notices = [json.loads(json.loads(each["Message"])["sqs"]) for each in self._world.sns.published]
        events = [each["Detail"] for each in self._world.events.put]
        for state, channel in (("Notify", notices), ("PutEvent", events)):
            said = [each.get("outcome") for each in channel if each["execution"] == execution.arn]
            outcomes = {*said} - {"AWAITS_APPROVAL"}
            failed = any(key.startswith(f"{execution.name}/{state}.") for key in self._scheduler.schedule.deviations)
            if not outcomes <= {execution.outcome} or not (outcomes or failed):
                text = f"{execution.arn} ended {execution.outcome}, and {state} announced {sorted(map(str, outcomes))}"
                self._judged([Broken("the-outcome-is-true", self._now, text)])

    def _recorded(self, execution: Execution, what: str, state: str, more: Any) -> None:
        self.step()
        for server in self._pair.servers:
            self._serve(server.instance_id)
        at, arn = self._now, execution.arn
        match what:
            case "entered":
                self._caught.discard((arn, state))
                self._happens(Entered(at, arn, state))
            case "passed" if (arn, state) not in self._caught:  # a state also ends by its Catch
                if change := self._unseen.pop((execution.name, state), None):
                    text = f"{state} passed, and its function has not seen {change.action} of {change.allocation_id}"
                    self._judged([Broken("described-before-and-after", at, text)])
                self._rehearsed(execution, state)
                self._happens(Passed(at, arn, state, more if isinstance(more, dict) else None))
            case "failed":
                self._caught.add((arn, state))
                self._happens(Failed(at, arn, state, str(more[0])))

    def _rehearsed(self, execution: Execution, state: str) -> None:
        """A rehearsal that was entered once and has passed was not refused, unless another try passed."""
        deviations, prefix = self._scheduler.schedule.deviations, f"{execution.name}/{state}."
        fates = {(kind, "/ec2 " in key) for key, kind in deviations.items() if key.startswith(prefix)}
        once = [each[:3:2] for each in execution.history].count(("entered", state)) == 1
        if state.startswith("Rehearse") and once and fates == {("refused", True)}:
            text = f"{state} passed, and EC2 had refused it"
            self._judged([Broken("nothing-before-the-checks", self._now, text)])

    # Addresses and servers.

    def _shown(self, answer: Mapping[str, Any]) -> Places:
        held = {each["AllocationId"]: each for each in answer["Addresses"]}
        shown = (held.get(each, {}) for each in (self._pair.production, self._pair.staging))
        return Places(*(each.get("InstanceId") or each.get("NetworkInterfaceId") for each in shown))

    def _new_changes(self) -> Iterator[Change]:
        for change in self._world.ec2.changes[self._changes :]:
            self._changes += 1
            yield change

    def _called(self, call: Call) -> None:
        state = call.path.partition("/")[2].partition(".")[0]
        known: dict[str, Any] = {"state": state, "described": self._described.get(call.path)}
        execution = self._execution_of(call.path)
        if len(self._world.ec2.changes) != self._changes:
            for change in self._new_changes():
                happened = _changed(change, execution, **known)
                self._unseen[call.path.partition("/")[0], state] = happened
                self._happens(happened)
            return
        given, places = call.parameters, self._world.ec2.places()
        to = given.get("InstanceId") or given.get("NetworkInterfaceId")
        known |= {"before": places, "after": places}
        self._happens(WatchedChange(self._now, execution, call.action, given.get("AllocationId"), to, **known))

    def _serve(self, instance_id: str) -> None:
        """What a server answers, if that is not what it answered before."""
        web, now = self._world.web, self._now
        behaves = web.behaviours.get(instance_id, healthy)
        runs = self._world.ec2.state_of(instance_id) == "running"
        slow = web.delay(instance_id) > SLOW_SECONDS
        staging, production = (
            None if slow else runs and behaves(role, now) == 200 for role in ("staging", "production")
        )
        serving = staging, production, self._world.ssm.release_of(instance_id)
        if self._serving.get(instance_id) != serving:
            self._serving[instance_id] = serving
            self._happens(Serving(now, instance_id, *serving))

    # The lock, and commands.

    def _wrote(self, by: str | None) -> None:
        if self._world.ssm.sent:
            self._follow_commands()
        writes = self._world.dynamodb.writes
        for write in writes[self._writes :]:
            self._writes += 1
            self._locks(write, by)

    def _locks(self, write: Write, by: str | None) -> None:
        before, after = _holder(write.before), _holder(write.after)
        if before == after or write.pair != self._pair.name:
            return
        if before:
            record = Record.from_item(dict(write.after)) if write.after else None
            self._happens(Unlocked(self._now, before, None if by == before else by, record))
        if after:
            self._happens(Locked(self._now, after))

    def _follow_commands(self) -> None:
        happened: list[tuple[float, int, type[CommandBegan], Command]] = []
        for number, command in enumerate(self._world.ssm.commands):
            if number == len(self._commands):
                self._commands.append((None, None))
            now = command.began, command.ended if command.began is not None else None
            kinds: tuple[type[CommandBegan], ...] = CommandBegan, CommandEnded
            for kind, at, before in zip(kinds, now, self._commands[number], strict=True):
                if at is not None and before is None:
                    happened.append((at, number, kind, command))
            self._commands[number] = now
        for _, _, kind, command in sorted(happened, key=lambda each: each[:2]):
            given = command.parameters
            item = self._world.dynamodb.item(self._pair.name) or {}
            if kind is CommandBegan and "commandRuns" not in item:
                unnoticed = f"{given['Step']} began, and the lock's item does not say so"
                self._judged([Broken("one-command-at-a-time", self._now, unnoticed)])
            self._happens(kind(self._now, given["Execution"], given["Step"], command.instance_id))


def _holder(item: Mapping[str, Any] | None) -> str | None:
    """The execution that holds the lock."""
    holder: str | None = (item or {}).get("execution", {}).get("S")
    return holder


def _place_in(places: Places, change: WatchedChange, pair: Pair) -> str | None:
    """Where these places show the address of a change."""
    return places.production if change.allocation_id == pair.production else places.staging


def _changed(change: Change, execution: str | None, **known: Any) -> WatchedChange:
    where = change.action, change.allocation_id, change.instance_id, change.before, change.after
    return WatchedChange(change.at, execution, *where, displaced=change.displaced, **known)
