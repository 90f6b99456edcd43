"""What the workflow guarantees, and its only checker. Events say what happened to one pair, in their order. They come
from the simulation, the fault matrix, or the history of a real execution. A source may not see everything: what it
cannot see is not judged. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.lock import LAST_CALL_SECONDS
from domain.pair import Json, Pair
from domain.record import Record

GUARANTEES: Mapping[str, str] = {
    "production-stays-on-a-server": "No call of ours takes production off a server: it moves in one call.",
    "nothing-before-the-checks": "Nothing changes before the checks and the approval, except that staging is repaired.",
    "changes-follow-a-look": "The function that changes an address describes both addresses first.",
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
class Places:
    """The instances that hold both addresses, or someone else's network interfaces; None is no server."""

    production: str | None
    staging: str | None

    @staticmethod
    def shown(addresses: Mapping[str, Any]) -> "Places":
        """From the keys `production` and `staging` of a plan or an outcome (`Address.to_json`)."""
        held = [addresses[name] or {} for name in ("production", "staging")]
        return Places(*(each.get("instanceId") or each.get("associationId") for each in held))


@dataclass(frozen=True)
class Event:
    """`at` is in seconds since 1970."""

    at: float


@dataclass(frozen=True)
class Seen(Event):
    """Both addresses as they are. A move that no `Changed` explains counts as ours."""

    places: Places


@dataclass(frozen=True)
class Serving(Event):
    """Whether a server passes its checks as staging and as production from now on, and its release; None is unknown."""

    instance_id: str
    staging: bool | None
    production: bool | None
    release: str | None = None


@dataclass(frozen=True)
class Step(Event):
    """Done by this execution (its ARN). For `Changed`, None is someone else."""

    execution: str | None


@dataclass(frozen=True)
class Entered(Step):
    state: str


@dataclass(frozen=True)
class Passed(Entered):
    """The state has ended well, with this output. The branches of a Parallel state count, even if another one fails."""

    output: Json | None = None


@dataclass(frozen=True)
class Failed(Entered):
    """The state has failed, after all its tries."""

    error: str


@dataclass(frozen=True)
class Locked(Step):
    """From now on, this execution holds the pair's lock."""


@dataclass(frozen=True)
class Unlocked(Step):
    """The lock of this execution was removed by itself, or by the execution `by`. `record` is the record after that."""

    by: str | None = None
    record: Record | None = None


@dataclass(frozen=True)
class Changed(Step):
    """EC2 accepted a call that changes an address, or changes nothing. Of someone else, any change of `Places` counts,
    such as TerminateInstances. `instance_id` is where the address goes, `displaced` has other addresses (allocation ids)
    that were taken off a server. The function of `state` made the call; `looked` is what it was shown last before, None
    if it did not look. `before` and `after` are None if unknown; then so are `displaced` and `looked`."""

    action: str
    allocation_id: str | None
    instance_id: str | None
    before: Places | None = None
    after: Places | None = None
    displaced: tuple[str, ...] = ()
    request_id: str | None = None
    state: str = ""
    looked: Places | None = None


@dataclass(frozen=True)
class CommandBegan(Step):
    step: str
    instance_id: str | None


@dataclass(frozen=True)
class CommandEnded(CommandBegan):
    pass


@dataclass(frozen=True)
class Ended(Step):
    """`outcome` is the outcome, the error, or for an execution without either, the status."""

    status: str
    outcome: str
    output: Json | None = None
    cause: str | None = None
    places: Places | None = None


@dataclass(frozen=True)
class Broken:
    guarantee: str
    at: float
    text: str


MOVE, LOOK_SECONDS = "ReassociateProduction", 15  # EC2 may show what was true 10 s ago, and answers within 5 s
CHECKS = ("HealthCheckStaging", "CheckServers", "RehearseDisassociate", "RehearseAssociateProduction",
          "RehearseAssociateStaging")  # fmt: skip
BEFORE = {"RepairStaging": (), "DisassociateStaging": CHECKS, MOVE: (*CHECKS, "DisassociateStaging"),
          "ReassociateStaging": (MOVE,), "RestoreProduction": (), "RestoreStaging": ()}  # fmt: skip
LOOKS = (*BEFORE, "DescribeAddresses", "HealthCheckLive", "HealthCheckProduction", "Bake", "DescribeUnchanged",
         "DescribeRestored", "HealthCheckRestored")  # fmt: skip
NOTHING_CHANGED = ("ALREADY_LIVE", "DRY_RUN", "NOTHING_TO_REPAIR", "READY", "NOT_READY", "SKIPPED", "AddressMoved",
                   "CutoverInProgress", "InvalidRequest")  # fmt: skip
ONLY_REPAIRED = ("REPAIRED", "PreflightFailed", "StagingUnhealthy", "DeployFailed", "NotApproved", "RepairFailed")
ROLLED_BACK = ("RolledBack", "RollbackFailed")
OUTCOMES = ("CUT_OVER", *NOTHING_CHANGED, *ONLY_REPAIRED, *ROLLED_BACK)
COMMAND = re.compile(r"aws ec2 associate-address --allocation-id (\S+) --(?:instance|network-interface)-id (\S+)")
ASKS = re.compile("A person must act|Check where|Someone else moved it|on no server|stays where it is")


@dataclass
class _Execution:
    """What is known of an execution. `entered` and `passed` number its states, `passed` since its plan. `first` is the
    number of the first moment since its last change. `looked_at` is when it was last shown both addresses."""

    arn: str
    planned_at: float = 0.0
    plan: Json = field(default_factory=dict)
    entered: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    changes: list[Changed] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    first: int = 0
    looked_at: float = 0.0
    ended_at: float | None = None
    record: Record | None = None

    def planned(self, place: str) -> str | None:
        """The instance of a place of the plan."""
        return (self.plan.get(place) or {}).get("instanceId")


class Guarantees:
    """Judges what happens to a pair, event by event. `known` has the guarantees that could be judged so far."""

    def __init__(self, pair: Pair) -> None:
        self.known: set[str] = set()
        self._pair, self._addresses = pair, (pair.production, pair.staging)
        ids = [(each, server) for server in pair.servers for each in (server.instance_id, server.network_interface_id)]
        self._servers = {each: server for each, server in ids if each}
        self._executions: dict[str | None, _Execution] = {}
        self._moments: list[tuple[float, Places, str | None]] = []  # since when, and who made it so; None: someone else
        self._production_by: str | None = ""
        self._others: dict[str | None, float] = {}  # when someone else has last changed an address
        self._others_at = -1.0
        self._holder: str | None = None
        self._sees_locks = self._person_asked = False
        self._commands: list[CommandBegan] = []
        self._bad: dict[str | None, str] = {}  # by server's name, why no rollback may go there
        self._serving: dict[str | None, tuple[int, Serving]] = {}
        self._number, self._at = 0, 0.0
        self._broken: list[Broken] = []

    def observe(self, event: Event) -> list[Broken]:
        """What this event breaks."""
        self._number, self._at, self._broken = self._number + 1, event.at, []
        if isinstance(event, Changed) and event.execution is None:
            self._someone_changes(event)
        elif isinstance(event, Step):
            execution = self._executions.setdefault(event.execution, _Execution(str(event.execution)))
            match event:
                case Passed():
                    self._pass(event, execution)
                case Failed():
                    pass
                case Entered():
                    execution.entered[event.state] = self._number
                    execution.planned_at = event.at if event.state == "DescribeAddresses" else execution.planned_at
                case Locked():
                    self._take_over(event.execution)
                    self._holder, self._sees_locks = event.execution, True
                case Unlocked():
                    self._unlock(event, execution)
                case Changed():
                    self._change(event, execution)
                case CommandEnded():
                    self._commands = [each for each in self._commands if each.step != event.step]
                case CommandBegan():
                    self._begin(event, execution)
                case Ended():
                    self._end(event, execution)
        elif isinstance(event, Serving):
            self._serving[event.instance_id] = self._number, event
        elif isinstance(event, Seen):
            self._see(event.places)
        return self._broken

    def settled(self, at: float, places: Places, holder: str | None) -> list[Broken]:
        """What is broken if nothing has run for long, and nothing will."""
        self._at, self._broken = at, []
        self._see(places)
        asked = self._person_asked or self._moments[-1][2] is None
        self._judge(
            "everything-settles", asked or self._is_sound(places), f"nobody was asked to act, and there are {places}"
        )
        self._judge("everything-settles", holder is None, f"{holder} still holds the lock")
        self._judge("everything-settles", not self._commands, f"{self._commands} never ended")
        return self._broken

    def _judge(self, guarantee: str, kept: object, text: str) -> None:
        self.known.add(guarantee)
        if not kept:
            self._broken.append(Broken(guarantee, self._at, text))

    # Where the addresses stand.

    def _is_sound(self, places: Places) -> bool:
        return {places.production, places.staging} == {server.instance_id for server in self._pair.servers}

    def _see(self, places: Places) -> None:
        lost = self._moments and self._moments[-1][1].production and not places.production
        self._judge("production-stays-on-a-server", not lost, "production is on no server, and nobody else took it off")
        self._stand(places, "")

    def _stand(self, places: Places, by: str | None) -> None:
        before = self._moments[-1][1] if self._moments else None
        if before is None or places.production != before.production:
            self._production_by = by
        if places != before:
            self._moments.append((self._at, places, by))
        self._person_asked = self._person_asked and not self._is_sound(places)

    def _stood(self, execution: _Execution, claim: Places, *, only_production: bool = False) -> bool:
        """Whether the claim was true at a moment since the execution's last change and its last look, or may have been."""
        moments = self._moments[execution.first :]
        for at, places, _ in reversed(moments):
            if places.production == claim.production and (only_production or places.staging == claim.staging):
                return True
            if at < execution.looked_at - LOOK_SECONDS:
                break
        return not moments

    # States, the lock, commands.

    def _pass(self, event: Passed, execution: _Execution) -> None:
        if event.state == "DescribeAddresses":
            execution.plan, execution.passed = event.output or {}, {}
        execution.passed[event.state.removesuffix("InVpc")] = self._number
        if event.state in LOOKS:
            execution.looked_at = event.at

    def _take_over(self, by: str | None) -> None:
        if self._holder is not None and by not in (None, self._holder) and self._holder in self._executions:
            ended_at = self._executions[self._holder].ended_at
            over = ended_at is not None and self._at >= ended_at + LAST_CALL_SECONDS
            self._judge("takeovers-wait", over, f"{by} took the lock of {self._holder}, whose last call was not over")

    def _unlock(self, event: Unlocked, execution: _Execution) -> None:
        self._take_over(event.by)
        self._holder, self._sees_locks = None, True
        running = [command.step for command in self._commands]
        self._judge("one-command-at-a-time", not running, f"{running} may still run, and the lock is free")
        if event.record:
            back = event.record.rollback_to.server
            self._judge(
                "the-record-is-true", back not in self._bad, f"a rollback would go to {back}, but {self._bad.get(back)}"
            )
            execution.record = event.record if event.by in (None, event.execution) else None

    def _hold(self, execution: _Execution, what: str) -> None:
        if self._sees_locks:
            held = self._holder == execution.arn
            self._judge("one-holder", held, f"{execution.arn} {what}, but {self._holder or 'nobody'} holds the lock")

    def _begin(self, command: CommandBegan, execution: _Execution) -> None:
        step, server = command.step, self._servers.get(command.instance_id or "")
        running = [f"{each.step} of {each.execution}" for each in self._commands]
        self._judge("one-command-at-a-time", not running, f"{step} began while {running} ran")
        self._judge("one-command-at-a-time", step not in execution.steps, f"{step} began twice")
        self._hold(execution, f"began {step}")
        planned = not execution.plan.get("dryRun") and (
            step != "deploy" or command.instance_id == execution.planned("idle")
        )
        self._judge("changes-follow-the-plan", planned, f"{step} began on {command.instance_id}, against the plan")
        if step == "deploy" and server:
            self._bad[server.name] = f"{execution.arn} has begun to deploy to it"
        execution.steps.append(step)
        self._commands.append(command)

    # Changes.

    def _someone_changes(self, change: Changed) -> None:
        self._others[change.allocation_id] = self._others_at = change.at
        if change.before and change.after:
            self._see(change.before)
            self._stand(change.after, None)

    def _change(self, change: Changed, execution: _Execution) -> None:
        server, to = self._servers.get(change.instance_id or ""), change.instance_id
        what = f"{change.state or execution.arn} called {change.action} of {change.allocation_id} with {to}"
        self._judge("only-the-pair", change.allocation_id in self._addresses and (server or to is None), what)
        self._hold(execution, f"called {change.action}")
        late = execution.ended_at is not None and self._at > execution.ended_at + LAST_CALL_SECONDS
        self._judge("one-holder", not late, f"{what}, long after its end")
        to = server.instance_id if server else to
        self._judge_plan(change, execution, to, what)
        self._judge_checks(change, execution, to, what)
        if change.before and change.after:
            self._see(change.before)
            self._judge_places(change, change.before, change.after, execution, to, what)
            self._stand(change.after, execution.arn)
        if change.before is None or change.before != change.after:
            execution.changes.append(change)
            execution.first = len(self._moments) - bool(change.after)

    def _judge_plan(self, change: Changed, execution: _Execution, to: str | None, what: str) -> None:
        plan, (production, staging) = execution.plan, self._addresses
        live, idle, beside = (execution.planned(place) for place in ("live", "idle", "stagingTo"))
        # A state that moves staging may only put production back, if it was displaced: then it is on no server.
        moves = {"RepairStaging": [(staging, idle), (production, live)]} if idle and not plan.get("dryRun") else {}
        if moves and plan.get("decision") == "CUT_OVER":
            moves |= {"DisassociateStaging": [(staging, None)], MOVE: [(production, idle)]}
            moves |= {"ReassociateStaging": [(staging, beside), (production, idle)]}
            moves |= {
                "RestoreProduction": [(production, live)],
                "RestoreStaging": [(staging, idle), (production, live)],
            }
        allowed = moves.get(change.state, []) if change.state else sum(moves.values(), [])
        of_production = change.allocation_id == production
        displaced = not (of_production and "Staging" in change.state and change.before and change.before.production)
        planned = (change.allocation_id, to) in allowed and displaced
        self._judge("changes-follow-the-plan", planned, f"{what}, against the plan")
        parted = of_production and change.action == "DisassociateAddress"
        self._judge("production-stays-on-a-server", not parted, what)

    def _judge_places(
        self, change: Changed, before: Places, after: Places, execution: _Execution, to: str | None, what: str
    ) -> None:
        looked, of_production = change.looked, change.allocation_id == self._pair.production
        self._judge("changes-follow-a-look", looked, f"{what}, and did not look before")
        # EC2 has no condition for a move by someone else between our look and our call.
        race = looked and looked.production != before.production and self._production_by is None
        lost = before.production and not after.production and not race
        self._judge("production-stays-on-a-server", not lost, f"{what}, which took production off {before.production}")
        taken = before.production not in (None, *self._servers, after.production) and not race
        self._judge("nobody-is-displaced", not taken, f"{what}, which took production from {before.production}")
        displaced = sorted({*change.displaced} - {*self._addresses})
        there = [each for each in displaced if self._others.get(each, 0) < execution.planned_at]
        self._judge("nobody-is-displaced", not there, f"{what}, which displaced {there}")
        is_there = looked and (looked.production if of_production else looked.staging) == to
        before_it = [(each.state, each.allocation_id) for each in execution.changes if each.at > self._others_at]
        again = before != after and (change.state, change.allocation_id) in before_it
        twice = again or (is_there and "Restore" not in change.state)
        self._judge("changes-follow-the-plan", not twice, f"{what}, which was done already")

    def _judge_checks(self, change: Changed, execution: _Execution, to: str | None, what: str) -> None:
        plan, passed, idle = execution.plan, execution.passed, execution.planned("idle")
        goes_live = change.allocation_id == self._pair.production and to == idle and change.state in ("", MOVE)
        needed = [*BEFORE.get(change.state or (MOVE if goes_live else ""), ())]
        if CHECKS[0] in needed:
            needed += ["DeployRelease"] if plan.get("deploys") else []
            needed += ["WaitForApproval"] if plan.get("approvalMinutes") is not None else []
            needed += ["BeforeCutover"] if "beforeCutover" in plan["hooks"] and not plan["tolerant"] else []
        since = max(passed.get("DeployRelease", 0), passed.get("WaitForApproval", 0))
        missing = [each for each in needed if passed.get(each, -1) < (since if each in CHECKS else 0)]
        self._judge("nothing-before-the-checks", plan and not missing, f"{what}, without {missing or 'a plan'}")
        if goes_live and idle:
            name = self._servers[idle].name
            good = not plan.get("rollback") or name not in self._bad
            self._judge("rollbacks-go-to-good-servers", good, f"{what}, but {self._bad.get(name)}")
            if plan["checksStaging"]:
                self._judge_serving(execution, "staging", CHECKS[0], what)

    def _judge_serving(self, execution: _Execution, role: str, check: str, what: str) -> None:
        """The server that becomes live, if it is known what it serves since its check began."""
        since, serving = self._serving.get(execution.planned("idle"), (0, None))
        if serving and since <= execution.entered.get(check, 0):
            healthy, expected = getattr(serving, role), execution.plan["expectedRelease"]
            self._judge("only-good-releases-go-live", healthy is not False, f"{what}, and fails its checks as {role}")
            other = expected is not None and serving.release not in (None, expected)
            self._judge("only-good-releases-go-live", not other, f"{what} with release {serving.release}")

    # The end of an execution.

    def _end(self, ended: Ended, execution: _Execution) -> None:
        plan, outcome, idle = execution.plan, ended.outcome, self._servers.get(execution.planned("idle") or "")
        what = f"{execution.arn} ended {outcome}"
        if ended.places:
            self._see(ended.places)
        if outcome in OUTCOMES:
            self._judge_outcome(ended, execution, what)
            self._judge_record(outcome, execution, what)
        interrupted = ended.status in ("ABORTED", "TIMED_OUT") or outcome.startswith("States.")
        self._judge("the-outcome-is-true", outcome in OUTCOMES or interrupted, f"{what}: {ended.cause}")
        begun = (
            interrupted
            and not plan.get("rollback")
            and any(each.state != "RepairStaging" for each in execution.changes)
        )
        if idle and outcome == "CUT_OVER":
            self._bad.pop(idle.name, None)
        elif idle and plan["decision"] == "CUT_OVER" and (begun or outcome in ROLLED_BACK):
            self._bad[idle.name] = f"{what} after it had begun a cutover to {idle.name}"
        self._person_asked = self._person_asked or bool(
            ASKS.search(f"{ended.cause} {(ended.output or {}).get('warnings')}")
        )
        execution.ended_at = self._at if execution.ended_at is None else execution.ended_at
        execution.changes = []  # if it is redriven, its outcome says what it has changed since

    def _judge_outcome(self, ended: Ended, execution: _Execution, what: str) -> None:
        plan, outcome, output, made = execution.plan, ended.outcome, ended.output or {}, execution.changes
        live, idle, beside = (execution.planned(place) for place in ("live", "idle", "stagingTo"))
        others = self._others_at >= execution.planned_at
        repairs = all(each.state in ("", "RepairStaging") for each in made)
        true = not made if outcome in NOTHING_CHANGED else repairs or outcome not in ONLY_REPAIRED
        self._judge("the-outcome-is-true", true, f"{what}, and changed {[each.action for each in made]}")
        hooks = "beforeCutover0" in execution.steps and "afterRollback" in plan["hooks"] and outcome != "CUT_OVER"
        undone = not hooks or "AfterRollback" in execution.entered
        self._judge("hooks-are-undone", undone, f"{what}, and its hooks were not undone")
        if outcome == "RollbackFailed" and ended.cause:
            where = (live, idle) if plan["canRollBack"] else (idle, beside)
            found = [
                (each[0], self._servers[each[1]].instance_id)
                for each in COMMAND.findall(ended.cause)
                if each[1] in self._servers
            ]
            leads = {*found} <= {*zip(self._addresses, where, strict=True)} and (found or not plan["canRollBack"])
            self._judge("the-outcome-is-true", leads, f"{what}, and its commands are {found}")
        if "decision" not in plan or "live" not in plan:
            return
        moved = others and "Someone else moved it." in str(output.get("warnings"))
        sound, left = Places(live, idle), beside or (None if plan["checksStaging"] else plan["staging"]["instanceId"])
        unchecked = moved or (outcome == "ALREADY_LIVE" and not plan["checksStaging"])
        claims = [Places.shown(output)] if "production" in output else []
        claims += (
            [Places(idle, left)]
            if outcome == "CUT_OVER"
            else [sound]
            if outcome in ("ALREADY_LIVE", "REPAIRED")
            else []
        )
        for claim in claims:
            stood = self._stood(execution, claim, only_production=unchecked)
            self._judge("the-outcome-is-true", stood, f"{what}, but the addresses are not on {claim}")
        if outcome == "RolledBack" or (made and outcome in ONLY_REPAIRED and not others):
            self._judge(
                "sound-after-a-failure", self._stood(execution, sound), f"{what}, but the addresses are not on {sound}"
            )
        if outcome == "CUT_OVER":
            needed = ["ReassociateStaging", "HealthCheckProduction", *(["Bake"] if plan["bakeSeconds"] else [])]
            needed += ["AfterCutover"] if "afterCutover" in plan["hooks"] and not plan["rollback"] else []
            missing = [each for each in needed if each not in execution.passed]
            self._judge("only-good-releases-go-live", not missing, f"{what}, without {missing}")
            last = "Bake" if plan["bakeSeconds"] else "HealthCheckProduction"
            self._judge_serving(execution, "production", last, what)

    def _judge_record(self, outcome: str, execution: _Execution, what: str) -> None:
        record, plan = execution.record, execution.plan
        if record is None or "record" not in plan:
            return
        back = plan["record"]["rollbackTo"]
        expected = None if "deploy" in execution.steps or outcome in ROLLED_BACK else back["server"]
        if outcome == "CUT_OVER":
            to = plan["idle" if plan["rollback"] else "live"] or {}
            served = plan["rollback"] or to.get("name") not in (*self._bad, *back.get("rejected", ()))
            expected = to.get("name") if served else None
        found = record.rollback_to.server
        self._judge(
            "the-record-is-true", found == expected, f"{what}, and a rollback would go to {found}, not {expected}"
        )
        last, told = record.last_cutover or {}, record.last_outcome or {}
        is_last = (last.get("execution") == execution.arn) == (outcome == "CUT_OVER")
        is_told = (told.get("execution"), told.get("outcome")) == (execution.arn, outcome)
        self._judge("the-record-is-true", is_last and is_told, f"{what}, and the record says {last} and {told}")
