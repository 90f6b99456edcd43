"""Every order of two executions, as far as they meet: with so many preemptions at calls to what both share, and with so
many faults, each of every kind at every call. An order is a list of decisions, found by running those without them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from tests.simulation.actors import Actors
from tests.simulation.author import scenario_of
from tests.simulation.executions import ABORTED, Execution
from tests.simulation.fates import KINDS, Call, Fate
from tests.simulation.one_run import Finished, run
from tests.simulation.play import FAULTS_SECONDS
from tests.simulation.preemptions import Preemptions
from tests.simulation.scenario import NAMES, TAO, Moment, Oddities, Scenario, Stop
from tests.simulation.schedule import Schedule
from tests.simulation.settling import settle
from tests.simulation.simulation import Simulation
from tests.simulation.synthesized import CUTOVER, REPAIR

SEED = 0  # for how long calls take
GIVES_WAY = "gives way"
SHARED = {
    ("ec2", "DescribeAddresses"), ("ec2", "AssociateAddress"), ("ec2", "DisassociateAddress"),
    ("dynamodb", "GetItem"), ("dynamodb", "UpdateItem"), ("dynamodb", "Scan"),
    ("sfn", "DescribeExecution"),
}  # fmt: skip
STOPPED = "stopped"
AFTER_PRODUCTION = 22  # of the stopped execution's calls: production has moved, and staging has not yet


class Decision(NamedTuple):
    """Before the call of this key, its execution gives way; or the call has a fate of this kind."""

    key: str
    kind: str

    @property
    def is_preemption(self) -> bool:
        return self.kind == GIVES_WAY


Order = tuple[Decision, ...]


class Bound(NamedTuple):
    preemptions: int
    faults: int

    def allows(self, order: Sequence[Decision]) -> bool:
        preemptions = sum(each.is_preemption for each in order)
        return preemptions <= self.preemptions and len(order) - preemptions <= self.faults


@dataclass(frozen=True)
class Beginning:
    """An execution and its input. A repair is of an execution that was stopped before."""

    name: str
    machine: str
    input: Mapping[str, Any]


CUTS_OVER = Beginning("cutover-1", CUTOVER, {})
CUTS_OVER_TOO = Beginning("cutover-2", CUTOVER, {})
GOES_BACK = Beginning("rollback-1", CUTOVER, {"rollback": True})
REPAIRS = Beginning("repair-1", REPAIR, {})
# The first begins, and the other one when that gives way or has ended.
PAIRINGS: Mapping[str, tuple[Beginning, Beginning]] = {
    "cutover-cutover": (CUTS_OVER, CUTS_OVER_TOO),
    "cutover-rollback": (CUTS_OVER, GOES_BACK),
    "rollback-cutover": (GOES_BACK, CUTS_OVER),
    "repair-cutover": (REPAIRS, CUTS_OVER),
    "cutover-repair": (CUTS_OVER, REPAIRS),
}


class _Traced(Schedule):
    """Nothing deviates but what is forced. `open` are the decisions that there were to make, in order."""

    def __init__(self, forced: Mapping[str, str]) -> None:
        super().__init__(SEED, only=frozenset(), forced=forced)
        self.open: list[Decision] = []

    def fate(self, call: Call) -> Fate:
        if self.faults:
            self.open += [Decision(call.key, kind) for kind, each in KINDS.items() if each.applies(call)]
        return super().fate(call)


def run_order(
    pairing: str, order: Sequence[Decision], watch: Callable[[Simulation, Scenario], object] = lambda *_: None
) -> tuple[Finished, list[Decision]]:
    """The run, and the decisions that there were to make in it."""
    schedule = _Traced({each.key: each.kind for each in order if not each.is_preemption})
    before = [each.key for each in order if each.is_preemption]
    return run(schedule, partial(_play, PAIRINGS[pairing], before), watch=watch), schedule.open


def _play(
    pairing: tuple[Beginning, Beginning], before: Sequence[str], schedule: _Traced,
    *, watch: Callable[[Simulation, Scenario], object],
) -> None:  # fmt: skip
    scenario = replace(scenario_of(schedule), oddities=Oddities(has_record=True, rollback_to=NAMES[TAO]))
    if REPAIRS in pairing:
        stop = Stop(STOPPED, Moment(0.0, STOPPED, AFTER_PRODUCTION))
        scenario = replace(scenario, actors=[stop], delivered_after=())
    else:
        scenario = replace(scenario, actors=[])
    with Simulation(schedule, scenario.pairs) as simulation:
        watch(simulation, scenario)
        Actors(simulation, scenario).begin()
        begin = partial(_Both, simulation, pairing, schedule, before)
        if REPAIRS in pairing:
            _after_a_stop(simulation, begin)
        else:
            begin()
        simulation.run(FAULTS_SECONDS)
        settle(simulation, replace(scenario, delivered_after=None))


def _after_a_stop(simulation: Simulation, begin: Callable[[], Any]) -> None:
    """What the stopped execution's function has begun goes on beside the two."""

    def changed(execution: Execution) -> None:
        if execution.name == STOPPED and execution.status == ABORTED:
            simulation.delivered_after = None
            simulation.scheduler.at(0, begin)

    simulation.executions.on_change.append(changed)
    simulation.executions.start(CUTOVER, {}, STOPPED)


class _Both:
    """The two executions of a pairing, and where the one that runs could give way."""

    def __init__(
        self, simulation: Simulation, pairing: tuple[Beginning, Beginning], schedule: _Traced, before: Sequence[str]
    ) -> None:
        first, second = pairing
        self._executions, self._open = simulation.executions, schedule.open
        names = first.name, second.name
        schedule.open.clear()
        self._preemptions = Preemptions(simulation, names, partial(self._begin, second), before)
        self._gives_way = simulation.scheduler.before_call
        simulation.scheduler.before_call = self._called
        self._begin(first)

    def _begin(self, beginning: Beginning) -> None:
        given = beginning.input
        if beginning is REPAIRS:
            stopped = next(arn for arn, each in self._executions.all.items() if each.name == STOPPED)
            given = {"execution": stopped, "status": ABORTED}
        self._executions.start(beginning.machine, dict(given), beginning.name)

    def _called(self, call: Call) -> None:
        rehearses = isinstance(call.parameters, Mapping) and call.parameters.get("DryRun")
        if (call.service, call.action) in SHARED and not rehearses and self._preemptions.may_give_way(call):
            self._open.append(Decision(call.key, GIVES_WAY))
        self._gives_way(call)


def orders(pairing: str, bound: Bound, order: Order = (), position: int = 0) -> Iterator[tuple[Order, Finished]]:
    """This order, and each that begins with its decisions and goes on with those after this position."""
    finished, decisions = run_order(pairing, order)
    yield order, finished
    for number, decision in enumerate(decisions[position:], position + 1):
        longer = (*order, decision)
        if bound.allows(longer):
            yield from orders(pairing, bound, longer, number)


def first_decisions(pairing: str, bound: Bound) -> list[tuple[Order, int]]:
    """What can be searched side by side: the orders of at most a single decision, and where to go on."""
    _, decisions = run_order(pairing, ())
    return [((each,), number) for number, each in enumerate(decisions, 1) if bound.allows((each,))]


def counted(order: Order) -> str:
    kinds = Counter(each.is_preemption for each in order)
    return f"{kinds[True]} preemptions, {kinds[False]} faults"
