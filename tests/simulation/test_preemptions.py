"""An execution stands still before a call until another one has made its own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation.fates import Call, Fate
from tests.simulation.preemptions import LONGEST_SECONDS, Preemptions
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Scheduler


class Outside:
    """Two executions that make three calls each, and the order in which these take effect."""

    def __init__(self, until: dict[str, str]) -> None:
        self.scheduler = Scheduler(Schedule(0, only=frozenset()))
        self.on_effect: list[Callable[[Call], None]] = []
        self.order: list[str] = []
        Preemptions(self, until)
        for name, after in (("first", 0), ("second", 10)):
            group = self.scheduler.group(name)
            self.scheduler.spawn(name, partial(self.execute, name), after=after, group=group)
        self.scheduler.run(until=START + 1000)

    def execute(self, name: str) -> None:
        for number in (1, 2, 3):
            self.scheduler.call(Call(name, "ec2", "AssociateAddress", number, "function", 5.0), self.answer)

    def answer(self, call: Call, _fate: Fate) -> Any:
        self.order.append(f"{call.path} {call.number}")
        for each in self.on_effect:
            each(call)


def key(name: str, number: int) -> str:
    return f"{name}/ec2 AssociateAddress.{number}"


def test_without_preemptions_the_first_to_start_is_the_first_to_end() -> None:
    assert Outside({}).order == ["first 1", "first 2", "first 3", "second 1", "second 2", "second 3"]


def test_the_first_goes_on_where_the_second_has_got_to() -> None:
    until = {key("first", 2): key("second", 2), key("second", 3): key("first", 3)}

    assert Outside(until).order == ["first 1", "second 1", "second 2", "first 2", "first 3", "second 3"]


def test_nobody_waits_for_ever() -> None:
    outside = Outside({key("first", 2): "no such call"})

    assert outside.order == ["first 1", "second 1", "second 2", "second 3", "first 2", "first 3"]
    assert outside.scheduler.now - START > LONGEST_SECONDS
