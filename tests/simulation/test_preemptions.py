"""Of two executions, one runs at a time, until it is to give way or has ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.executions import RUNNING, SUCCEEDED, Execution
from tests.simulation.fates import Call, Fate
from tests.simulation.preemptions import LONGEST_SECONDS, Preemptions
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Scheduler


@dataclass
class Executions:
    on_change: list[Callable[[Execution], None]] = field(default_factory=list)


class Outside:
    """Two executions that make three calls each, and the order in which these take effect. `waits` waits for the other
    before its second call, if that is at work."""

    def __init__(self, before: Sequence[str], *, waits: str | None = None) -> None:
        self.scheduler, self.executions = Scheduler(Schedule(0, only=frozenset())), Executions()
        self.order: list[str] = []
        self.done: set[str] = set()
        self._waits = waits
        Preemptions(self, ("first", "second"), lambda: self.begin("second"), before)  # type: ignore[arg-type]
        self.begin("first")
        self.scheduler.run(until=START + 1000)

    def begin(self, name: str) -> None:
        group = self.scheduler.group(name)
        execution = Execution("machine", name, {}, self.scheduler.now, group, RUNNING)
        self.scheduler.spawn(name, lambda: self.execute(execution), group=group)

    def execute(self, execution: Execution) -> None:
        for number in (1, 2, 3):
            while number == 2 and execution.name == self._waits and "first" not in self.done:
                self.scheduler.sleep(1)
            self.scheduler.call(Call(execution.name, "ec2", "AssociateAddress", number, "function", 5.0), self.answer)
        execution.status = SUCCEEDED
        self.done.add(execution.name)
        for each in self.executions.on_change:
            each(execution)

    def answer(self, call: Call, _fate: Fate) -> Any:
        self.order.append(f"{call.path} {call.number}")


def key(name: str, number: int) -> str:
    return f"{name}/ec2 AssociateAddress.{number}"


def test_without_preemptions_the_first_to_start_is_the_first_to_end() -> None:
    assert Outside([]).order == ["first 1", "first 2", "first 3", "second 1", "second 2", "second 3"]


def test_with_one_preemption_the_other_one_runs_to_its_end() -> None:
    assert Outside([key("first", 2)]).order == ["first 1", "second 1", "second 2", "second 3", "first 2", "first 3"]


def test_with_two_preemptions_each_goes_on_where_it_stood_still() -> None:
    order = Outside([key("first", 2), key("second", 3)]).order

    assert order == ["first 1", "second 1", "second 2", "first 2", "first 3", "second 3"]


def test_nobody_stands_still_while_the_other_one_waits_for_its_end() -> None:
    outside = Outside([key("first", 2)], waits="second")

    assert outside.order == ["first 1", "second 1", "first 2", "first 3", "second 2", "second 3"]
    assert outside.scheduler.now - START > LONGEST_SECONDS
