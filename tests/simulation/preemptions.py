"""Who runs next, if it is not up to time: of two executions, one runs at a time, until it is to stand still before a
call, or has ended. Then the other one runs. So a list of calls is an order of both."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from tests.simulation.executions import RUNNING, Execution, Executions
from tests.simulation.fates import Call
from tests.simulation.scheduler import Scheduler, Task

# Longer than a cutover takes, and shorter than any function's timeout: who stands still does not fail because of that.
# Then both run, so that one of them may wait for the other.
LONGEST_SECONDS = 8.0


class Run(Protocol):
    scheduler: Scheduler
    executions: Executions


class Preemptions:
    """`names` are of the two executions. The first has begun; `begin` begins the other one, when its turn comes first.
    `before` are the keys of the calls before which the execution that makes them gives way."""

    def __init__(self, run: Run, names: tuple[str, str], begin: Callable[[], Any], before: Sequence[str]) -> None:
        self._scheduler = run.scheduler
        self._turn, self._other = names
        self._begin: Callable[[], Any] | None = begin
        self._before = list(before)
        self._held: list[Task] = []
        self._number = 0  # of the turn
        run.scheduler.before_call = self._called
        run.executions.on_change.append(self._changed)

    def may_give_way(self, call: Call) -> bool:
        """Whether its execution runs, and the other one does not because of that."""
        return bool(self._other) and _name(call) == self._turn

    def _called(self, call: Call) -> None:
        if self._before and call.key == self._before[0] and self.may_give_way(call):
            self._before.pop(0)
            self._scheduler.note(call.key, f"stands still while {self._other} runs")
            self._give_way()
        if _name(call) == self._other:
            task = self._scheduler.current
            self._held.append(task)
            self._scheduler.suspend(None)

    def _give_way(self) -> None:
        self._turn, self._other = self._other, self._turn
        self._number += 1
        self._scheduler.at(LONGEST_SECONDS, partial(self._both_run, self._number))
        self._go_on()
        if self._begin:
            begin, self._begin = self._begin, None
            self._scheduler.at(0, begin)

    def _go_on(self) -> None:
        held, self._held = self._held, []
        for task in held:
            self._scheduler.wake(task)

    def _both_run(self, number: int) -> None:
        if number == self._number:
            self._other = ""
            self._go_on()

    def _changed(self, execution: Execution) -> None:
        """What an execution leaves behind, such as a function that still runs, gives way to nobody."""
        if execution.status == RUNNING:
            return
        if execution.name == self._turn:
            self._give_way()
        if execution.name == self._other:
            self._other = ""


def _name(call: Call) -> str:
    return call.path.partition("/")[0]
