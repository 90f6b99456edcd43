"""An interpreter of the Amazon States Language, as far as the three workflows use it: JSONata only, synchronous.

Time, tasks, waiting and the branches of a Parallel state come from `Surroundings`. Source: the Amazon States Language
specification; Step Functions Developer Guide, "Handling errors" and "Redriving executions".
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from tests.simulation.expressions import QueryFailed, Scope, Template
from tests.simulation.states import (
    Choice,
    Fail,
    Handled,
    Machine,
    Parallel,
    Pass,
    Retrier,
    State,
    Task,
    Wait,
    Way,
)

LIMIT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class TaskCall:
    """One try of a Task state. `token` is given if the task waits for one."""

    resource: str
    arguments: Any
    state: str
    retry_count: int
    timeout_seconds: float
    token: str | None
    execution: Mapping[str, Any]


class TaskFailed(Exception):
    """A try of a task failed, with an error as Step Functions names it."""

    def __init__(self, error: str, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class ExecutionFailed(Exception):
    """The execution, or the branch, ended with this error."""

    def __init__(self, error: str | None, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class Surroundings(Protocol):
    """What is outside of a definition. A stop is an exception that is no `Exception`, raised by any of these."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def pause(self, seconds: float) -> None:
        """Returns after so many seconds: of a Wait state, or before a retry."""

    def jitter(self, state: str, longest: float) -> float:
        """The seconds before a retry whose strategy is FULL: from 0 to `longest`."""

    def task(self, call: TaskCall) -> Any:
        """The result of a task in JSON, which nobody changes later; raises TaskFailed."""

    def together(self, branches: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        """The results of all branches, in order. The first that raises ExecutionFailed ends the others, and is
        raised. The name of a branch is that of its first state."""

    def entered(self, state: str) -> None: ...

    def exited(self, state: str, output: Any, assigned: Mapping[str, Any]) -> None:
        """A state is left for the next one, also after an error that was caught."""

    def failed(self, state: str, error: str | None, cause: str | None) -> None:
        """A state failed, and is not tried again. Its Catch may follow."""


@dataclass(slots=True)
class Position:
    """Where an execution or a branch is: `state` is None at its end, where `input` is the output."""

    state: str | None
    input: Any
    variables: dict[str, Any]
    branches: list["Position"] = field(default_factory=list)


class _StateFailed(Exception):
    def __init__(self, error: str, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


class Interpreter:
    """Runs one execution of a machine at a time."""

    def __init__(self, definition: Machine | Mapping[str, Any], surroundings: Surroundings) -> None:
        """To prepare a definition takes longer than to run it: prepare a Machine once, and give it to many."""
        self.machine = definition if isinstance(definition, Machine) else Machine(definition)
        self.surroundings = surroundings
        self.position = Position(None, None, {})
        self.edges: set[str] = set()  # the ways of rules and catchers that were taken
        self._execution: Mapping[str, Any] = {}
        self._tokens = 0

    def run(self, execution: Mapping[str, Any]) -> Any:
        """The output. `execution` is the context's: Id, Name, Input, StartTime and RedriveCount, which is 0."""
        self._tokens = 0
        self.position = Position(self.machine.start, execution["Input"], {})
        return self.resume(execution)

    def resume(self, execution: Mapping[str, Any]) -> Any:
        """The output of an execution that was stopped or has failed, redriven from the state where it was. Of a
        Parallel state, only those branches run that did not succeed."""
        self._execution = {"RedriveCount": 0, **execution}
        return self._drive(self.machine, self.position)

    def _drive(self, machine: Machine, position: Position) -> Any:
        while position.state is not None:
            _Visit(self, machine.states[position.state], position).run()
        return position.input

    def new_token(self, state: str) -> str:
        self._tokens += 1
        return f"token {self._tokens} of {state} of {self._execution['Id']}"


class _Visit:
    """A state from its entry to its end."""

    def __init__(self, interpreter: Interpreter, state: State, position: Position) -> None:
        self._interpreter, self._state, self._position = interpreter, state, position
        self._surroundings = interpreter.surroundings
        at = iso_8601(self._surroundings.now())
        self._surroundings.entered(state.name)
        execution = interpreter._execution
        machine = str(execution["Id"]).split(":")
        self._of_state: dict[str, Any] = {"Name": state.name, "EnteredTime": at}
        self._context: dict[str, Any] = {
            "Execution": execution,
            "State": self._of_state,
            "StateMachine": {"Name": machine[-2], "Id": ":".join([*machine[:5], "stateMachine", machine[-2]])},
        }
        self._states: dict[str, Any] = {"input": position.input, "context": self._context}
        self._scope = Scope(position.variables, self._states, lambda: round(self._surroundings.now() * 1000))
        self._retries: dict[int, int] = {}

    def run(self) -> None:
        try:
            if isinstance(self._state, Handled):
                self._of_state["RetryCount"] = 0
                while not self._tried(self._state):
                    pass
            else:
                self._simply(self._state)
        except (_StateFailed, QueryFailed) as failure:
            error, cause = _named(failure)
            self._surroundings.failed(self._state.name, error, cause)
            raise ExecutionFailed(error, cause) from failure

    def _simply(self, state: State) -> None:
        match state:
            case Choice():
                self._leave(next((rule.way for rule in state.rules if self._holds(rule.condition)), state.way))
            case Wait():
                self._surroundings.pause(self._waiting(state))
                self._leave(state.way)
            case Pass():
                self._leave(state.way)
            case Fail():
                error, cause = (each and each(self._scope) for each in (state.error, state.cause))
                self._surroundings.failed(state.name, error, cause)
                raise ExecutionFailed(error, cause)

    def _holds(self, condition: Template) -> bool:
        value = condition(self._scope)
        if not isinstance(value, bool):
            raise QueryFailed(f"The condition of a rule of {self._state.name} is {value!r}, which is not a boolean.")
        return value

    def _waiting(self, state: Wait) -> float:
        if state.timestamp:
            until = datetime.fromisoformat(state.timestamp(self._scope)).timestamp()
            return max(0.0, until - self._surroundings.now())
        seconds = state.seconds(self._scope) if state.seconds else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise QueryFailed(f"The seconds of {state.name} are {seconds!r}, which is no time.")
        return seconds

    def _tried(self, state: Handled) -> bool:
        """Whether the state is left after one more try; the pause before the next one is over."""
        try:
            self._states["result"] = self._within_limit(self._performed(state))
            self._leave(state.way)
        except (_StateFailed, QueryFailed) as failure:
            error, cause = _named(failure)
            self._states.pop("result", None)
            if self._may_retry(state, error):
                return False
            catcher = next((each for each in state.catch if each.errors.include(error)), None)
            if not catcher:
                raise
            self._surroundings.failed(state.name, error, cause)
            self._states["errorOutput"] = caught = {"Error": error, "Cause": "" if cause is None else cause}
            self._leave(catcher.way, caught)
        return True

    def _may_retry(self, state: Handled, error: str) -> bool:
        nth = next((nth for nth, each in enumerate(state.retry) if each.errors.include(error)), None)
        if nth is None:
            return False
        retrier, retry = state.retry[nth], self._retries.get(nth, 0) + 1
        if retry > retrier.attempts:
            return False
        self._retries[nth] = retry
        self._surroundings.pause(self._delay(retrier, retry))
        self._of_state["RetryCount"] += 1
        self._position.branches = []
        return True

    def _delay(self, retrier: Retrier, retry: int) -> float:
        longest = retrier.delay(retry)
        return self._surroundings.jitter(self._state.name, longest) if retrier.jitter else longest

    def _performed(self, state: Handled) -> Any:
        match state:
            case Task():
                return self._task(state)
            case Parallel():
                return self._parallel(state)

    def _task(self, state: Task) -> Any:
        token = None
        if state.waits_for_token:
            token = self._interpreter.new_token(state.name)
            self._context["Task"] = {"Token": token}
        arguments, timeout = self._within_limit(state.arguments(self._scope)), state.timeout(self._scope)
        retries, execution = self._of_state["RetryCount"], self._interpreter._execution
        call = TaskCall(state.resource, arguments, state.name, retries, timeout, token, execution)
        try:
            return self._surroundings.task(call)
        except TaskFailed as failure:
            raise _StateFailed(failure.error, failure.cause) from failure

    def _parallel(self, state: Parallel) -> list[Any]:
        """A branch sees the variables from before; its own are lost when it ends."""
        position, drive = self._position, self._interpreter._drive
        if not position.branches:
            position.branches = [
                Position(each.start, position.input, dict(position.variables)) for each in state.branches
            ]
        branches = zip(state.branches, position.branches, strict=True)
        try:
            return self._surroundings.together(
                [(machine.start, partial(drive, machine, branch)) for machine, branch in branches]
            )
        except ExecutionFailed as failure:
            raise _StateFailed(failure.error or "", failure.cause) from failure

    def _leave(self, way: Way, output: Any = None) -> None:
        """To the next state. `Assign` and `Output` see the values from before."""
        assigned = way.assign(self._scope) if way.assign else {}
        if way.output:
            output = self._within_limit(way.output(self._scope))
        elif output is None:
            output = self._states.get("result", self._position.input)
        if way.edge:
            self._interpreter.edges.add(way.edge)
        position = self._position
        position.state, position.input, position.branches = way.to, output, []
        position.variables.update(assigned)
        self._surroundings.exited(self._state.name, output, assigned)

    def _within_limit(self, value: Any) -> Any:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode("utf-8", "surrogatepass")) > LIMIT_BYTES:
            cause = f"The state/task '{self._state.name}' has arguments or a result of more than {LIMIT_BYTES} bytes."
            raise _StateFailed("States.DataLimitExceeded", cause)
        return value


def _named(failure: _StateFailed | QueryFailed) -> tuple[str, str | None]:
    if isinstance(failure, _StateFailed):
        return failure.error, failure.cause
    return "States.QueryEvaluationError", str(failure)


def iso_8601(seconds: float) -> str:
    """As Step Functions writes times."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
