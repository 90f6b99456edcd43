"""Runs tasks in one thread, under a virtual clock: each is a greenlet that runs until it waits or calls AWS. Who runs
next follows from the times that the schedule has drawn, and of two that are due at one time, the first to ask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.fates import Call, Fate
from tests.simulation.schedule import Schedule
from tests.simulation.world.errors import AwsError

START = 1_790_000_000.0  # in September 2026; any time will do, but it is always the same


class NoAnswer(Exception):
    """The caller has given up, or its connection has ended: it does not know whether the call takes effect."""

    def __init__(self, *, closed: bool) -> None:
        super().__init__("the connection was closed" if closed else "no answer within the timeout")
        self.closed = closed


class Killed(Exception):
    """A task that was killed has no result."""


class Group:
    """Tasks that die together: a function in its sandbox, an execution, an actor. `environment` is what its code sees
    as environment variables; `numbers` counts its calls by operation."""

    def __init__(self, scheduler: "Scheduler", path: str, environment: dict[str, str] | None = None) -> None:
        self.path, self.environment, self.dead = path, environment, False
        self.numbers: dict[str, int] = {}
        self.tasks: list[Task] = []
        self._scheduler = scheduler

    def number(self, operation: str) -> int:
        """Counts the calls of an operation."""
        number = self.numbers[operation] = self.numbers.get(operation, 0) + 1
        return number

    def kill(self) -> None:
        """From now on, none of its tasks does anything. What they have sent takes effect."""
        if self.dead:
            return
        self.dead = True
        running = self._scheduler.running
        for task in self.tasks:
            if task is not running:
                task.kill()
        if running is not None and running.group is self:
            running.kill()


class Task:
    """Something that runs beside others. `name` is for people."""

    __slots__ = ("_error", "_greenlet", "_joining", "_result", "_run", "_scheduler", "_started", "_ticket", "dead",
                 "done", "group", "name")  # fmt: skip

    def __init__(self, scheduler: "Scheduler", name: str, run: Callable[[], Any], group: Group) -> None:
        self.name, self.group, self.done, self.dead = name, group, False, False
        self._scheduler, self._run = scheduler, run
        self._result: Any = None
        self._error: BaseException | None = None
        self._joining: list[Task] = []
        self._ticket = 0  # of its present wait: what wakes it up from an earlier one comes too late
        self._started = False
        self._greenlet = greenlet(self._body, scheduler.hub)

    def _body(self, _woken: bool) -> None:
        try:
            self._result = self._run()
        except GreenletExit:
            self.dead = True
        except BaseException as error:  # `result` raises it
            self._error = error
        self._end()

    def _end(self) -> None:
        self.done = True
        for task in self._joining:
            self._scheduler.wake(task)

    def result(self) -> Any:
        """What it returned; raises what it raised, and Killed."""
        if self._error is not None:
            raise self._error
        if self.dead or not self.done:
            raise Killed(self.name)
        return self._result

    def error(self) -> BaseException | None:
        return self._error

    def join(self, seconds: float | None = None) -> bool:
        """Waits for its end; whether it has ended within so many seconds."""
        if not self.done:
            self._scheduler.join_any([self], seconds)
        return self.done

    def kill(self) -> None:
        """It does nothing more, except that its `finally` blocks run, in which every call and wait ends at once."""
        if not self.done and not self.dead:
            self.dead = True
            if self._scheduler.running is self:
                raise GreenletExit
            self._scheduler.at(0, self._unwind)

    def _unwind(self) -> None:
        if self.done:
            return
        self._ticket += 1
        scheduler = self._scheduler
        scheduler.running = self
        self._greenlet.throw(GreenletExit)
        scheduler.running = None
        if not self.done:  # it had not begun
            self._end()


@dataclass(slots=True)
class Timed:
    """An action that is due at some time."""

    action: Callable[[], None] | None

    def cancel(self) -> None:
        self.action = None


@dataclass(slots=True)
class _Answer:
    """What a call's effect has returned or raised, once it took effect."""

    given: bool = False
    result: Any = None
    error: AwsError | None = None


class Scheduler:
    """`now` is in seconds since the epoch. `notes`, if it is a list, gets what happens, for a story. `before_call` may
    let the task wait that is about to call."""

    def __init__(self, schedule: Schedule, *, now: float = START) -> None:
        self.schedule, self.now = schedule, now
        self.running: Task | None = None
        self.hub = getcurrent()
        self.notes: list[tuple[float, str, str]] | None = None
        self.calls = 0
        self._due: list[tuple[float, int, Task | Timed, int, bool]] = []
        self.crash: BaseException | None = None  # a broken guarantee, or a mistake of the simulation: it ends the run
        self.after_step: Callable[[], None] = lambda: None
        self.before_call: Callable[[Call], None] = lambda _: None
        self._order = 0
        self._groups: list[Group] = []

    @property
    def current(self) -> Task:
        assert self.running is not None, "only a task can wait or call"
        return self.running

    def note(self, key: str, text: str) -> None:
        if self.notes is not None:
            self.notes.append((self.now, key, text))

    def group(self, path: str, environment: dict[str, str] | None = None) -> Group:
        group = Group(self, path, environment)
        self._groups.append(group)
        return group

    def spawn(self, name: str, run: Callable[[], Any], *, after: float = 0.0, group: Group | None = None) -> Task:
        """A task that begins `after` so many seconds, in the group of the running task unless in another."""
        if group is None:
            if self.current.dead:
                raise GreenletExit
            group = self.current.group
        task = Task(self, name, run, group)
        group.tasks.append(task)
        self._push(after, task, 0, woken=True)
        return task

    def at(self, seconds: float, action: Callable[[], None]) -> Timed:
        """Calls the action in so many seconds. It may neither wait nor call."""
        timed = Timed(action)
        self._push(seconds, timed, 0, woken=False)
        return timed

    def _push(self, seconds: float, what: Task | Timed, ticket: int, *, woken: bool) -> None:
        self._order += 1
        heappush(self._due, (self.now + seconds if seconds > 0 else self.now, self._order, what, ticket, woken))

    def wake(self, task: Task) -> None:
        """Ends the present wait of a task."""
        self._push(0, task, task._ticket, woken=True)

    def suspend(self, seconds: float | None) -> bool:
        """The running task waits until it is woken, at most so many seconds; whether it was woken."""
        task = self.current
        if task.dead:
            raise GreenletExit
        if seconds is not None:
            self._push(seconds, task, task._ticket, woken=False)
        woken: bool = self.hub.switch()
        return woken

    def join_any(self, tasks: Sequence[Task], seconds: float | None = None) -> None:
        """Waits until one of these tasks has ended, none of which has yet, or the time is over."""
        current = self.current
        for task in tasks:
            task._joining.append(current)
        self.suspend(seconds)
        for task in tasks:
            task._joining.remove(current)

    def sleep(self, seconds: float) -> None:
        self.suspend(max(seconds, 0))

    def call(self, call: Call, effect: Callable[[Call, Fate], Any]) -> Any:
        """Calls AWS. What happens is up to the schedule; `effect` runs at one instant, and others run before and after.
        Returns what it returns. Raises AwsError and NoAnswer."""
        task = self.current
        if task.dead:
            raise GreenletExit
        self.before_call(call)
        fate = self.schedule.fate(call)
        self.calls += 1
        if self.notes is not None:
            self.note(call.key, fate.kind)
        if fate.death == "before":
            task.group.kill()
        if fate.death == "hangs":
            self.suspend(None)
        answer = _Answer()
        if fate.effect is not None:
            self.at(fate.effect, lambda: self._take_effect(effect, call, fate, answer, task.group))
        self.suspend(call.patience if fate.answer is None else fate.answer)
        if fate.error:
            raise fate.error
        if fate.closed or fate.answer is None:
            raise NoAnswer(closed=fate.closed)
        if answer.error:
            raise answer.error
        assert answer.given, "an answer comes after the effect"
        return answer.result

    @staticmethod
    def _take_effect(
        effect: Callable[[Call, Fate], Any], call: Call, fate: Fate, answer: _Answer, group: Group
    ) -> None:
        answer.given = True
        try:
            answer.result = effect(call, fate)
        except AwsError as error:
            answer.error = error
        if fate.death == "after":
            group.kill()

    def run(self, *, until: float) -> None:
        """Until nothing is left to do, or the virtual time is over. What is left then does nothing more."""
        due = self._due
        while due and due[0][0] <= until:
            at, _, what, ticket, woken = heappop(due)
            if isinstance(what, Timed):
                if what.action:
                    self.now = at
                    what.action()
                    self.after_step()
            elif what._ticket == ticket and not what.dead:
                self.now = at
                what._ticket += 1
                self.running = what
                what._greenlet.switch(woken)
                self.running = None
                self.after_step()
            if self.crash:
                raise self.crash

    def close(self) -> None:
        """Ends what is left, so that nothing of this run happens in the next one."""
        self.crash, self.after_step = None, lambda: None
        for group in self._groups:
            group.kill()
        self.run(until=self.now)
