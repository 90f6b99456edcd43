"""Lambda: runs the real handlers as tasks, each in a group of its own, which dies at the function's timeout."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from tests.simulation.scheduler import Scheduler, Task, Timed
from tests.simulation.synthesized import ConfiguredFunction

GAP_SECONDS = 0.2  # MeasureGap takes more time than all else, and changes nothing but its own attribute
OPTIONS: Mapping[str, Mapping[str, Any]] = {"measure_gap": {"seconds": GAP_SECONDS}}
Handler = Callable[..., Any]
EXIT, TIMED_OUT = "Runtime.ExitError", "Sandbox.Timedout"


class FunctionFailed(Exception):
    """As Lambda reports it: the type of the error, and its payload in JSON."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(error, message)
        self.error = error
        self.payload = json.dumps({"errorMessage": message, "errorType": error, "requestId": "simulated"})


@dataclass(eq=False)
class Invocation:
    """A function that was called. It ends by itself, by its timeout, or because it dies."""

    task: Task
    timeout_seconds: float
    timed_out: bool = False
    ends: Timed | None = None

    def begin(self, run: Callable[[], Any], scheduler: Scheduler) -> Any:
        self.ends = scheduler.at(self.timeout_seconds, self._time_out)
        try:
            return run()
        finally:
            self.ends.cancel()

    def _time_out(self) -> None:
        self.timed_out = True
        self.task.group.kill()

    def answer(self) -> Any:
        """What the function returned, in JSON. Raises FunctionFailed."""
        if self.timed_out:
            raise FunctionFailed(
                TIMED_OUT, f"RequestId: simulated Error: Task timed out after {self.timeout_seconds:.2f} seconds"
            )
        if self.task.dead:
            raise FunctionFailed(EXIT, "RequestId: simulated Error: Runtime exited with error: signal: killed")
        error = self.task.error()
        if error is not None:
            raise FunctionFailed(type(error).__name__, str(error)) from error
        return json.loads(json.dumps(self.task.result()))


@cache
def handler_of(module: str) -> Handler:
    handler: Handler = importlib.import_module(module).handler
    return handler


class Functions:
    """`environment` are variables of every function, beside those that the template gives it. `handler` finds the
    handler of a module."""

    def __init__(
        self,
        scheduler: Scheduler,
        configured: Mapping[str, ConfiguredFunction],
        environment: Mapping[str, str],
        *,
        handler: Callable[[str], Handler] = handler_of,
    ) -> None:
        self._scheduler, self._configured, self._environment = scheduler, configured, environment
        # Their import takes real time, and makes clients.
        self._handlers = {name: handler(each.module) for name, each in configured.items()}

    def invoke(self, path: str, name: str, event: Any, *, after: float) -> Invocation:
        """Starts a function in so many seconds. `path` names the invocation."""
        function = self._configured[name]
        group = self._scheduler.group(path, {**self._environment, **function.environment})
        run = partial(self._handlers[name], event, _context(name), **OPTIONS.get(function.module, {}))
        task = self._scheduler.spawn(path, lambda: self._run(invocation, run), after=after, group=group)
        invocation = Invocation(task, function.timeout_seconds)
        return invocation

    def _run(self, invocation: Invocation, run: Callable[[], Any]) -> Any:
        answer = invocation.begin(run, self._scheduler)
        for task in invocation.task.group.tasks[1:]:  # Lambda freezes what still runs
            task.kill()
        return answer


def _context(name: str) -> SimpleNamespace:
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    request_id = "00000000-0000-0000-0000-000000000000"
    return SimpleNamespace(
        function_name=name, memory_limit_in_mb=512, invoked_function_arn=arn, aws_request_id=request_id
    )
