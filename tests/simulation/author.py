"""Makes up the scenario of a seed: what is likely, and what belongs together, so that rare states are reached."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tests.simulation.scenario import (
    APPROVAL_MINUTES,
    BAKE_SECONDS,
    BITTYBOT,
    COMMAND_SECONDS,
    HOOK_FUNCTION,
    MOMENTS,
    NAMES,
    NEW_RELEASE,
    OTHER_RELEASE,
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
    Oddities,
    Outage,
    Place,
    Race,
    Redrive,
    Scenario,
    Start,
    Stop,
    StopIn,
)
from tests.simulation.schedule import Schedule

CHECK: Mapping[str, Any] = {
    "protocol": "HTTP", "port": 80, "path": "/health", "matcher": "200", "intervalSeconds": 1, "timeoutSeconds": 1,
    "healthyThresholdCount": 2, "unhealthyThresholdCount": 2, "startPeriodSeconds": 0, "deadlineSeconds": 30,
}  # fmt: skip
HEADERS = {"releaseHeader": "X-Release", "identityHeader": "X-Server", "sharedHeader": "X-Store"}
# What may be out of order for a while, and how. Only what lasts for minutes ends a rollback.
OUTAGES = (
    ("AssociateAddress", "refused"), ("AssociateAddress", "refused"), ("AssociateAddress", "refused"),
    ("AssociateAddress", "answer lost"), ("AssociateAddress", "throttled"), ("DisassociateAddress", "refused"),
    ("DescribeAddresses", "failed"), ("DescribeAddresses", "refused"),
    ("UpdateItem", "failed"), ("UpdateItem", "answer lost"), ("DescribeExecution", "failed"),
    ("DescribeExecution", "shown late"), ("DescribeInstanceStatus", "failed"), ("SendCommand", "throttled"),
    ("SendCommand", "answer lost"), ("Invoke", "throttled"), ("Invoke", "cold start"),
)  # fmt: skip
OF_A_REPAIR = (
    ("DescribeExecution", "shown late"), ("DescribeExecution", "shown late"), ("DescribeExecution", "failed"),
    ("DescribeAddresses", "failed"), ("AssociateAddress", "refused"), ("UpdateItem", "failed"),
)  # fmt: skip
OF_AN_EVALUATION = (
    ("AssociateAddress", "refused"), ("DisassociateAddress", "refused"), ("DescribeInstanceStatus", "failed"),
)  # fmt: skip
RELEASES, HOOKS = 0.2, 0.15  # the shares of the seeds that are about a release, and about hooks
# Half of the seeds have little beside two cutovers, so that a second has many of them; every tenth has nearly all.
EXTENTS = ((0.5, 0.4), (0.9, 1.0), (1.0, 2.5))
# A cutover makes so many calls, of which these lead to its changes, and that many with a rollback, tries or commands.
CALLS, CHANGES, MOST_CALLS = 27, (10, 22), 60
LOST = 0.08  # the share of seeds in which the first try of a state is lost, and starts late
# These states, each with a later change that may then be refused.
LOST_STATES = (
    ("DisassociateStaging", "ReassociateProduction"), ("DisassociateStaging", "ReassociateStaging"),
    ("ReassociateProduction", "ReassociateStaging"), ("ReassociateProduction", None),
    ("ReassociateStaging", None), ("RestoreStaging", None), ("RepairStaging", None),
)  # fmt: skip
LOST_HOOKS = 0.3  # the same, of the seeds with hooks
TWO_HOOKS = 0.4  # the share of the moments with hooks that have two
STOPPED_IN = 0.08  # the share of seeds in which an execution is stopped in one of these states, and maybe redriven
INTERRUPTED = (
    "HealthCheckProduction", "HealthCheckProduction", "DisassociateStaging", "ReassociateProduction",
    "ReassociateStaging", "RestoreProduction", "RestoreStaging", "DescribeRestored", "HealthCheckRestored",
    "HealthCheckRestored", "ReleaseLock",
)  # fmt: skip
NEXT = 0.12  # the share of seeds in which a cutover begins just after the end of the first one
RACES = 0.3  # the share of seeds with a stranger who moves an address at the worst moment


def scenario_of(schedule: Schedule) -> Scenario:
    return _Author(schedule).scenario()


class _Author:
    """Makes up the scenario of a seed. `chance` scales with the extent of the seed, `share` does not."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule, self.texts = schedule, list[str]()
        number, self._releases = schedule.number("extent"), schedule.number("releases") < RELEASES
        self._extent = next(extent for share, extent in EXTENTS if number < share)

    def scenario(self) -> Scenario:
        pair = self._pair()
        live, idle = pair["servers"].values()
        oddities = self._oddities(live, idle, told_apart="identityHeader" in pair["healthCheck"][0])
        health, commands = self._health(live, idle, deploys="deploy" in pair), self._commands(pair)
        actors = [*self._cutovers(pair), *self._others(pair, live, idle)]
        races: list[Actor] = [actor for actor in actors if isinstance(actor, Race) and "Restore" in actor.state]
        races = races or [each for each in actors if isinstance(each, StopIn) and "Restore" in each.state]
        if races and self.share("pair health-race", 0.8, "the cutover of the race is rolled back"):
            health[idle] = "unhealthy as production"
        return Scenario(pair, oddities, health, commands, actors, self._deliveries(), self.texts)

    # What decides.

    def share(self, key: str, share: float, what: object) -> bool:
        deviates = self._schedule.deviate(key, str(what), share=share)
        if deviates:
            self.texts.append(f"{key}: {what}")
        return deviates

    def chance(self, key: str, share: float, what: object) -> bool:
        return self.share(key, min(share * self._extent, 0.95), what)

    def one_of(self, key: str, options: Sequence[Any]) -> Any:
        return options[int(self._schedule.number(f"{key}: which") * len(options))]

    def weighted(self, key: str, options: Sequence[tuple[float, Any]]) -> Any:
        left = self._schedule.number(f"{key}: which") * sum(weight for weight, _ in options)
        for weight, option in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][1]

    def seconds(self, key: str, shortest: float, longest: float) -> float:
        return round(self._schedule.between(f"{key}: seconds", shortest, longest), 3)

    def at_a_call(self, key: str, execution: str, calls: tuple[int, int] | None = None) -> Moment:
        """At any call, at once in a third of the cases, soon in another, and during a wait that follows in the rest."""
        first, last = calls or self.one_of(f"{key}: calls", ((1, CALLS), CHANGES, (1, MOST_CALLS)))
        call = first + int(self._schedule.number(f"{key}: call") * (last + 1 - first))
        longest = self.one_of(f"{key}: how late", (0.0, 0.2, 15.0))
        return Moment(self.seconds(key, 0, longest), execution, call)

    # The pair.

    def _pair(self) -> dict[str, Any]:
        servers = {"bittybot": BITTYBOT, "tao": TAO}
        if self.share("pair tao-live", 0.3, "production is on tao"):
            servers = {"tao": TAO, "bittybot": BITTYBOT}
        check = dict(CHECK)
        if self.share("pair headers", 0.6 if self._releases else 0.06, "its servers say their name, release and store"):
            check |= HEADERS
        pair: dict[str, Any] = {
            "production": PRODUCTION, "staging": STAGING, "servers": servers, "healthCheck": [check],
            "bakeSeconds": 0, "alarms": [],
        }  # fmt: skip
        if self.chance("pair bakes", 0.15, f"a bake of {BAKE_SECONDS} s"):
            pair["bakeSeconds"] = BAKE_SECONDS
        if self.chance("pair alarms", 0.1, "an alarm"):
            pair["alarms"] = ["errors"]
        if self.share("pair deploys", 0.95 if self._releases else 0.02, "releases are deployed"):
            pair["deploy"] = {"command": "/opt/deploy", "timeoutSeconds": COMMAND_SECONDS}
            if self.share("pair approves", 0.4, "releases are approved"):
                pair["approval"] = {"timeoutMinutes": APPROVAL_MINUTES}
        hooks = {each: self._hooks(each) for each in MOMENTS}
        pair["hooks"] = {each: of_moment for each, of_moment in hooks.items() if of_moment}
        return pair

    def _hooks(self, moment: str) -> list[dict[str, Any]]:
        key = f"pair {moment}"
        server, on_failure = self.one_of(key, (("idle", "FAIL"), ("live", "FAIL"), ("idle", "CONTINUE")))
        hook = {"server": server, "timeoutSeconds": COMMAND_SECONDS, "onFailure": on_failure}
        runs = self.one_of(f"{key} runs", [{"command": "/opt/hook"}] * 2 + [{"function": HOOK_FUNCTION}])
        share = 0.7 if self._schedule.number("hooks") < HOOKS else 0.03
        number = 2 if self._schedule.number(f"{key}: two") < TWO_HOOKS else 1
        what = f"{number} of: a hook on the {server} server, {next(iter(runs))}"
        return [hook | runs] * number if self.share(key, share, what) else []

    def _oddities(self, live: str, idle: str, *, told_apart: bool) -> Oddities:
        places, instances = dict[str, Place](), {}
        key = "pair places"
        odd: Mapping[str, Place] = self.weighted(
            key,
            (
                (3, {"staging": "nowhere"}), (1, {"staging": "stranger"}), (2, {"production": "nowhere"}),
                (1, {"production": "nowhere", "staging": "nowhere"}), (2, {"third": NAMES[idle]}),
                (1, {"staging": NAMES[live]}), (1, {"production": "stranger"}),
            ),
        )  # fmt: skip
        if self.chance(key, 0.1, odd):
            places.update(odd)
        key = "pair instances"
        how, instance = self.one_of(key, (("stop", live), ("stop", idle), ("stop", idle), ("terminate", live)))
        if self.chance(key, 0.03, f"{how} of {NAMES[instance]} long ago"):
            instances[instance] = how
        back = self.weighted("pair record", ((4, NAMES[idle]), (1, NAMES[live]), (2, None)))
        rejected = self.chance("pair rejected", 0.2, f"a cutover to {NAMES[live]} had failed")
        back = None if rejected and back == NAMES[live] else back
        return Oddities(
            places,
            instances,
            alarm=self.chance("pair alarm", 0.05, "its alarm is in ALARM"),
            has_record=self.share("pair record", 0.85, f"on record is an earlier cutover, and to go back to: {back}"),
            rollback_to=back,
            rejected=(NAMES[live],) if rejected else (),
            dead_lock=self.chance("pair dead-lock", 0.04, "an execution that ended long ago holds its lock"),
            moving_seconds=self._moving_seconds() if told_apart and not places else 0.0,
            second_private_ips=self.share("pair private-addresses", 0.08, "the second private addresses are in use"),
        )

    def _moving_seconds(self) -> float:
        """Only if servers say who they are: else an answer of the former server counts as one of the new server
        (docs/configuration.md). Not if staging is repaired first, since its check may reach its former server."""
        seconds = self.seconds("pair moving", 0.5, 9.5)
        return seconds if self.chance("pair moving", 0.3, f"a moved address takes {seconds} s to lead there") else 0.0

    def _health(self, live: str, idle: str, *, deploys: bool) -> dict[str, Health]:
        likely = ("unhealthy", "unhealthy as production", "unhealthy as production", "unhealthy after the move",
                  "slow", "silent")  # fmt: skip
        health = dict[str, Health]()
        for key, what, share in (("idle", idle, 0.12), ("live", live, 0.06), ("release", NEW_RELEASE, 0.25)):
            how = self.one_of(f"pair health-{key}", likely)
            if (what != NEW_RELEASE or deploys) and self.chance(f"pair health-{key}", share, how):
                health[what] = how
        return health

    def _commands(self, pair: Mapping[str, Any]) -> dict[str, CommandResult]:
        steps = ["deploy"] if "deploy" in pair else []
        steps += [f"{moment}0" for moment in MOMENTS if moment in pair["hooks"]]
        results = {step: self.one_of(f"pair command-{step}", ("fails", "hangs", "is slow")) for step in steps}
        return {step: result for step, result in results.items() if self.chance(f"pair command-{step}", 0.3, result)}

    # Who does what.

    def _cutovers(self, pair: Mapping[str, Any]) -> list[Actor]:
        first = Start("cutover", "cutover-1", {}, Moment(0))
        asked = Start("cutover", "cutover-1", self._input("cutover-1", pair), Moment(0))
        actors: list[Actor] = [
            asked if self.share("actor cutover-1", 0.9 if "deploy" in pair else 0.4, asked) else first
        ]
        for name, share in (("cutover-2", 0.8), ("cutover-3", 0.1 * self._extent)):
            asked = Start("cutover", name, self._input(name, pair), self._soon(f"actor {name}"))
            if self.share(f"actor {name}", share, asked):
                actors.append(asked)
        key = "actor next"
        stale, seconds = self._schedule.number(f"{key}: stale") < 0.6, self.seconds(key, 0, 9)
        follows = Next("cutover-4", self._input("cutover-4", pair), "cutover-1", seconds, stale)
        return [*actors, follows] if self.share(key, NEXT, follows) else actors

    def _soon(self, key: str) -> Moment:
        """Mostly while the first cutover is at work."""
        close = self.at_a_call(key, "cutover-1")
        longest = self.weighted(key, ((6, None), (2, 20), (2, 150)))
        return close if longest is None else Moment(self.seconds(key, 0, longest))

    def _input(self, name: str, pair: Mapping[str, Any]) -> dict[str, Any]:
        live, idle = pair["servers"]
        releases = (30 if name == "cutover-1" else 6, {"release": NEW_RELEASE}) if "deploy" in pair else (0, {})
        checked = "releaseHeader" in pair["healthCheck"][0]
        expected = self.weighted(f"{name} expects", ((3, "1"), (2, NEW_RELEASE), (1, OTHER_RELEASE)))
        value: dict[str, Any] = self.weighted(
            name,
            (
                (6, {}), (3, {"serverName": idle}), (2, {"serverName": live}), (1, {"dryRun": True}),
                (6, {"rollback": True}), (2, {"serverName": idle, "emergency": True}),
                (1, {"serverName": live, "emergency": True}), (1, {"rollback": True, "dryRun": True}),
                (0.3, {"serverName": "nobody"}), releases, (3 if checked else 0, {"expectedRelease": expected}),
                (2 if checked else 0, {"expectedRelease": expected, "serverName": live}),
                (2 if checked else 0, {"expectedRelease": expected, "serverName": idle, "emergency": True}),
            ),
        )  # fmt: skip
        wait = self.weighted(f"{name} waits", ((6, 0), (2, 60), (1, 600)))
        return {**value, "waitSeconds": wait} if wait else value

    def _others(self, pair: Mapping[str, Any], live: str, idle: str) -> list[Actor]:
        on_servers = (NAMES[live], NAMES[idle])
        moves = [("production", "nowhere"), ("staging", "nowhere"), ("staging", "stranger"), ("production", "stranger"),
                 *(("production", each) for each in on_servers), *(("staging", each) for each in on_servers),
                 *(("third", each) for each in on_servers)]  # fmt: skip
        first = self.weighted("target", ((3, "cutover-1"), (1, "cutover-2")))
        lasts = self.one_of("outage lasts", (20, 100, 400))
        repair = f"{first}-repair-1"
        drift = self.weighted(
            "readiness", ((6, {}), (4, {"drift": "AssociateAddress was called."}), (1, {"pair": "none"}))
        )
        answers = self.weighted("answer", ((5, True), (2, False)))
        actors: list[tuple[str, float, Actor]] = [
            ("stop", 0.4 if self._releases else 0.3, Stop(first, self.at_a_call("stop", first))),
            (
                "stop-repair",
                0.1,
                Stop(repair, self.at_a_call("stop-repair", repair, (1, 12))),
            ),
            ("redrive", 0.3, Redrive(first, self.seconds("redrive", 0, 60))),
            ("redrive-repair", 0.03, Redrive(repair, self.seconds("redrive-repair", 0, 60))),
            ("outage", 0.15, self._outage("outage", OUTAGES, self.at_a_call("outage", first), lasts)),
            ("unlock", 0.08, Start("repair", "unlock-1", {"pair": PAIR}, self._soon("unlock"))),
            ("readiness", 0.2, Start("readiness", "readiness-1", {"pair": PAIR, **drift}, self._soon("readiness"))),
            ("answer", 0.8 if "approval" in pair else 0, Answer(answers, self.seconds("answer", 0, 100))),
        ]
        chosen = [actor for key, share, actor in actors if share and self.chance(f"actor {key}", share, actor)]
        begun = {each.name for each in chosen if isinstance(each, Start)}
        begun |= {repair for each in chosen if isinstance(each, Stop)}
        for execution, outages in ((repair, OF_A_REPAIR), ("readiness-1", OF_AN_EVALUATION)):
            key = f"outage of {execution}"
            soon = self.at_a_call(key, execution, (1, 5))  # it makes few calls
            outage = self._outage(key, outages, soon, lasts)
            if execution in begun and self.chance(f"actor {key}", 0.25, outage):
                chosen.append(outage)
        address, to = self.one_of("stranger", moves)
        move = Move(address, to, self.at_a_call("stranger", first))
        how, instance = self.one_of("instances", (("stop", live), ("stop", idle), ("stop", idle), ("terminate", live),
                                                  ("terminate", idle)))  # fmt: skip
        interrupt = Interrupt(instance, how, self.at_a_call("instances", first))
        chosen += [move] if self.share("actor stranger", 0.15, move) else []
        lost = self._lost(first, pair)
        chosen += [lost] if self.share("actor lost", LOST_HOOKS if pair["hooks"] else LOST, lost) else []
        chosen += self._interrupted(first, pair)
        race = self._race(first, NAMES[live], NAMES[idle])
        chosen += [race] if self.share("actor race", RACES, race) else []
        return chosen + ([interrupt] if self.share("actor instances", 0.05, interrupt) else [])

    def _outage(self, key: str, outages: Sequence[tuple[str, str]], when: Moment, lasts: float) -> Outage:
        action, how = self.one_of(key, outages)
        return Outage(action, how, when, lasts)

    def _lost(self, execution: str, pair: Mapping[str, Any]) -> Lost:
        commands = [("DeployRelease", None)] * 3 if "deploy" in pair else []
        commands += [(_state_of(moment), None) for moment in pair["hooks"]] * 4
        return Lost(execution, *self.one_of("lost", [*LOST_STATES, *commands]))

    def _interrupted(self, execution: str, pair: Mapping[str, Any]) -> list[Actor]:
        """Stopped in a certain state, and redriven when others may have had the pair."""
        states = [*INTERRUPTED, *(["Bake"] if pair["bakeSeconds"] else []), *map(_state_of, pair["hooks"])]
        stop = StopIn(execution, self.one_of("stop in", states), self.one_of("stop in: late", (0.0, 0.1, 2.0)))
        redrive = Redrive(execution, self.seconds("stop in: redrive", 0, 60))
        if not self.share("actor stop-in", STOPPED_IN, stop):
            return []
        return [stop, redrive] if self.share("actor stop-in redrive", 0.7, redrive) else [stop]

    def _race(self, execution: str, live: str, idle: str) -> Race:
        """The moments that matter: just before a change, where EC2 has no condition."""
        races: list[tuple[str, Literal["entered", "described"], Literal["production", "staging"], Any]] = [
            *[("ReassociateStaging", "described", "production", live)] * 3,  # type: ignore[list-item]
            ("RestoreStaging", "entered", "production", idle),
            ("RestoreStaging", "described", "production", idle), ("RepairStaging", "described", "production", idle),
            ("ReassociateStaging", "entered", "production", live),
            ("RestoreProduction", "entered", "production", "stranger"),
            ("ReassociateProduction", "entered", "production", "nowhere"),
            ("DisassociateStaging", "entered", "staging", live), ("ReassociateProduction", "entered", "staging", idle),
            ("ReassociateProduction", "entered", "production", "stranger"),
            ("DescribeRestored", "entered", "staging", "stranger"),
            ("DisassociateStaging", "entered", "production", "nowhere"),
            ("HealthCheckProduction", "entered", "production", live),
            ("DisassociateStaging", "entered", "staging", "stranger"), ("Preflight", "entered", "production", idle),
        ]  # fmt: skip
        return Race(execution, *self.one_of("race", races))

    def _deliveries(self) -> tuple[float, ...] | None:
        """When EventBridge delivers each change of a status."""
        late, later = self.seconds("events", 2, 60), self.seconds("events later", 2, 300)
        key, after = self.one_of("events", (("late", (later,)), ("twice", (late, later)), ("never", ())))
        return after if self.chance(f"actor events-{key}", 0.15, f"EventBridge delivers after {after} s") else None


def _state_of(moment: str) -> str:
    """The state that runs the hooks of a moment."""
    return f"{moment[0].upper()}{moment[1:]}"
