"""What the workflow guarantees, and the checker of what an execution did. In tests, where more is seen,
`tests.guarantees_seen_whole` extends it. What the source of the events cannot see is not judged. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domain.pair import Pair
from guarantees import trace
from guarantees.trace import Changed, CommandBegan, Ended, Event, Execution, Places

GUARANTEES: Mapping[str, str] = {
    "production-stays-on-a-server": "No call of ours takes production off a server: it moves in one call.",
    "nothing-before-the-checks": "Nothing changes before the checks and the approval, except that staging is repaired.",
    "described-before-and-after": "A function describes both addresses before and after it changes one.",
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


NOTHING_CHANGED = ("ALREADY_LIVE", "DRY_RUN", "NOTHING_TO_REPAIR", "READY", "NOT_READY", "SKIPPED", "EvaluationFailed",
                   "AddressMoved", "CutoverInProgress", "InvalidRequest")  # fmt: skip
ONLY_REPAIRED = ("REPAIRED", "PreflightFailed", "StagingUnhealthy", "DeployFailed", "NotApproved", "RepairFailed")
ROLLED_BACK = ("RolledBack", "RollbackFailed")
OUTCOMES = ("CUT_OVER", *NOTHING_CHANGED, *ONLY_REPAIRED, *ROLLED_BACK)
COMMAND = re.compile(r"aws ec2 associate-address --allocation-id (\S+) --(?:instance|network-interface)-id (\S+)")


class Guarantees:
    """Judges what happens to a pair, event by event. `known` has the guarantees that could be judged so far."""

    def __init__(self, pair: Pair) -> None:
        self.known: set[str] = set()
        self._pair, self._addresses = pair, (pair.production, pair.staging)
        self._servers = {server.instance_id: server for server in pair.servers}
        self._executions: dict[str | None, Execution] = {}
        self._moments: list[tuple[float, Places]] = []
        self._interfered_at = -1.0  # when someone else has last changed an address
        self._holder: str | None = None
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
            case trace.Passed():
                self._pass(event, execution)
            case trace.Entered():
                execution.entered[event.state] = self._number
                execution.planned_at = event.at if event.state == "DescribeAddresses" else execution.planned_at
            case trace.Locked():
                self._free(arn)
                self._holder = arn
            case trace.Unlocked():
                self._free(event.by)
                execution.record = event.record if event.by is None else None
            case CommandBegan():
                self._begin(event, execution)
            case Changed():
                self._change(event, execution)
            case Ended():
                self._end(event, execution)
        return self._broken

    def _judge(self, guarantee: str, kept: object, text: str) -> None:
        self.known.add(guarantee)
        if not kept:
            self._broken.append(Broken(guarantee, self._at, text))

    def _see(self, places: Places, by: str | None = "") -> None:
        """Where both addresses are, and who moved them there: None is someone else, and empty nobody who is known."""
        before = self._moments[-1][1] if self._moments else places
        lost = before.production and not places.production and by == ""
        self._judge("production-stays-on-a-server", not lost, "production is on no server, and nobody else took it off")
        if places != before or not self._moments:
            self._moments.append((self._at, places))

    def _stood(self, execution: Execution, claim: Places, *, only_production: bool = False) -> bool:
        """Whether it was so at a moment since the execution's last change; true if none is known."""
        moments = [places for _, places in self._moments[execution.first :]]
        staging = [claim.staging, *(places.staging for places in moments if only_production)]
        return not moments or any(each.production == claim.production and each.staging in staging for each in moments)

    def _pass(self, event: trace.Passed, execution: Execution) -> None:
        if event.state == "DescribeAddresses":
            execution.plan, execution.passed = event.output or {}, {}
        execution.answered_at = event.at if event.state == "HealthCheckProduction" else execution.answered_at
        execution.passed[event.state.removesuffix("InVpc")] = self._number

    def _free(self, by: str | None) -> None:
        """The execution `by` takes the lock from its holder, if there is one, or the holder releases it (None)."""
        if self._holder not in (None, by) and by and (holder := self._executions[self._holder]).entered:
            over = holder.ended_at is not None and self._at >= holder.ended_at + trace.LAST_CALL_SECONDS
            self._judge("takeovers-wait", over, f"{by} took the lock of {holder.arn}, whose last call was not over")
        self._holder = None

    def _hold(self, execution: Execution, what: str) -> None:
        held = f"{what} of {execution.arn}, but {self._holder or 'nobody'} holds the lock"
        self._judge("one-holder", self._holder == execution.arn, held)

    def _begin(self, command: CommandBegan, execution: Execution) -> None:
        step = command.step
        self._judge("one-command-at-a-time", step not in execution.steps, f"{step} began twice")
        self._hold(execution, step)
        planned = step != "deploy" or command.instance_id == execution.server("idle")
        planned = planned and not execution.plan.get("dryRun")
        self._judge("changes-follow-the-plan", planned, f"{step} on {command.instance_id}, against the plan")
        execution.steps.append(step)

    def _change(self, change: Changed, execution: Execution) -> None:
        if change.before and change.after:
            self._see(change.before)
        if change.execution is None:
            self._interfered_at = self._at
        else:
            self._judge_change(change, execution)
        if change.before and change.after:
            self._see(change.after, change.execution)
        if change.execution and (change.before is None or change.before != change.after):
            # What a stopped execution had under way is not a change of the drive that follows.
            execution.changes += [change] if execution.ended_at is None else []
            execution.first = len(self._moments) - bool(change.after)

    def _judge_change(self, change: Changed, execution: Execution) -> None:
        server, to, state = self._servers.get(change.instance_id or ""), change.instance_id, change.state
        what = f"{state} {change.action} of {change.allocation_id} to {to}"
        of_production = change.allocation_id == self._pair.production
        parted = of_production and change.action == "DisassociateAddress"
        self._judge("production-stays-on-a-server", not parted, what)
        self._judge("only-the-pair", change.allocation_id in self._addresses and (server or to is None), what)
        if not self._is_too_late(change):
            self._hold(execution, what)
        moves = execution.moves(*self._addresses)
        planned = (change.allocation_id, to) in moves.get(state, ())
        self._judge("changes-follow-the-plan", planned, f"{what}, against the plan")
        missing = execution.missing(state) if execution.plan else ["a plan"]
        self._judge("nothing-before-the-checks", not missing, f"{what}, without {missing}")
        if change.before and change.after:
            self._judge_places(change, change.before, change.after, execution)

    def _judge_places(self, change: Changed, before: Places, after: Places, execution: Execution) -> None:
        what = f"{change.state} {change.action} of {change.allocation_id} from {before} to {after}"
        stays = after.production or not before.production or self._is_race(change)
        self._judge("production-stays-on-a-server", stays, what)
        since = [(each.state, each.allocation_id) for each in execution.changes if each.at > self._interfered_at]
        twice = (change.state, change.allocation_id) in since if before != after else self._is_needless(change)
        self._judge("changes-follow-the-plan", not twice, f"{what}, which was done already")

    def _is_too_late(self, _change: Changed) -> bool:
        """Did a lost call come after its execution had ended, and find everything in place?"""
        return False

    def _is_needless(self, change: Changed) -> bool:
        return "Restore" not in change.state

    def _is_race(self, _change: Changed) -> bool:
        """Did someone else move production between our description and our call? EC2 has no condition for that."""
        return False

    def _end(self, ended: Ended, execution: Execution) -> None:
        what = f"{execution.arn} ended {ended.outcome}"
        if not ended.is_interruption:
            self._judge("the-outcome-is-true", ended.outcome in OUTCOMES, f"{what}: {ended.cause}")
            self._judge_extent(ended, execution, what)
            if "live" in execution.plan:
                self._judge_claims(ended, execution, what)
            if execution.record and execution.plan:
                recorded, true = execution.record.last_outcome, {"execution": ended.execution, "outcome": ended.outcome}
                self._judge("the-record-is-true", recorded and recorded.items() >= true.items(), f"{what}: {recorded}")
        execution.ended_at = self._at if execution.ended_at is None else execution.ended_at
        execution.changes = []  # if it is redriven, its outcome says what it has changed since

    def _judge_extent(self, ended: Ended, execution: Execution, what: str) -> None:
        """Did it change no more than its outcome says, and undo what it says?"""
        plan, outcome, made = execution.plan, ended.outcome, execution.changes
        only_repaired = all(each.state == "RepairStaging" for each in made)
        extent = not made if outcome in NOTHING_CHANGED else only_repaired or outcome not in ONLY_REPAIRED
        self._judge("the-outcome-is-true", extent, f"{what}, and made {[each.action for each in made]}")
        hooked = "beforeCutover0" in execution.steps and "afterRollback" in plan["hooks"] and not execution.ended_at
        undone = outcome == "CUT_OVER" or "AfterRollback" in execution.entered
        self._judge("hooks-are-undone", undone or not hooked, what)
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
        others = self._interfered_at >= execution.planned_at
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
            needed = ["ReassociateStaging", "HealthCheckProduction", *(["Bake"] if plan["bakeSeconds"] else [])]
            needed += ["AfterCutover"] if "afterCutover" in plan["hooks"] and not plan["rollback"] else []
            missing = [each for each in needed if each not in execution.passed]
            self._judge("only-good-releases-go-live", not missing, f"{what}, without {missing}")
            baked = self._at - execution.answered_at
            long = baked > plan["bakeSeconds"] - 1  # the workflow counts in whole seconds
            self._judge("only-good-releases-go-live", long, f"{what}, {baked:.1f} s after its server answered")
