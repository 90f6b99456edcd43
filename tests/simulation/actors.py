"""Does in a run what its scenario says: sets the pair up, and lets everyone act who has a part in it."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial, singledispatchmethod
from typing import Any

from local.systems_manager_runs import HANGS, Result
from tests.simulation.executions import ARN, RUNNING, Execution
from tests.simulation.fates import KINDS, STARTS_AT_ONCE, Call
from tests.simulation.scenario import (
    BITTYBOT,
    COMMAND_SECONDS,
    HOOK_FUNCTION,
    NAMES,
    NEW_RELEASE,
    PAIR,
    PRODUCTION,
    STAGING,
    TAO,
    Actor,
    Answer,
    CommandResult,
    Health,
    Interrupt,
    Lost,
    Moment,
    Move,
    Next,
    Outage,
    Place,
    Race,
    Redrive,
    Scenario,
    Start,
    Stop,
    StopIn,
)  # fmt: skip
from tests.simulation.simulation import Simulation
from tests.simulation.synthesized import CUTOVER, READINESS, REPAIR
from tests.simulation.world.errors import AwsError
from tests.simulation.world.web import healthy, silent, unhealthy, unhealthy_as_production
from tests.simulation.world.world import STRANGER

WORKFLOWS = {"cutover": CUTOVER, "repair": REPAIR, "readiness": READINESS}
INSTANCES: Mapping[str, str | None] = {"nowhere": None, "stranger": STRANGER, "bittybot": BITTYBOT, "tao": TAO}
RESULTS: Mapping[CommandResult, Result] = {
    "fails": Result(3, output="it does not work\n"), "hangs": HANGS, "is slow": Result(seconds=COMMAND_SECONDS * 0.8),
}  # fmt: skip
GOOD_UNTIL_SECONDS = 3.0  # after the move, of a release that then fails
SLOW_SECONDS = 0.9  # almost the timeout of a check
LATE = ("started late", "invocation lost")
BEFORE = "2026-09-01T00:00:00Z"
LONG_AGO = f"{ARN}:execution:{CUTOVER}:long-ago"


class Actors:
    """They act only while the schedule has faults: after that, nobody interferes any more."""

    def __init__(self, simulation: Simulation, scenario: Scenario) -> None:
        self._simulation, self._scenario = simulation, scenario
        self._calls: dict[str, int] = {}
        self._at_call: dict[tuple[str, int], list[tuple[float, Callable[[], object]]]] = {}
        self._tokens: set[str] = set()

    def begin(self) -> None:
        """From now on, the scenario takes its course."""
        self._set_up()
        self._simulation.delivered_after = self._scenario.delivered_after
        self._simulation.on_effect.append(self._count)
        for actor in self._scenario.actors:
            self.act(actor)

    def _count(self, call: Call) -> None:
        execution, _, _ = call.path.partition("/")
        number = self._calls[execution] = self._calls.get(execution, 0) + 1
        for seconds, action in self._at_call.pop((execution, number), ()):
            self._simulation.scheduler.at(seconds, partial(self._do, action))

    def _do(self, action: Callable[[], object]) -> None:
        """What AWS refuses, does not happen."""
        if self._simulation.schedule.faults:
            with suppress(AwsError):
                action()

    def _when(self, moment: Moment, action: Callable[[], object], what: object) -> None:
        def act() -> None:
            self._simulation.scheduler.note("actor", str(what))
            action()

        if moment.execution:
            self._at_call.setdefault((moment.execution, moment.call), []).append((moment.seconds, act))
        else:
            self._simulation.scheduler.at(moment.seconds, partial(self._do, act))

    # What each of them does.

    @singledispatchmethod
    def act(self, actor: Actor) -> None:
        raise TypeError(actor)

    @act.register
    def _(self, actor: Start) -> None:
        start = partial(self._simulation.executions.start, WORKFLOWS[actor.workflow], dict(actor.input), actor.name)
        self._when(actor.when, start, actor)

    @act.register
    def _(self, actor: Stop) -> None:
        self._when(actor.when, lambda: self._stop(actor.execution), actor)

    def _stop(self, name: str) -> None:
        for execution in self._simulation.executions.all.values():
            if execution.name == name:
                self._simulation.executions.stop(execution.arn)

    @act.register
    def _(self, actor: StopIn) -> None:
        stop = partial(self._when, Moment(actor.seconds), lambda: self._stop(actor.execution), actor)
        self._on_entry(actor.execution, actor.state, _once(stop))

    @act.register
    def _(self, actor: Redrive) -> None:
        def ended(execution: Execution) -> None:
            if execution.name == actor.execution and execution.status != RUNNING and not execution.redrives:
                redrive = partial(self._simulation.executions.redrive, execution.arn)
                self._when(Moment(actor.seconds), redrive, actor)

        self._simulation.executions.on_change.append(ended)

    @act.register
    def _(self, actor: Next) -> None:
        executions = self._simulation.executions
        if actor.stale:
            self._simulation.schedule.planned[f"{actor.name}/DescribeAddresses.1/ec2 DescribeAddresses.1"] = "stale"

        def ended(execution: Execution) -> None:
            begun = any(each.name == actor.name for each in executions.all.values())
            if execution.name == actor.after and execution.status != RUNNING and not begun:
                self._when(
                    Moment(actor.seconds), partial(executions.start, CUTOVER, dict(actor.input), actor.name), actor
                )

        executions.on_change.append(ended)

    @act.register
    def _(self, actor: Answer) -> None:
        action = "SendTaskSuccess" if actor.approves else "SendTaskFailure"
        answer = {"output": '{"approvedBy": "erin"}'} if actor.approves else {"error": "Rejected", "cause": "erin"}

        def asked(call: Call) -> None:
            token = (self._simulation.world.dynamodb.item(PAIR) or {}).get("approvalToken", {}).get("S")
            if call.service == "dynamodb" and token and token not in self._tokens:
                self._tokens.add(token)
                send = partial(self._simulation.executions.answer, action, {"taskToken": token, **answer})
                self._when(Moment(actor.seconds), send, actor)

        self._simulation.on_effect.append(asked)

    @act.register
    def _(self, actor: Move) -> None:
        self._when(actor.when, lambda: self._move(actor.address, actor.to), actor)

    @act.register
    def _(self, actor: Race) -> None:
        acts = _once(partial(self._when, Moment(0), lambda: self._move(actor.address, actor.to), actor))

        def described(call: Call) -> None:
            if call.action == "DescribeAddresses" and call.path.startswith(f"{actor.execution}/{actor.state}."):
                acts()

        if actor.after == "described":
            self._simulation.on_effect.append(described)
        else:
            self._on_entry(actor.execution, actor.state, acts)

    def _on_entry(self, name: str, of: str, act: Callable[[], object]) -> None:
        """Each time that an execution enters a state."""
        recorded = self._simulation.executions.on_record

        def entered(execution: Execution, what: str, state: str, more: Any) -> None:
            recorded(execution, what, state, more)
            if (execution.name, what, state) == (name, "entered", of):
                act()

        self._simulation.executions.on_record = entered

    def _move(self, address: str, to: Place) -> None:
        self._simulation.world.ec2.move(self._allocation_id(address), INSTANCES[to])

    def _allocation_id(self, address: str) -> str:
        return {"production": PRODUCTION, "staging": STAGING, "third": self._simulation.world.ec2.third}[address]

    @act.register
    def _(self, actor: Interrupt) -> None:
        self._when(actor.when, partial(getattr(self._simulation.world.ec2, actor.how), actor.instance_id), actor)

    @act.register
    def _(self, actor: Lost) -> None:
        planned = self._simulation.schedule.planned
        planned[f"{actor.execution}/{actor.state}.1/lambda Invoke.1"] = LATE[actor.state in STARTS_AT_ONCE]
        if actor.refused:
            planned[f"{actor.execution}/{actor.refused}.1/ec2 AssociateAddress.1"] = "refused"

    @act.register
    def _(self, actor: Outage) -> None:
        self._when(
            actor.when, lambda: self._simulation.schedule.outages.append(_Present(actor, self._simulation)), actor
        )

    # The pair at the beginning.

    def _set_up(self) -> None:
        world, oddities = self._simulation.world, self._scenario.oddities
        if oddities.second_private_ips:
            world.use_second_private_ips()
        for name, place in oddities.places.items():
            address, instance = world.ec2.addresses[self._allocation_id(name)], INSTANCES[place]
            world.ec2.place(address, world.ec2.instances[instance].interfaces[0] if instance else None)
        for instance_id, how in oddities.instances.items():
            getattr(world.ec2, how)(instance_id)
        world.ec2.changes.clear()
        for alarm in self._scenario.pair["alarms"]:
            world.cloudwatch.set_alarm(alarm, "ALARM" if oddities.alarm else "OK")
        if oddities.has_record or oddities.dead_lock:
            world.dynamodb.put(PAIR, self._item())
        world.web.moving_seconds = oddities.moving_seconds
        for step, result in self._scenario.commands.items():
            world.ssm.runs(RESULTS[result], step=step)
        failing = [step for step, result in self._scenario.commands.items() if result == "fails"]
        self._simulation.hooks[HOOK_FUNCTION] = partial(_hook_answer, failing)
        for instance_id in NAMES:
            world.web.behaviours[instance_id] = partial(self._status, instance_id)
            if self._scenario.health.get(instance_id) == "slow":
                world.web.delays[instance_id] = SLOW_SECONDS

    def _item(self) -> dict[str, Any]:
        """What earlier executions have left."""
        oddities, live = self._scenario.oddities, NAMES[self._scenario.live]
        (other,) = set(NAMES.values()) - {live}
        item: dict[str, str] = {}
        if oddities.has_record:
            instance_id = INSTANCES[oddities.rollback_to] if oddities.rollback_to else None
            back = {"server": oddities.rollback_to, "why": "it was live before", "instanceId": instance_id}
            item["rollbackTo"] = _json(**back, rejected=list(oddities.rejected))
            last = {"from": other, "to": live, "at": BEFORE, "execution": f"{LONG_AGO}-1", "rollback": False}
            item["lastCutover"] = _json(**last)
        if oddities.dead_lock:
            item |= {"execution": LONG_AGO, "since": BEFORE, "server": other, "live": live, "rollsBack": "false",
                     "privateIps": "{}", "liveInstanceId": self._scenario.live,
                     "stagingAssociation": "eipassoc-0"}  # fmt: skip
        return {key: {"S": text} for key, text in item.items()} | {"revision": {"N": "3"}}

    # The servers.

    def serves(self, instance_id: str) -> Health | None:
        """How a server is, by the release that was deployed to it last."""
        health, release = self._scenario.health, self._simulation.world.ssm.release_of(instance_id)
        return health.get(NEW_RELEASE) if release == NEW_RELEASE else health.get(instance_id)

    def _status(self, instance_id: str, address: str, at: float) -> int | None:
        match self.serves(instance_id):
            case "unhealthy":
                return unhealthy(address, at)
            case "silent":
                return silent(address, at)
            case "unhealthy as production":
                return unhealthy_as_production(address, at)
            case "unhealthy after the move" if (
                at > self._simulation.world.ec2.moved_at(PRODUCTION) + GOOD_UNTIL_SECONDS
            ):
                return unhealthy_as_production(address, at)
        return healthy(address, at)

    def _fails_from(self) -> float:
        return self._simulation.world.ec2.moved_at(PRODUCTION) + GOOD_UNTIL_SECONDS


class _Present:
    """An outage that has begun."""

    def __init__(self, outage: Outage, simulation: Simulation) -> None:
        self._outage, self._scheduler = outage, simulation.scheduler
        self._until = self._scheduler.now + outage.lasts

    def kind(self, call: Call) -> str | None:
        how = self._outage.how
        hits = call.action == self._outage.action and self._scheduler.now < self._until and KINDS[how].applies(call)
        return how if hits else None


def _hook_answer(failing: list[str], event: Mapping[str, Any]) -> dict[str, str]:
    return {"hookStatus": "FAILED" if f"{event['hook']}0" in failing else "SUCCEEDED"}


def _json(**values: Any) -> str:
    return json.dumps(values)


def _once(act: Callable[[], object]) -> Callable[[], None]:
    """The first call acts, and no other does."""
    left = [act]

    def acts() -> None:
        if left:
            left.pop()()

    return acts
