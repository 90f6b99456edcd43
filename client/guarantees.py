"""What the workflow guarantees, and the only checker of it: of the simulation, the fault matrix, and of what a real
execution did (`cutover.py verify`). What the source of the events cannot see is not judged. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

from client import trace
from client.trace import BEFORE, CHECKS, MOVE, Changed, CommandBegan, Ended, Event, Execution, Places
from domain.lock import LAST_CALL_SECONDS
from domain.pair import Pair
from domain.record import Record

GUARANTEES: Mapping[str, str] = {
    "production-stays-on-a-server": "No call of ours takes production off a server: it moves in one call.",
    "nothing-before-the-checks": "Nothing changes before the checks and the approval, except that staging is repaired.",
    "described-before-each-change": "The function that changes an address describes both addresses first.",
    "sound-after-a-failure": "After a failure, production is where it was and the pair sound, or it is RollbackFailed.",
    "the-outcome-is-true": "The addresses stand as the outcome says, and nothing else was changed than it says.",
    "changes-follow-the-plan": "Each change is a step of the plan, and is made once. A dry run changes nothing.",
    "one-holder": "Only the execution that holds the pair's lock changes an address or begins a command.",
    "takeovers-wait": "A lock is taken over only from an execution that has ended, and whose last call is over.",
    "one-command-at-a-time": "Commands run one at a time, each once, and none while the lock is free.",
    "hooks-are-undone": "If a cutover does not happen, the hooks before it are undone.",
    "everything-settles": "Without faults, the pair is soon sound and the lock free, unless a person was asked to act.",
    "only-the-pair": "Only the pair's two addresses are changed, and they go only to the pair's two servers.",
    "nobody-is-displaced": "No address of someone else is displaced, and production is not taken from someone else.",
    "only-good-releases-go-live": "Only a server that passes its checks, with the expected release, stays live.",
    "rollbacks-go-to-good-servers": "No rollback goes to a server with a release that failed, or was never live.",
    "the-record-is-true": "The record has the outcome, and names a server to go back to only if it served users well.",
}  # fmt: skip


@dataclass(frozen=True)
class Broken:
    guarantee: str
    at: float
    text: str


STALE_SECONDS = 15  # EC2 may show what was true 10 s ago, and answers within 5 s
DESCRIBES = (*BEFORE, "DescribeAddresses", "HealthCheckLive", "HealthCheckProduction", "Bake", "DescribeUnchanged",
         "DescribeRestored", "HealthCheckRestored")  # fmt: skip
NOTHING_CHANGED = ("ALREADY_LIVE", "DRY_RUN", "NOTHING_TO_REPAIR", "READY", "NOT_READY", "SKIPPED", "EvaluationFailed",
                   "AddressMoved", "CutoverInProgress", "InvalidRequest")  # fmt: skip
ONLY_REPAIRED = ("REPAIRED", "PreflightFailed", "StagingUnhealthy", "DeployFailed", "NotApproved", "RepairFailed")
ROLLBACK = ("RestoreProduction", "RestoreStaging", "DescribeRestored")
ROLLED_BACK = ("RolledBack", "RollbackFailed")
OUTCOMES = ("CUT_OVER", *NOTHING_CHANGED, *ONLY_REPAIRED, *ROLLED_BACK)
COMMAND = re.compile(r"aws ec2 associate-address --allocation-id (\S+) --(?:instance|network-interface)-id (\S+)")
ASKS = re.compile("A person must act|Check where|Someone else moved it|on no server|stays where it is")


class Guarantees:
    """Judges what happens to a pair, event by event. `known` has the guarantees that could be judged so far. With
    `sees_faults`, each fault is an event (Disturbed), and no rollback may fail without one."""

    def __init__(self, pair: Pair, *, sees_faults: bool = False) -> None:
        self.known: set[str] = set()
        self._sees_faults, self._disturbed = sees_faults, 0
        self._pair, self._addresses = pair, (pair.production, pair.staging)
        ids = [(each, server) for server in pair.servers for each in (server.instance_id, server.network_interface_id)]
        self._servers = {each: server for each, server in ids if each}
        self._executions: dict[str | None, Execution] = {}
        self._moments: list[tuple[float, Places]] = []
        self._moved_by: str | None = ""  # who moved an address last, and production; None is someone else
        self._production_by: str | None = ""
        self._others: dict[str | None, float] = {None: -1.0}  # when someone else has last changed an address
        self._holder: str | None = None
        self._sees_locks = self._person_asked = False
        self._commands: list[CommandBegan] = []
        self._bad: dict[str | None, str] = {}  # by a server's name, why no rollback may go there
        self._serving: dict[str | None, tuple[int, trace.Serving]] = {}
        self._number, self._at = 0, 0.0
        self._broken: list[Broken] = []

    def observe(self, event: Event) -> list[Broken]:
        """What this event breaks."""
        self._number, self._at, self._broken = self._number + 1, event.at, []
        arn = event.execution if isinstance(event, trace.Step) else None
        execution = self._executions.setdefault(arn, Execution(str(arn)))
        match event:
            case trace.Seen():
                self._see(event.places)
            case trace.Disturbed():
                self._disturbed = self._number
            case trace.Serving():
                self._serving[event.instance_id] = self._number, event
            case trace.Passed():
                self._pass(event, execution)
            case trace.Failed():
                execution.passed.pop(event.state, None)
            case trace.Entered():
                execution.entered[event.state] = self._number
                execution.planned_at = event.at if event.state == "DescribeAddresses" else execution.planned_at
            case trace.Locked():
                self._free(arn)
                self._holder = arn
            case trace.Unlocked():
                self._unlock(event, execution)
            case trace.CommandEnded():
                self._commands = [each for each in self._commands if each.step != event.step]
            case CommandBegan():
                self._begin(event, execution)
            case Changed():
                self._change(event, execution)
            case Ended():
                self._end(event, execution)
        return self._broken

    def settled(self, at: float, places: Places, holder: str | None) -> list[Broken]:
        """What is broken if nothing runs any more, long after the last fault."""
        self._at, self._broken = at, []
        self._see(places)
        excused = self._person_asked or self._moved_by is None or self._is_sound(places)
        self._judge("everything-settles", excused, f"nobody was asked to act, and the addresses are on {places}")
        self._judge("everything-settles", holder is None, f"{holder} still holds the lock")
        self._judge("everything-settles", not self._commands, f"{self._commands} never ended")
        return self._broken

    def _judge(self, guarantee: str, kept: object, text: str) -> None:
        self.known.add(guarantee)
        if not kept:
            self._broken.append(Broken(guarantee, self._at, text))

    # Where the addresses are.

    def _is_sound(self, places: Places) -> bool:
        return {places.production, places.staging} == {server.instance_id for server in self._pair.servers}

    def _see(self, places: Places, by: str | None = "") -> None:
        """Where both addresses are, and who moved them there, if that is known."""
        before = self._moments[-1][1] if self._moments else places
        lost = before.production and not places.production and by == ""
        self._judge("production-stays-on-a-server", not lost, "production is on no server, and nobody else took it off")
        if places != before or not self._moments:
            self._moments.append((self._at, places))
            self._moved_by = by
            self._production_by = by if places.production != before.production else self._production_by
        self._person_asked = self._person_asked and not self._is_sound(places)

    def _stood(self, execution: Execution, claim: Places, *, only_production: bool = False) -> bool:
        """Whether it was so at a moment since the execution's last change and description; true if none is known."""
        moments = self._moments[execution.first :]
        for at, places in reversed(moments):
            if places.production == claim.production and (only_production or places.staging == claim.staging):
                return True
            if at < execution.described_at - STALE_SECONDS:
                break
        return not moments

    # States, the lock, commands.

    def _pass(self, event: trace.Passed, execution: Execution) -> None:
        if event.state == "DescribeAddresses":
            execution.plan, execution.passed = event.output or {}, {}
        execution.passed[event.state.removesuffix("InVpc")] = self._number
        if event.state in DESCRIBES:
            execution.described_at = event.at

    def _free(self, by: str | None) -> None:
        """The execution `by` takes the lock from its holder, if there is one, or the holder releases it (None)."""
        if self._holder not in (None, by) and by and (holder := self._executions[self._holder]).entered:
            over = holder.ended_at is not None and self._at >= holder.ended_at + LAST_CALL_SECONDS
            self._judge("takeovers-wait", over, f"{by} took the lock of {holder.arn}, whose last call was not over")
        running = [command.step for command in self._commands]
        self._judge("one-command-at-a-time", not running, f"{running} may still run, and its lock is gone")
        self._holder, self._sees_locks = None, True

    def _unlock(self, event: trace.Unlocked, execution: Execution) -> None:
        self._free(event.by)
        if event.record and event.record.interrupted is None:
            why = self._bad.get(event.record.rollback_to.server)
            self._judge("the-record-is-true", why is None, f"{event.record.rollback_to}, but {why}")
            execution.record = event.record if event.by is None else None

    def _hold(self, execution: Execution, what: str) -> None:
        if self._sees_locks:
            held = f"{what} of {execution.arn}, but {self._holder or 'nobody'} holds the lock"
            self._judge("one-holder", self._holder == execution.arn, held)

    def _begin(self, command: CommandBegan, execution: Execution) -> None:
        step, server = command.step, self._servers.get(command.instance_id or "")
        running = [f"{each.step} of {each.execution}" for each in self._commands]
        self._judge("one-command-at-a-time", not running, f"{step} began while {running} ran")
        self._judge("one-command-at-a-time", step not in execution.steps, f"{step} began twice")
        self._hold(execution, step)
        planned = step != "deploy" or command.instance_id == execution.server("idle")
        planned = planned and not execution.plan.get("dryRun")
        self._judge("changes-follow-the-plan", planned, f"{step} on {command.instance_id}, against the plan")
        if step == "deploy" and server:
            self._bad[server.name] = f"{execution.arn} began to deploy to it"
        execution.steps.append(step)
        self._commands.append(command)

    # Changes.

    def _change(self, change: Changed, execution: Execution) -> None:
        if server := self._servers.get(change.instance_id or ""):
            change = replace(change, instance_id=server.instance_id)
        if change.before and change.after:
            self._see(change.before)
        if change.execution is None:
            self._others[change.allocation_id] = self._others[None] = self._at
        else:
            self._judge_change(change, execution)
        if change.before and change.after:
            self._see(change.after, change.execution)
        if change.execution and (change.before is None or change.before != change.after):
            execution.changes.append(change)
            execution.first = len(self._moments) - bool(change.after)

    def _judge_change(self, change: Changed, execution: Execution) -> None:
        server, to, state = self._servers.get(change.instance_id or ""), change.instance_id, change.state
        what = f"{state} {change.action} of {change.allocation_id} to {to}"
        of_production = change.allocation_id == self._pair.production
        parted = of_production and change.action == "DisassociateAddress"
        self._judge("production-stays-on-a-server", not parted, what)
        self._judge("only-the-pair", change.allocation_id in self._addresses and (server or to is None), what)
        self._hold(execution, what)
        late = execution.ended_at is not None and self._at > execution.ended_at + LAST_CALL_SECONDS
        self._judge("one-holder", not late, f"{what}, long after the end of {execution.arn}")
        moves = execution.moves(*self._addresses)
        planned = (change.allocation_id, to) in (moves.get(state, ()) if state else chain(*moves.values()))
        self._judge("changes-follow-the-plan", planned, f"{what}, against the plan")
        goes_live = of_production and to == execution.server("idle") and state in ("", MOVE)
        missing = execution.missing(state or (MOVE if goes_live else "")) if execution.plan else ["a plan"]
        self._judge("nothing-before-the-checks", not missing, f"{what}, without {missing}")
        if goes_live and server:
            good = not execution.plan["rollback"] or server.name not in self._bad
            self._judge("rollbacks-go-to-good-servers", good, f"{what}, but {self._bad.get(server.name)}")
            if execution.plan["checksStaging"]:
                self._judge_serving(execution, "staging", CHECKS[0], what)
        if change.before and change.after:
            self._judge_places(change, change.before, change.after, execution)

    def _judge_places(self, change: Changed, before: Places, after: Places, execution: Execution) -> None:
        described, of_production = change.described, change.allocation_id == self._pair.production
        what = f"{change.state} {change.action} of {change.allocation_id} from {before} to {after}"
        self._judge("described-before-each-change", described, f"{what}, and its function had not described it")
        # EC2 has no condition for a move by someone else between our description and our call.
        race = described and described.production != before.production and self._production_by is None
        self._judge("production-stays-on-a-server", after.production or not before.production or race, what)
        taken = before.production not in (None, *self._servers, after.production)
        displaced = sorted({*change.displaced} - {*self._addresses})
        there = [each for each in displaced if self._others.get(each, 0) < execution.planned_at]
        self._judge("nobody-is-displaced", not there and (race or not taken), f"{what}, which displaced {there}")
        back = not of_production or before.production is None or "Staging" not in change.state
        self._judge("changes-follow-the-plan", back, f"{what}, against the plan")
        since = [(each.state, each.allocation_id) for each in execution.changes if each.at > self._others[None]]
        is_there = described and (described.production if of_production else described.staging) == change.instance_id
        needless = is_there and "Restore" not in change.state
        twice = (change.state, change.allocation_id) in since if before != after else needless
        self._judge("changes-follow-the-plan", not twice, f"{what}, which was done already")

    def _judge_serving(self, execution: Execution, role: str, check: str, what: str) -> None:
        """The server that becomes live, if it is known what it has served since its check began."""
        since, serving = self._serving.get(execution.server("idle"), (0, None))
        if serving and since <= execution.entered.get(check, 0):
            expected = execution.plan["expectedRelease"]
            same = expected is None or serving.release in (None, expected)
            self._judge("only-good-releases-go-live", same, f"{what} with release {serving.release}")
            healthy = getattr(serving, role) is not False
            self._judge("only-good-releases-go-live", healthy, f"{what}, and it fails its checks as {role}")

    # The end of an execution.

    def _end(self, ended: Ended, execution: Execution) -> None:
        plan, outcome, idle = execution.plan, ended.outcome, self._servers.get(execution.server("idle") or "")
        what, made = f"{execution.arn} ended {outcome}", execution.changes
        if ended.places:
            self._see(ended.places)
        interrupted = ended.status in ("ABORTED", "TIMED_OUT") or outcome.startswith("States.")
        if not interrupted:
            self._judge("the-outcome-is-true", outcome in OUTCOMES, f"{what}: {ended.cause}")
            self._judge_extent(ended, execution, what)
            if "live" in plan:
                self._judge_claims(ended, execution, what)
            if execution.record and plan:
                self._judge_record(outcome, execution.record, execution, what)
        begun = interrupted and not plan.get("rollback") and any(each.state != "RepairStaging" for each in made)
        if idle and outcome == "CUT_OVER":
            self._bad.pop(idle.name, None)
        elif idle and plan["decision"] == "CUT_OVER" and (begun or outcome in ROLLED_BACK):
            self._bad[idle.name] = f"{what}, after a cutover to {idle.name} had begun"
        asks = ASKS.search(f"{ended.cause} {(ended.output or {}).get('warnings')}")
        self._person_asked = self._person_asked or asks is not None
        execution.ended_at = self._at if execution.ended_at is None else execution.ended_at
        execution.changes = []  # if it is redriven, its outcome says what it has changed since

    def _judge_extent(self, ended: Ended, execution: Execution, what: str) -> None:
        """Did it change no more than its outcome says, and undo what it says?"""
        plan, outcome, made = execution.plan, ended.outcome, execution.changes
        only_repaired = all(each.state in ("", "RepairStaging") for each in made)
        extent = not made if outcome in NOTHING_CHANGED else only_repaired or outcome not in ONLY_REPAIRED
        self._judge("the-outcome-is-true", extent, f"{what}, and made {[each.action for each in made]}")
        in_vain = "beforeCutover0" in execution.steps and outcome != "CUT_OVER" and "afterRollback" in plan["hooks"]
        self._judge("hooks-are-undone", not in_vain or "AfterRollback" in execution.entered, what)
        if outcome == "RollbackFailed" and self._sees_faults and plan:
            began = min(execution.entered.get(each, self._number) for each in ROLLBACK)
            excused = not plan["canRollBack"] or self._disturbed > began or self._others[None] >= execution.planned_at
            self._judge("sound-after-a-failure", excused, f"{what}, but nothing prevented the rollback")
        if outcome == "RollbackFailed" and ended.cause and plan:
            places = ("live", "idle") if plan["canRollBack"] else ("idle", "stagingTo")
            ends = {*zip(self._addresses, map(execution.server, places), strict=True)}
            words = COMMAND.findall(ended.cause)
            moves = {(each, self._servers[to].instance_id if to in self._servers else to) for each, to in words}
            finishes = moves <= ends and (moves or not plan["canRollBack"])
            self._judge("the-outcome-is-true", finishes, f"{what}, and its commands are {moves}")

    def _judge_claims(self, ended: Ended, execution: Execution, what: str) -> None:
        """Were the addresses where the outcome says?"""
        plan, outcome, output = execution.plan, ended.outcome, ended.output or {}
        live, idle, beside = (execution.server(place) for place in ("live", "idle", "stagingTo"))
        sound, stays = Places(live, idle), None if plan["checksStaging"] else plan["staging"]["instanceId"]
        others = self._others[None] >= execution.planned_at
        moved = others and "Someone else moved it." in str(output.get("warnings"))
        partly = moved or (outcome == "ALREADY_LIVE" and not plan["checksStaging"])
        claims = {"CUT_OVER": Places(idle, beside or stays), "ALREADY_LIVE": sound, "REPAIRED": sound}
        shown = Places.shown(output) if "production" in output else None
        for claim in filter(None, (claims.get(outcome), shown)):
            stood = self._stood(execution, claim, only_production=partly)
            self._judge("the-outcome-is-true", stood, f"{what}, and the addresses were not on {claim}")
        if outcome == "RolledBack" or (outcome in ONLY_REPAIRED and execution.changes and not others):
            self._judge("sound-after-a-failure", self._stood(execution, sound), f"{what}, but not on {sound}")
        if outcome == "CUT_OVER":
            bakes, hooks = plan["bakeSeconds"], "afterCutover" in plan["hooks"] and not plan["rollback"]
            last = ["Bake"] if bakes else ["HealthCheckProduction"]
            needed = ["ReassociateStaging", "HealthCheckProduction", *last, *(["AfterCutover"] if hooks else [])]
            missing = [each for each in needed if each not in execution.passed]
            self._judge("only-good-releases-go-live", not missing, f"{what}, without {missing}")
            self._judge_serving(execution, "production", last[0], what)

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
        cutover, last = record.last_cutover or {}, record.last_outcome or {}
        true = (cutover.get("execution") == execution.arn) == (outcome == "CUT_OVER")
        true = true and (last.get("execution"), last.get("outcome")) == (execution.arn, outcome)
        self._judge("the-record-is-true", true, f"{what}, but the record has {cutover} and {last}")
