"""The end of a run: no call fails any more, and nobody interferes. Everything that was begun has to end, the pair has
to be sound and its lock free, and cutovers and rollbacks have to work again. This is the liveness that is promised."""

import re
from collections.abc import Mapping
from typing import Any

from domain.record import Record
from guarantees.trace import LAST_CALL_SECONDS, Places
from local.systems_manager_runs import Result
from tests.guarantees_seen_whole import ASKS
from tests.simulation.executions import ABORTED, RUNNING, SUCCEEDED, TIMED_OUT, Execution
from tests.simulation.scenario import BAKE_SECONDS, COMMAND_SECONDS, NAMES, PAIR, PRODUCTION, STAGING, Scenario
from tests.simulation.simulation import Simulation
from tests.simulation.synthesized import CUTOVER, REPAIR

# The longest that an execution waits for something that does not come: an evaluation of drift waits for a lock 12 times
# 300 s. Before it, a function may have hung to its timeout, and an event may come 600 s late.
QUIET_SECONDS = 3600 + 1800
# The states of a cutover without faults take about 10 s, half of them two probes of each of three checks.
STATES_SECONDS = 60
# A cutover that takes over a dead lock waits for the holder's last call, and for its command: 60 s for its delivery,
# 20 s of reserve. Its own hooks and its bake come on top.
FOLLOWING_SECONDS = STATES_SECONDS + LAST_CALL_SECONDS + (COMMAND_SECONDS + 80) * 2 + BAKE_SECONDS
COMMAND = re.compile(
    r"aws ec2 associate-address --allocation-id (\S+) --instance-id (\S+)(?: --private-ip-address (\S+))?"
)
STAGING_STAYS = "No command moves staging"  # its server could not hold it when the execution began
UNUSUAL = (ABORTED, TIMED_OUT, "RollbackFailed", "RepairFailed")
USUAL_SHARE = 0.15
GUARANTEE = "everything-settles"


class NotSettled(Exception):
    """Something that was promised does not happen, although nothing fails any more."""

    guarantee = GUARANTEE


def settle(simulation: Simulation, scenario: Scenario) -> None:
    """Raises NotSettled."""
    _End(simulation, scenario).judge()


class _End:
    def __init__(self, simulation: Simulation, scenario: Scenario) -> None:
        self._simulation, self._scenario = simulation, scenario
        self._world, self._executions = simulation.world, simulation.executions.all

    def judge(self) -> None:
        self._simulation.schedule.faults = False
        self._simulation.delivered_after = None
        self._simulation.run(QUIET_SECONDS)
        running = [each.name for each in self._executions.values() if each.status == RUNNING]
        _require(not running, f"{running} still run after {QUIET_SECONDS} s without faults")
        self._is_sound_and_free()
        if "terminated" in self._states or not self._is_worth_it:
            return
        self._person_acts()
        self._cuts_over()
        self._goes_back()
        self._simulation.observer.settled()

    @property
    def _is_worth_it(self) -> bool:
        """Always after something unusual, and otherwise in some of the seeds: it takes as long as all before."""
        usual = self._is_sound and not self._record.lock and not self._record.interrupted
        failed = any(each.outcome in UNUSUAL or each.redrives for each in self._executions.values())
        return not usual or failed or self._simulation.schedule.number("settling") < USUAL_SHARE

    @property
    def _places(self) -> Places:
        return self._world.ec2.places()

    @property
    def _is_sound(self) -> bool:
        return {self._places.production, self._places.staging} == NAMES.keys()

    @property
    def _states(self) -> list[str | None]:
        return [self._world.ec2.state_of(each) for each in NAMES]

    @property
    def _record(self) -> Record:
        return Record.from_item(self._world.dynamodb.item(PAIR) or {})

    def _is_sound_and_free(self) -> None:
        """Unless an outcome asked a person to act, or no repair was started for what has ended, or that was stopped."""
        ended = self._executions.values()
        asks = any(ASKS.search(f"{each.cause} {(each.output or {}).get('warnings')}") for each in ended)
        lost = self._scenario.delivered_after == () or "event never" in self._simulation.schedule.deviations.values()
        lost = lost or any(each.machine == REPAIR and each.status != SUCCEEDED for each in ended)
        # A redriven execution releases its lock, if no repair has taken it: then no repair finds what it has left.
        lost = lost or any(each.redrives for each in ended)
        odd = self._scenario.oddities.places or self._scenario.oddities.instances
        others = any(each.by_someone_else for each in self._world.ec2.changes) or set(self._states) != {"running"}
        # An execution has taken a dead lock over, and could then describe nothing. The next one finishes that cutover.
        left = self._record.interrupted is not None and self._record.lock is None
        excused = asks or lost or odd or others or left
        _require(self._is_sound or excused, f"the addresses are on {self._places}, and nobody was asked to act")
        if (lock := self._record.lock) and not lost:
            holder = self._executions.get(lock.execution)
            taken = max(each.at for each in self._world.dynamodb.writes if _holder(each.after) != _holder(each.before))
            # Then no event starts a repair: its release has failed, or it was stopped before its lock was written.
            failed = [state for what, _, state, _ in holder.history if what == "failed"] if holder else []
            kept = holder and ("ReleaseLock" in failed or taken > _ended(holder))
            before = holder is None and self._scenario.oddities.dead_lock
            _require(kept or before, f"{lock.execution} still holds the lock")

    # What a person does.

    def _person_acts(self) -> None:
        """Puts right what no workflow may: what the servers are, where others have moved the addresses, and what an
        outcome has asked for."""
        ec2, web, ssm = self._world.ec2, self._world.web, self._world.ssm
        for instance_id in NAMES:
            ec2.start(instance_id)
        for step in self._scenario.commands:
            ssm.runs(Result(), step=step)
        for alarm in self._scenario.pair["alarms"]:
            self._world.cloudwatch.set_alarm(alarm, "OK")
        web.behaviours.clear()
        web.delays.clear()
        web.moving_seconds = 0
        self._simulation.hooks = dict.fromkeys(self._simulation.hooks, lambda _: {"hookStatus": "SUCCEEDED"})
        ec2.move(ec2.third, None)
        if asks := self._asks():
            self._run_commands(asks)
        places = self._places
        if places.staging not in (None, *NAMES):
            ec2.move(STAGING, None)
        if places.production not in (None, *NAMES):
            ec2.move(PRODUCTION, next(each for each in NAMES if each != places.staging))

    def _asks(self) -> Execution | None:
        """The execution whose outcome asked for commands, if none has moved an address since."""
        changed = [each for each in self._executions.values() if each.machine in (CUTOVER, REPAIR)]
        failed = [each for each in changed if each.outcome == "RollbackFailed"]
        if not failed:
            return None
        last = max(failed, key=_asked)
        later = [each.outcome for each in changed if _ended(each) > _asked(last)]
        described = _asked(last) - 1.0  # at the earliest
        later_moves = (each for each in self._world.ec2.changes if each.at > described)
        moved = any(each.by_someone_else or each.at > _asked(last) for each in later_moves)
        return None if moved or {"CUT_OVER", "REPAIRED", "RolledBack"} & {*later} else last

    def _run_commands(self, execution: Execution) -> None:
        commands = COMMAND.findall(execution.cause or "")
        for allocation_id, instance_id, private_ip in commands:
            self._world.ec2.move(allocation_id, instance_id, private_ip=private_ip or None)
        parted = STAGING_STAYS in str(execution.cause) and self._places.production in NAMES
        sound = self._is_sound or not commands or (parted and self._places.staging is None)
        _require(sound, f"the commands of {execution.name} lead to {self._places}: {execution.cause}")

    # What works again.

    def _cuts_over(self) -> None:
        """To the idle server, by its name."""
        live = self._places.production
        idle = next(each for each in reversed(NAMES) if each != live)
        execution = self._run("following", {"serverName": NAMES[idle]})
        _require(execution.outcome == "CUT_OVER", f"the next cutover ended {execution.outcome}: {execution.cause}")
        self._require_sound(idle, execution)

    def _goes_back(self) -> None:
        """To the server on record."""
        live, record = self._places.production, self._record
        back = record.rollback_to.server
        execution = self._run("going-back", {"rollback": True})
        expected = "PreflightFailed" if back is None else "CUT_OVER"
        found = f"the next rollback, to {back}, ended {execution.outcome}: {execution.cause}"
        _require(execution.outcome == expected, found)
        to = live if back is None else next(each for each, name in NAMES.items() if name == back)
        self._require_sound(to, execution)

    def _run(self, name: str, value: Mapping[str, Any]) -> Execution:
        simulation = self._simulation
        simulation.scheduler.note("actor", f"a person starts {name} with {dict(value)}")
        execution = simulation.executions.start(CUTOVER, dict(value), name)
        simulation.run(FOLLOWING_SECONDS)
        _require(execution.status != RUNNING, f"{name} still runs after {FOLLOWING_SECONDS} s without faults")
        return execution

    def _require_sound(self, live: str | None, execution: Execution) -> None:
        is_so = self._is_sound and self._places.production == live
        _require(is_so, f"{execution.name} ended {execution.outcome}, and the addresses are on {self._places}")
        _require(self._record.lock is None, f"{execution.name} has ended and still holds the lock")


def _holder(item: Mapping[str, Any] | None) -> str | None:
    holder: str | None = (item or {}).get("execution", {}).get("S")
    return holder


def _asked(execution: Execution) -> float:
    """When it knew what to ask for. It ends RollbackFailed later, and repeats what it said if it is redriven."""
    asks = ("failed", "DescribeRestored"), ("entered", "RollbackFailed")
    return min(at for what, at, state, _ in execution.history if (what, state) in asks)


def _ended(execution: Execution) -> float:
    return execution.ended or 0


def _require(kept: object, text: str) -> None:
    if not kept:
        raise NotSettled(text)
