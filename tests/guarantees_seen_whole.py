"""The checker of the guarantees where more is seen than the history of a real execution shows: what each function was
shown before its call, other addresses, each fault, what the servers serve, and how everything ends."""

import re
from dataclasses import dataclass, replace

from domain.pair import Pair, Server
from domain.record import Record
from guarantees.checker import ROLLED_BACK, Broken, Guarantees
from guarantees.trace import (
    BEFORE,
    CHECKS,
    LAST_CALL_SECONDS,
    MOVE,
    Changed,
    CommandBegan,
    Ended,
    Entered,
    Event,
    Execution,
    Passed,
    Places,
    Step,
    Unlocked,
)

STALE_SECONDS = 15  # EC2 may show what was true 10 s ago, and answers within 5 s
DESCRIBES = (*BEFORE, "DescribeAddresses", "HealthCheckLive", "HealthCheckProduction", "Bake", "DescribeUnchanged",
             "DescribeRestored", "HealthCheckRestored")  # fmt: skip
ROLLBACK = ("RestoreProduction", "RestoreStaging", "DescribeRestored")
ASKS = re.compile("A person must act|Check where|Someone else moved it|on no server|stays where it is")


@dataclass(frozen=True)
class Serving(Event):
    """Whether a server passes its checks as staging and as production from now on, and its release; None is unknown."""

    instance_id: str
    staging: bool | None
    production: bool | None
    release: str | None = None


@dataclass(frozen=True)
class Disturbed(Event):
    """A call of ours to AWS fails, or its answer is lost, late or stale."""


@dataclass(frozen=True)
class Failed(Step):
    """The state has failed, after all its tries. It is no kind of Entered: what began then did not begin again."""

    state: str
    error: str


@dataclass(frozen=True)
class CommandEnded(CommandBegan):
    pass


@dataclass(frozen=True)
class WatchedChange(Changed):
    """`displaced` has other addresses (allocation ids) that it took off a server. `described` is what EC2 showed the
    function last before, None if it did not describe the addresses. Of someone else, all that changes `Places` counts,
    such as TerminateInstances."""

    displaced: tuple[str, ...] = ()
    described: Places | None = None


@dataclass(frozen=True)
class EndedAt(Ended):
    """`places` are those of the addresses then."""

    places: Places | None = None


class GuaranteesSeenWhole(Guarantees):
    """With `sees_faults`, each fault is an event (Disturbed), and no rollback may fail without one. EC2 shows what was
    true `stale_seconds` ago at most."""

    def __init__(self, pair: Pair, *, sees_faults: bool = True, stale_seconds: float = STALE_SECONDS) -> None:
        super().__init__(pair)
        self._stale_seconds = stale_seconds
        self.moving = False  # whether AWS leads to an address's new server only seconds after a move
        self._servers |= {each.network_interface_id: each for each in pair.servers if each.network_interface_id}
        self._sees_faults, self._disturbed = sees_faults, 0
        self._moved_by: str | None = ""  # who moved an address last, and production; None is someone else
        self._production_by: str | None = ""
        self._others: dict[str | None, float] = {}  # when someone else has last changed an address
        self._bad: dict[str | None, str] = {}  # by a server's name, why no rollback may go there
        self._unfinished: set[str] = set()  # those of them to which a cutover was interrupted
        self._succeeded: set[str] = set()  # executions
        self._commands: list[CommandBegan] = []  # that run
        self._serving: dict[str | None, tuple[int, Serving]] = {}
        self._displaced: tuple[str | None, str, float, int] | None = None  # production, by the state of an execution
        self._hooked: Execution | None = None  # interrupted after its first hook, and production did not move
        self._person_asked = False
        self._started: dict[str | None, float] = {}

    def observe(self, event: Event) -> list[Broken]:
        super().observe(event)
        if isinstance(event, Passed | Failed):
            self._leave(event)
        match event:
            case Failed():
                self._executions[event.execution].passed.pop(event.state, None)
            case Entered():
                self._started.setdefault(event.execution, event.at)
            case Disturbed():
                self._disturbed = self._number
            case Serving():
                self._serving[event.instance_id] = self._number, event
            case Unlocked():
                self._unlock(event)
            case CommandEnded():
                self._commands = [each for each in self._commands if each.step != event.step]
        return self._broken

    def _leave(self, event: Passed | Failed) -> None:
        """A state that has displaced production in a race has put it back when it ends, unless a fault prevented it."""
        if not self._sees_faults or self._displaced is None or self._displaced[:2] != (event.execution, event.state):
            return
        (_, _, at, number), self._displaced = self._displaced, None
        back = self._moments[-1][1].production or self._disturbed > number or self._interfered_at > at
        self._judge("production-stays-on-a-server", back, f"{event.state} displaced it in a race, and left it there")

    def settled(self, at: float, places: Places, holder: str | None) -> list[Broken]:
        """What is broken if nothing runs any more, long after the last fault."""
        self._at, self._broken = at, []
        self._see(places)
        excused = self._person_asked or self._moved_by is None or self._is_sound(places)
        self._judge("everything-settles", excused, f"nobody was asked to act, and the addresses are on {places}")
        self._judge("everything-settles", holder is None, f"{holder} still holds the lock")
        self._judge("everything-settles", not self._commands, f"{self._commands} never ended")
        return self._broken

    def _is_sound(self, places: Places) -> bool:
        return {places.production, places.staging} == {server.instance_id for server in self._pair.servers}

    def _see(self, places: Places, by: str | None = "") -> None:
        before = self._moments[-1][1] if self._moments else None
        super()._see(places, by)
        if places != before:
            self._moved_by = by
            moved = before is not None and places.production != before.production
            self._production_by = by if moved else self._production_by
        self._person_asked = self._person_asked and not self._is_sound(places)

    def _pass(self, event: Passed, execution: Execution) -> None:
        super()._pass(event, execution)
        if event.state in DESCRIBES:
            earlier = [each for each, (at, _) in enumerate(self._moments) if at < event.at - STALE_SECONDS]
            execution.first = max([execution.first, *earlier[-1:]])

    # Changes.

    def _change(self, change: Changed, execution: Execution) -> None:
        if server := self._servers.get(change.instance_id or ""):
            change = replace(change, instance_id=server.instance_id)
        if change.execution is None:
            self._others[change.allocation_id] = self._at
            if change.after and (live := self._servers.get(change.after.production or "")):
                self._bad.pop(live.name, None)  # users are served by it now
        super()._change(change, execution)

    def _judge_change(self, change: Changed, execution: Execution) -> None:
        super()._judge_change(change, execution)
        what = f"{change.state} {change.action} of {change.allocation_id} to {change.instance_id}"
        late = execution.ended_at is not None and self._at > execution.ended_at + LAST_CALL_SECONDS
        self._judge("one-holder", not late, f"{what}, long after the end of {execution.arn}")
        if self._goes_live(change, execution) and (server := self._servers.get(change.instance_id or "")):
            good = not execution.plan["rollback"] or server.name not in self._bad
            self._judge("rollbacks-go-to-good-servers", good, f"{what}, but {self._bad.get(server.name)}")
            if execution.plan["checksStaging"]:
                self._judge_serving(execution, "staging", CHECKS[0], what)

    def _goes_live(self, change: Changed, execution: Execution) -> bool:
        to_idle = change.instance_id == execution.server("idle") and change.state == MOVE
        return change.allocation_id == self._pair.production and to_idle

    def _is_needless(self, change: Changed) -> bool:
        described = change.described if isinstance(change, WatchedChange) else None
        of_production = change.allocation_id == self._pair.production
        there = described and (described.production if of_production else described.staging)
        return super()._is_needless(change) and described is not None and there == change.instance_id

    def _is_too_late(self, change: Changed) -> bool:
        return "Restore" in change.state and self._holder is None and change.before == change.after

    def _is_race(self, change: Changed) -> bool:
        described = change.described if isinstance(change, WatchedChange) else None
        moved = described and change.before and described.production != change.before.production
        return bool(moved) and self._production_by is None

    def _judge_places(self, change: Changed, before: Places, after: Places, execution: Execution) -> None:
        super()._judge_places(change, before, after, execution)
        if not isinstance(change, WatchedChange):
            return
        seen = change.described and change.described.production  # else nobody can tell that it came from somewhere
        if before.production and not after.production and seen and self._is_race(change):
            self._displaced = change.execution, change.state, self._at, self._number
        described, of_production = change.described, change.allocation_id == self._pair.production
        what = f"{change.state} {change.action} of {change.allocation_id} from {before} to {after}"
        self._judge("described-before-and-after", described, f"{what}, and its function had not described it")
        back = not of_production or before.production is None or "Staging" not in change.state or before == after
        self._judge("changes-follow-the-plan", back, f"{what}, against the plan")
        # Production that was on no server goes to the idle server in any case: staging may not be able to leave it.
        is_there = described and described.production and described.staging == change.instance_id == before.staging
        is_there = is_there and change.state == MOVE
        self._judge("changes-follow-the-plan", not is_there or after.staging, f"{what}, which displaced staging")
        taken = before.production not in (None, *self._servers, after.production)
        self._judge("nobody-is-displaced", self._is_race(change) or not taken, what)
        displaced = sorted({*change.displaced} - {*self._addresses})
        there = [each for each in displaced if self._others.get(each, 0) < execution.planned_at]
        self._judge("nobody-is-displaced", not there, f"{what}, which displaced {there}")

    def _judge_serving(self, execution: Execution, role: str, check: str, what: str) -> None:
        """The server that becomes live, if it is known what it has served since its check began. While addresses are
        `moving`, an urgent cutover just after a move may check the wrong server: users must not wait."""
        planned = execution.planned_at
        recent = any(planned - STALE_SECONDS < at <= planned for at, _ in self._moments[1:])
        if self.moving and recent and execution.plan.get("urgent"):
            return
        since, serving = self._serving.get(execution.server("idle"), (0, None))
        if serving and since <= execution.entered.get(check, 0):
            expected = execution.plan["expectedRelease"]
            same = expected is None or serving.release in (None, expected)
            self._judge("only-good-releases-go-live", same, f"{what} with release {serving.release}")
            healthy = getattr(serving, role) is not False
            self._judge("only-good-releases-go-live", healthy, f"{what}, and it fails its checks as {role}")

    # The lock and commands.

    def _free(self, by: str | None) -> None:
        super()._free(by)
        running = [command.step for command in self._commands]
        self._judge("one-command-at-a-time", not running, f"{running} may still run, and its lock is gone")

    def _unlock(self, event: Unlocked) -> None:
        """Judges the record as it is released, by what is known then: others may act before the execution ends."""
        record, execution = event.record, self._executions[event.execution]
        if record and record.interrupted is None:
            if event.by is None and execution.plan:
                outcome = str((record.last_outcome or {}).get("outcome"))
                what = f"{execution.arn} recorded {outcome}"
                if execution.ended_at is None:
                    self._judge_record(outcome, record, execution, what)
                self._note_cutover(outcome, execution, what, failed=outcome in ROLLED_BACK)
                self._judge_hooks_of_another(outcome, execution, what)
            why = self._bad.get(record.rollback_to.server)
            self._judge("the-record-is-true", why is None, f"{record.rollback_to}, but {why}")
        elif record and record.interrupted and not record.interrupted.server and event.execution in self._succeeded:
            for name in self._unfinished:  # a repair that could not release its lock: it counts as done, with all else
                self._bad.pop(name, None)

    def _judge_hooks_of_another(self, outcome: str, execution: Execution, what: str) -> None:
        """What the hooks of an interrupted execution did is undone by the next one, unless its production had moved."""
        plan, before = execution.plan, self._hooked
        if before and not plan["dryRun"]:
            self._hooked = None
            undone = outcome == "CUT_OVER" or "AfterRollback" in execution.entered or before is execution
            moved = before.server("live") != plan["production"]["instanceId"]
            undone = undone or moved or "afterRollback" not in plan["hooks"]
            self._judge("hooks-are-undone", undone, f"{what}, and what the hooks of {before.arn} did stays")

    def _note_cutover(self, outcome: str, execution: Execution, what: str, *, failed: bool) -> None:
        """After a cutover, its server is good; after one that failed or was interrupted, it is not."""
        idle = self._idle(execution)
        if idle and outcome == "CUT_OVER":
            self._bad.pop(idle.name, None)
        elif idle and failed and execution.plan["decision"] == "CUT_OVER":
            self._reject(idle.instance_id, f"{what}, after a cutover to {idle.name} had begun")

    def _idle(self, execution: Execution) -> Server | None:
        return self._servers.get(execution.server("idle") or "")

    def _reject(self, instance_id: str | None, why: str) -> None:
        """No rollback may go to this server, unless someone else has made it live: then users are served by it."""
        is_chosen = self._production_by is None and self._moments[-1][1].production == instance_id
        if (server := self._servers.get(instance_id or "")) and not is_chosen:
            self._bad[server.name] = why
            self._unfinished.discard(server.name)

    def _begin(self, command: CommandBegan, execution: Execution) -> None:
        if isinstance(command, CommandEnded):
            return
        super()._begin(command, execution)
        running = [f"{each.step} of {each.execution}" for each in self._commands]
        self._judge("one-command-at-a-time", not running, f"{command.step} began while {running} ran")
        if command.step == "deploy":
            self._reject(command.instance_id, f"{execution.arn} began to deploy to it")
        self._commands.append(command)

    # The end of an execution, and its record.

    def _end(self, ended: Ended, execution: Execution) -> None:
        plan, outcome, what = execution.plan, ended.outcome, f"{execution.arn} ended {ended.outcome}"
        if isinstance(ended, EndedAt) and ended.places:
            self._see(ended.places)
        if outcome == "RollbackFailed" and self._sees_faults and plan:
            began = min(execution.entered.get(each, self._number) for each in ROLLBACK)
            excused = not plan["canRollBack"] or self._disturbed > began or self._interfered_at >= execution.planned_at
            self._judge("sound-after-a-failure", excused, f"{what}, but nothing prevented the rollback")
        if outcome == "CUT_OVER":
            self._judge_serving(
                execution, "production", "Bake" if plan["bakeSeconds"] else "HealthCheckProduction", what
            )
        if outcome == "CutoverInProgress":
            waited = ended.at - self._started.get(execution.arn, ended.at)
            self._judge("the-outcome-is-true", waited >= plan.get("waitSeconds", 0), f"{what} after {waited} s")
        if ended.cause and "Someone else moved it" in ended.cause:
            moved = self._interfered_at >= execution.planned_at - self._stale_seconds
            self._judge("the-outcome-is-true", moved, f"{what}: {ended.cause}")
        asks = ASKS.search(f"{ended.cause} {(ended.output or {}).get('warnings')}")
        self._person_asked = self._person_asked or asks is not None
        made, redriven = execution.changes, execution.ended_at is not None
        super()._end(ended, execution)
        if ended.is_interruption and "beforeCutover0" in execution.steps and "afterRollback0" not in execution.steps:
            stays = not self._moments or self._moments[-1][1].production == execution.server("live")
            self._hooked = execution if stays and execution.record is None else self._hooked
        begun = ended.is_interruption and not plan.get("rollback") and not self._is_as_before(execution)
        begun = begun and any(each.state != "RepairStaging" for each in made)
        if execution.record is None:  # else its outcome is on record, also if it was stopped after that
            # The record cannot tell a rollback that failed, and could not write its end, from one that was interrupted.
            failed = begun or (outcome in ROLLED_BACK and not redriven and not plan.get("rollback"))
            self._note_cutover(outcome, execution, what, failed=failed)
            self._unfinished |= {idle.name} if begun and (idle := self._idle(execution)) else set()
        self._succeeded |= {execution.arn} if ended.status == "SUCCEEDED" else set()

    def _is_as_before(self, execution: Execution) -> bool:
        """Whether staging was on no server, and is so again: then the record cannot tell that a cutover had begun."""
        before = Places.shown(execution.plan) if execution.plan else None
        return before is not None and before.staging is None and before == self._moments[-1][1]

    def _judge_record(self, outcome: str, record: Record, execution: Execution, what: str) -> None:
        plan, back = execution.plan, execution.plan["record"]["rollbackTo"]
        expected = [None] if "deploy" in execution.steps or outcome in ROLLED_BACK else [back["server"]]
        if outcome == "CUT_OVER":
            served = (plan["idle" if plan["rollback"] else "live"] or {}).get("name")
            is_bad = served in self._bad or served in back.get("rejected", ())
            expected = [served if plan["rollback"] or not is_bad else None]
        elif "DeployRelease" in execution.entered:  # it may have ended before its command began
            expected += [None]
        true = record.rollback_to.server in expected
        self._judge("the-record-is-true", true, f"{what}, and the record has {record.rollback_to}, not {expected}")
        cutover = record.last_cutover or {}
        true = (cutover.get("execution") == execution.arn) == (outcome == "CUT_OVER")
        self._judge("the-record-is-true", true, f"{what}, but the record has {cutover}")
        rejects = outcome not in ROLLED_BACK or (plan["idle"] or {}).get("name") in record.rollback_to.rejected
        self._judge("the-record-is-true", rejects, f"{what}, and {record.rollback_to} does not reject its server")
