"""Who runs next, if it is not up to time: an execution stands still before a call until another one has made one of its
own. With every pair of calls in turn, this is every order of two executions with so many preemptions."""

from collections.abc import Callable, Mapping
from typing import Protocol

from tests.simulation.fates import Call
from tests.simulation.scheduler import Scheduler, Task

# Any process may stand still for some time. A function that stands still longer than its timeout is killed.
LONGEST_SECONDS = 60.0


class Run(Protocol):
    scheduler: Scheduler
    on_effect: list[Callable[[Call], None]]


class Preemptions:
    """`until` has, by the key of a call, the key of the call that is to take effect before it is made."""

    def __init__(self, run: Run, until: Mapping[str, str]) -> None:
        self._scheduler, self._until = run.scheduler, until
        self._in_effect: set[str] = set()
        self._held: dict[str, Task] = {}
        run.scheduler.before_call = self._hold
        run.on_effect.append(self._release)

    def _hold(self, call: Call) -> None:
        until = self._until.get(call.key)
        if until is None or until in self._in_effect:
            return
        self._scheduler.note(call.key, f"waits for {until}")
        self._held[until] = self._scheduler.current
        self._scheduler.suspend(LONGEST_SECONDS)
        self._held.pop(until, None)

    def _release(self, call: Call) -> None:
        self._in_effect.add(call.key)
        task = self._held.pop(call.key, None)
        if task:
            self._scheduler.wake(task)
