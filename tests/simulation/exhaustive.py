"""Every order of two executions, with up to so many preemptions and one fault: not at random, but completely.

A preemption holds an execution before one of its calls, until the other one has made one of its own. Which calls there
are is known from the run itself: first the other execution goes on to its end, then only to each of its calls in turn.
Only calls that touch what both share are worth it; between two others, the order makes no difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tests.simulation.fates import KINDS, Call, Fate
from tests.simulation.one_run import Finished, run
from tests.simulation.preemptions import Preemptions
from tests.simulation.scenario import Actor, Moment, Start, Stop, scenario_of
from tests.simulation.schedule import Schedule

SEED = 0  # of the usual latencies
NEVER = "never"  # no call has this key: the other execution goes on to its end
SHARED = {
    "DescribeAddresses", "AssociateAddress", "DisassociateAddress",
    "GetItem", "UpdateItem", "Scan", "DescribeExecution",
}  # fmt: skip
BOTH = tuple(Start("cutover", f"cutover-{number}", {}, Moment(0)) for number in (1, 2))
BACK = Start("cutover", "cutover-2", {"rollback": True}, Moment(0))
STOPPED_AT_CALL = 20  # both addresses are being moved
BESIDE = Start("cutover", "cutover-2", {}, Moment(0, "cutover-1", STOPPED_AT_CALL))
Preempted = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """Two executions, by name, and who starts them."""

    name: str
    executions: tuple[str, str]
    actors: Sequence[Actor]


CASES = (
    Case("two cutovers", ("cutover-1", "cutover-2"), BOTH),
    Case("a cutover and a rollback", ("cutover-1", "cutover-2"), (BOTH[0], BACK)),
    Case("a cutover and the repair of another", ("cutover-2", "cutover-1-repair-1"),
         (BOTH[0], Stop("cutover-1", Moment(0, "cutover-1", STOPPED_AT_CALL)), BESIDE)),
)  # fmt: skip


@dataclass(frozen=True)
class Bound:
    preemptions: int
    faults: int


@dataclass(frozen=True)
class Order:
    """One of the orders: who is held where, and what deviates. `calls` are those that were made, in order."""

    case: Case
    until: Preempted
    fault: Mapping[str, str]
    calls: Sequence[Call]
    finished: Finished

    def __str__(self) -> str:
        held = [f"{call} waits for {until}" for call, until in self.until]
        return "; ".join((self.case.name, *held, *(f"{key}: {kind}" for key, kind in self.fault.items())))


Part = Callable[[], Iterator[Order]]


def orders(case: Case, bound: Bound) -> Iterator[Order]:
    """All of them, each run once."""
    for part in parts(case, bound):
        yield from part()


def parts(case: Case, bound: Bound) -> Iterator[Part]:
    """The orders in parts, which processes can share."""
    return _parts(_run(case, (), {}), bound)


def _parts(order: Order, bound: Bound) -> Iterator[Part]:
    """It, with a fault, and with more preemptions."""
    yield lambda: iter((order,))
    if bound.faults:
        yield partial(_with_a_fault, order)
    if len(order.until) < bound.preemptions:
        for held, other in _turns(order):
            yield partial(_preempted, order, held, other, bound)


def _with_a_fault(order: Order) -> Iterator[Order]:
    for call in order.calls:
        for name, kind in KINDS.items():
            if kind.applies(call):
                yield _run(order.case, order.until, {call.key: name})


def _turns(order: Order) -> Iterator[tuple[Call, str]]:
    """Which call may be held now, and who goes on. Whoever was held last is the next that goes on."""
    after = _last(order)
    for call in order.calls[after:]:
        name = call.path.partition("/")[0]
        if call.action in SHARED and name in order.case.executions and name not in _held_last(order):
            (other,) = set(order.case.executions) - {name}
            yield call, other


def _held_last(order: Order) -> tuple[str, ...]:
    return (order.until[-1][0].partition("/")[0],) if order.until else ()


def _last(order: Order) -> int:
    """The number of calls until the last preemption was over."""
    keys = [call.key for call in order.calls]
    return keys.index(order.until[-1][1]) + 1 if order.until and order.until[-1][1] in keys else 0


def _preempted(order: Order, held: Call, other: str, bound: Bound) -> Iterator[Order]:
    alone = _run(order.case, (*order.until, (held.key, NEVER)), {})
    yield alone
    keys = [call.key for call in order.calls]
    before = set(keys[: keys.index(held.key)])
    for call in alone.calls:
        goes_on = call.path.partition("/")[0] == other and call.key not in before
        if goes_on and call.action in SHARED:
            for part in _parts(_run(order.case, (*order.until, (held.key, call.key)), {}), bound):
                yield from part()


class _Recording(Schedule):
    """Keeps the calls that are made as long as there are faults."""

    def __init__(self, fault: Mapping[str, str]) -> None:
        super().__init__(SEED, only=frozenset(), forced=fault)
        self.calls: list[Call] = []

    def fate(self, call: Call) -> Fate:
        if self.faults:
            self.calls.append(call)
        return super().fate(call)


def _run(case: Case, until: Preempted, fault: Mapping[str, str]) -> Order:
    schedule = _Recording(fault)
    scenario = replace(scenario_of(schedule), actors=case.actors)
    finished = run(schedule, scenario=scenario, begins=lambda simulation: Preemptions(simulation, dict(until)))
    return Order(case, until, fault, schedule.calls, finished)
