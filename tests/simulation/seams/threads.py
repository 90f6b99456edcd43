"""`threading` and `concurrent.futures` on greenlets, as far as the handlers use them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from tests.simulation.scheduler import Task
from tests.simulation.seams.present import present
from tests.simulation.world.errors import NotModelled

Result = TypeVar("Result")


class Event:
    """As `threading.Event`."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            scheduler = present().scheduler
            for task in waiting:
                scheduler.wake(task)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        if self._is_set:
            return True
        scheduler = present().scheduler
        task = scheduler.current
        self._waiting.append(task)
        woken = scheduler.suspend(timeout)
        if not woken and task in self._waiting:
            self._waiting.remove(task)
        return woken or self._is_set


class Thread:
    """As `threading.Thread`. It dies with the function that has started it."""

    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self._target, self.name, self._args, self._kwargs = target, name or "thread", tuple(args), kwargs or {}
        self.daemon = daemon
        self._task: Task | None = None

    def run(self) -> None:
        if self._target:
            self._target(*self._args, **self._kwargs)

    def start(self) -> None:
        self._task = present().scheduler.spawn(self.name, self.run)

    def join(self, timeout: float | None = None) -> None:
        if self._task is None:
            raise RuntimeError("cannot join thread before it is started")
        self._task.join(timeout)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done


class Timer:
    """As `threading.Timer`, for a function that neither waits nor calls."""

    def __init__(self, interval: float, function: Callable[[], object]) -> None:
        self._interval, self._function = interval, function

    def start(self) -> None:
        scheduler = present().scheduler
        self._group = scheduler.current.group
        self._timed = scheduler.at(self._interval, self._fire)

    def _fire(self) -> None:
        if not self._group.dead:
            self._function()

    def cancel(self) -> None:
        self._timed.cancel()


class BoundedSemaphore:
    """As `threading.BoundedSemaphore`, never waited for."""

    def __init__(self, value: int = 1) -> None:
        self._free = self._most = value

    def acquire(self, *, blocking: bool = True) -> bool:
        if self._free == 0:
            if blocking:
                raise NotModelled("a semaphore that a thread waits for")
            return False
        self._free -= 1
        return True

    def release(self) -> None:
        if self._free == self._most:
            raise ValueError("Semaphore released too many times")
        self._free += 1


class Future(Generic[Result]):
    """As `concurrent.futures.Future`."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def done(self) -> bool:
        return self.task.done

    def result(self) -> Result:
        self.task.join()
        result: Result = self.task.result()
        return result

    def exception(self) -> BaseException | None:
        self.task.join()
        return self.task.error()


class ThreadPoolExecutor:
    """As `concurrent.futures.ThreadPoolExecutor`, for callers that never submit more than there are workers."""

    def __init__(self, max_workers: int) -> None:
        self._tasks: list[Task] = []

    def __enter__(self) -> "ThreadPoolExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            task.join()

    def submit(self, call: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        task = present().scheduler.spawn("worker", lambda: call(*args, **kwargs))
        self._tasks.append(task)
        return Future(task)


def as_completed(futures: Iterable[Future[Result]]) -> Iterator[Future[Result]]:
    """Of two that are done at one time, the earlier in the list comes first."""
    left = list(futures)
    while left:
        done = [future for future in left if future.done()]
        if not done:
            present().scheduler.join_any([future.task for future in left])
            continue
        left = [future for future in left if future not in done]
        yield from done
