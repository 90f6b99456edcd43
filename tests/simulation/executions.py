"""Step Functions: starts, shows, stops and redrives executions, and takes the answers to task tokens. Each execution is
a task that runs the interpreter; the branches of a Parallel state are tasks, too."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulation.interpreter import ExecutionFailed, Interpreter, TaskCall, iso_8601
from tests.simulation.scheduler import Group, Scheduler, Timed
from tests.simulation.states import Machine
from tests.simulation.task_states import WorkflowCalls
from tests.simulation.world.errors import AwsError, NotModelled
from tests.simulation.world.machines import ACCOUNT, REGION

Record = Callable[["Execution", str, str, Any], None]
ARN = f"arn:aws:states:{REGION}:{ACCOUNT}"
RUNNING, SUCCEEDED, FAILED, ABORTED, TIMED_OUT = "RUNNING", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"


@dataclass(eq=False)
class Execution:
    """`history` has what happened, in order: what, when, in which state, and the output or the error."""

    machine: str
    name: str
    input: Any
    started: float
    group: Group
    status: str = RUNNING
    ended: float | None = None
    output: Any = None
    error: str | None = None
    cause: str | None = None
    redrives: int = 0
    history: list[tuple[str, float, str, Any]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"{ARN}:execution:{self.machine}:{self.name}"

    @property
    def outcome(self) -> str:
        """What it ended with; its status if it was interrupted, or still runs."""
        if self.status == SUCCEEDED:
            named = isinstance(self.output, dict) and self.output.get("outcome")
            return str(named or self.status)  # a mutation may leave it out
        return str(self.error) if self.status == FAILED else self.status

    @property
    def states(self) -> list[str]:
        return [state for what, _, state, _ in self.history if what == "entered"]

    def status_at(self, moment: float) -> str:
        return RUNNING if self.ended is not None and self.ended > moment else self.status

    def context(self) -> dict[str, Any]:
        return {
            "Id": self.arn, "Name": self.name, "Input": self.input, "StartTime": iso_8601(self.started),
            "RedriveCount": self.redrives,
        }  # fmt: skip


class Executions:
    """By ARN, in the order of their start. `on_change` is called when one starts, ends, or is redriven, and
    `on_record` when its history grows."""

    def __init__(self, scheduler: Scheduler, machines: Mapping[str, Machine], calls: WorkflowCalls) -> None:
        self._scheduler, self._machines, self._calls = scheduler, machines, calls
        self._runs: dict[str, _Run] = {}
        self.all: dict[str, Execution] = {}
        self.on_change: list[Callable[[Execution], None]] = []
        self.on_record: Record = lambda *_: None

    def start(self, machine: str, value: Any, name: str) -> Execution:
        group = self._scheduler.group(name)
        execution = Execution(machine, name, value, self._scheduler.now, group)
        if execution.arn in self.all:
            raise AwsError("ExecutionAlreadyExists", f"Execution Already Exists: '{execution.arn}'")
        self.all[execution.arn] = execution
        run = self._runs[execution.arn] = _Run(
            execution, self._machines[machine], self._scheduler, self._calls, self._changed, self._recorded
        )
        run.start()
        return execution

    def edges(self) -> set[tuple[str, str]]:
        """The ways of rules and catchers that were taken, with the workflow."""
        return {(self.all[arn].machine, edge) for arn, run in self._runs.items() for edge in run.edges}

    def _changed(self, execution: Execution) -> None:
        for each in self.on_change:
            each(execution)

    def _recorded(self, execution: Execution, what: str, state: str, more: Any) -> None:
        self.on_record(execution, what, state, more)

    def stop(self, arn: str) -> None:
        """At once. Functions and calls that are in flight go on."""
        execution = self._known(arn)
        if execution.status == RUNNING:
            self._runs[arn].end(ABORTED)

    def redrive(self, arn: str) -> None:
        """Goes on at the state that failed, or where the execution was stopped."""
        execution = self._known(arn)
        if execution.status not in (FAILED, ABORTED, TIMED_OUT):
            raise AwsError("ExecutionNotRedrivable", f"Execution '{arn}' is {execution.status}")
        self._runs[arn].redrive()

    def _known(self, arn: str, moment: float | None = None) -> Execution:
        execution = self.all.get(arn)
        if execution is None or (moment is not None and execution.started > moment):
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return execution

    def answer(self, action: str, parameters: Mapping[str, Any], *, as_of: float | None = None) -> dict[str, Any]:
        """As boto3's client of Step Functions."""
        if action == "DescribeExecution":
            return self._described(parameters["executionArn"], as_of)
        if action == "StopExecution":
            self.stop(parameters["executionArn"])
            return {"stopDate": _moment(self._scheduler.now)}
        if action == "SendTaskFailure":
            self._calls.tokens.fail(parameters["taskToken"], parameters.get("error"), parameters.get("cause"))
            return {}
        if action == "SendTaskSuccess":
            self._calls.tokens.succeed(parameters["taskToken"], json.loads(parameters["output"]))
            return {}
        raise NotModelled(f"Step Functions' {action}")

    def _described(self, arn: str, as_of: float | None) -> dict[str, Any]:
        moment = self._scheduler.now if as_of is None else as_of
        execution = self._known(arn, moment)
        status = execution.status_at(moment)
        shown = {
            "executionArn": arn, "stateMachineArn": f"{ARN}:stateMachine:{execution.machine}",
            "name": execution.name, "status": status, "startDate": _moment(execution.started),
            "input": json.dumps(execution.input), "redriveCount": execution.redrives,
        }  # fmt: skip
        if status == RUNNING or execution.ended is None:
            return shown
        ends = {"stopDate": _moment(execution.ended), "error": execution.error, "cause": execution.cause}
        ends["output"] = json.dumps(execution.output) if status == SUCCEEDED else None
        return shown | {key: value for key, value in ends.items() if value is not None}


class _Run:
    """An execution at work: what its interpreter finds outside."""

    def __init__(
        self,
        execution: Execution,
        machine: Machine,
        scheduler: Scheduler,
        calls: WorkflowCalls,
        changed: Callable[[Execution], None],
        recorded: Record,
    ) -> None:
        self._execution, self._machine, self._scheduler = execution, machine, scheduler
        self._calls, self._changed, self._recorded = calls, changed, recorded
        self._interpreter = Interpreter(machine, self)
        self._timeout: Timed | None = None

    @property
    def edges(self) -> set[str]:
        return self._interpreter.edges

    def start(self) -> None:
        self._drive(self._interpreter.run)

    def redrive(self) -> None:
        execution, scheduler = self._execution, self._scheduler
        group = scheduler.group(execution.name)
        group.numbers = execution.group.numbers
        execution.group, execution.status, execution.ended = group, RUNNING, None
        execution.error = execution.cause = None
        execution.redrives += 1
        self._drive(self._interpreter.resume)

    def _drive(self, drive: Callable[[Mapping[str, Any]], Any]) -> None:
        execution = self._execution
        group = execution.group
        self._changed(execution)
        self._scheduler.spawn(execution.name, lambda: self._run(drive), group=group)
        if self._machine.timeout_seconds:
            self._timeout = self._scheduler.at(self._machine.timeout_seconds, lambda: self.end(TIMED_OUT))

    def _run(self, drive: Callable[[Mapping[str, Any]], Any]) -> None:
        try:
            self._execution.output = drive(self._execution.context())
            self._end(SUCCEEDED)
        except ExecutionFailed as failure:
            self._execution.error, self._execution.cause = failure.error, failure.cause
            self._end(FAILED)
        except Exception as mistake:  # in the scheduler's greenlet, it ends the run
            self._scheduler.crash = mistake

    def end(self, status: str) -> None:
        """By a stop, or by the execution's timeout."""
        self._end(status)
        self._execution.group.kill()

    def _end(self, status: str) -> None:
        execution = self._execution
        execution.status, execution.ended = status, self._scheduler.now
        if self._timeout:
            self._timeout.cancel()
        self._scheduler.note(execution.name, " ".join(filter(None, ("ended", status, execution.error))))
        self._changed(execution)

    # What the interpreter asks for.

    def now(self) -> float:
        return self._scheduler.now

    def pause(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)

    def jitter(self, state: str, longest: float) -> float:
        number = self._execution.group.number(f"jitter of {state}")
        return self._scheduler.schedule.number(f"{self._execution.name}/{state}/jitter.{number}") * longest

    def task(self, call: TaskCall) -> Any:
        number = self._execution.group.number(call.state)
        return self._calls.make(f"{self._execution.name}/{call.state}.{number}", call)

    def together(self, branches: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        tasks = [self._scheduler.spawn(f"{self._execution.name}/{name}", run) for name, run in branches]
        while True:
            failed = next((task for task in tasks if task.done and task.error()), None)
            if failed:
                for task in tasks:
                    task.kill()
                return [failed.result()]  # raises
            left = [task for task in tasks if not task.done]
            if not left:
                return [task.result() for task in tasks]
            self._scheduler.join_any(left)

    def entered(self, state: str) -> None:
        self._record("entered", state, None)

    def exited(self, state: str, output: Any, _assigned: Mapping[str, Any]) -> None:
        self._record("passed", state, output)

    def failed(self, state: str, error: str | None, cause: str | None) -> None:
        self._record("failed", state, (error, cause))

    def _record(self, what: str, state: str, more: Any) -> None:
        self._execution.history.append((what, self._scheduler.now, state, more))
        self._recorded(self._execution, what, state, more)
        self._scheduler.note(
            self._execution.name, f"{what} {state}: {more[0]}" if what == "failed" else f"{what} {state}"
        )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
