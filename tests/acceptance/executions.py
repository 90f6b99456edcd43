"""Executions of a stack's workflows, as an outsider starts, follows and stops them.

Whatever AWS says late is asked again: an execution is not known at once, histories lag, functions start cold. So a test
waits with `until`, and never for a fixed time.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.progress import Progress

# Several threads ask at the same time, and may be throttled: adaptive mode then slows all of them down.
RETRIES: Any = {"mode": "adaptive", "total_max_attempts": 12}
CONFIG = Config(retries=RETRIES, connect_timeout=10, read_timeout=65, max_pool_connections=40)
# A step of a workflow, a command, a function that starts cold: on AWS, seconds. An execution: at most minutes.
PATIENCE_SECONDS, EXECUTION_SECONDS = 180, 600
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.1, 5.0, 1.3
SAY_SECONDS = 20
# DescribeExecution and GetExecutionHistory are eventually consistent: API reference of Step Functions.
UNSEEN_SECONDS = 30
AT_ONCE = 8

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Execution:
    """An execution as DescribeExecution shows it. `output` is parsed; None unless the execution succeeded."""

    arn: str
    status: str
    input: Any
    output: Any
    error: str | None
    cause: str

    @property
    def outcome(self) -> str:
        """One word of the contract: the outcome, the error, or the status of what ended without either."""
        return str((self.output or {}).get("outcome") or self.error or self.status)


def until(
    value: Callable[[], T | None],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    say: Callable[[str], None] | None = None,
    say_seconds: float = SAY_SECONDS,
) -> T:
    """The value as soon as it is true, asked with growing pauses. Raises TimeoutError with `what` was awaited.

    Every `say_seconds`, a line says what is awaited, and until when: by `say`, or else by the progress of the suite.
    """
    say = say or (Progress.of_the_suite.step if Progress.of_the_suite else None)
    began, pause, lines = time.monotonic(), FIRST_PAUSE, 0
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    while not (result := value()):
        passed = time.monotonic() - began
        if passed > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        if say and passed >= say_seconds * (lines + 1):
            lines = int(passed / say_seconds)
            say(f"has waited {passed:.0f} s, and waits until {end:%H:%M:%S} at most: {what}")
        time.sleep(min(pause, max(0.0, seconds - passed)))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
    return result


class Clients:
    """boto3 clients of one session, each made once."""

    def __init__(self, session: boto3.Session) -> None:
        self._client: Callable[[str], Any] = cache(lambda service: session.client(service, config=CONFIG))
        self.region = str(session.region_name)

    def __call__(self, service: str) -> Any:
        return self._client(service)


class Executions:
    """The executions of one stack's workflows that concern the pair `name`."""

    def __init__(self, clients: Clients, progress: Progress, *, name: str, state_machine_arn: str) -> None:
        self.client, self.region, self.progress = clients, clients.region, progress
        self.name, self.state_machine_arn = name, state_machine_arn
        self.repair_arn, self.readiness_arn = (f"{state_machine_arn}-{other}" for other in ("repair", "readiness"))

    def start(self, request: object, *, machine: str | None = None) -> str:
        """Start an execution of the workflow, or of `machine`, with this input. Returns its ARN."""
        text, name = json.dumps(request), f"acceptance-{uuid4()}"
        machine = machine or self.state_machine_arn
        arn = self.client("stepfunctions").start_execution(stateMachineArn=machine, name=name, input=text)
        workflow = machine.rpartition(":")[2]
        self.progress.step(f"{_short(arn['executionArn'])} of {workflow} starts with {text[:300]}")
        return str(arn["executionArn"])

    def look(self, arn: str) -> Execution:
        """The execution as it is now."""
        described = until(lambda: self._described(arn), f"Step Functions knows {arn}", seconds=UNSEEN_SECONDS)
        succeeded = described["status"] == "SUCCEEDED"
        return Execution(
            arn,
            described["status"],
            json.loads(described["input"]),
            json.loads(described["output"]) if succeeded else None,
            described.get("error"),
            described.get("cause", ""),
        )

    def _described(self, arn: str) -> Json | None:
        try:
            return dict(self.client("stepfunctions").describe_execution(executionArn=arn))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
                raise
            return None

    def wait(
        self, arn: str, *, seconds: float = EXECUTION_SECONDS, given_up: Callable[[], bool] = lambda: False
    ) -> Execution:
        """The execution once it has ended. Raises TimeoutError, or InterruptedError once the wait is given up."""

        def ended() -> Execution | None:
            if given_up():
                raise InterruptedError(arn)
            if (execution := self.look(arn)).status != "RUNNING":
                return execution
            self.meanwhile(arn)
            return None

        execution = until(ended, f"the end of {arn}", seconds=seconds)
        cause = f": {execution.cause.splitlines()[0][:200]}" if execution.cause else ""
        self.progress.step(f"{_short(arn)} ends {execution.outcome}{cause}")
        return execution

    def meanwhile(self, arn: str) -> None:
        """What `wait` does again and again while an execution runs."""

    def execute(self, request: object, *, machine: str | None = None) -> Execution:
        """Start an execution and wait for its end."""
        return self.wait(self.start(request, machine=machine))

    def execute_all(self, requests: Iterable[object]) -> list[Execution]:
        """Start executions at the same time, and wait for the end of all of them. In the order of the requests."""
        interrupted = threading.Event()

        def execute(request: object) -> Execution:
            return self.wait(self.start(request), given_up=interrupted.is_set)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                return list(pool.map(execute, requests))
            except BaseException:
                interrupted.set()  # the pool waits for its threads
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def stop(self, arn: str) -> None:
        self.progress.step(f"{_short(arn)} is stopped")
        self.client("stepfunctions").stop_execution(executionArn=arn)

    def history(self, arn: str) -> list[Json]:
        """All events of an execution that Step Functions shows so far, in order."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def entered(self, arn: str) -> list[str]:
        """The names of the states that an execution has entered so far, in order."""
        details = (event.get("stateEnteredEventDetails") for event in self.history(arn))
        return [each["name"] for each in details if each]

    def await_state(self, arn: str, state: str) -> None:
        """Return when an execution has entered a state. Raises AssertionError if it ends before."""

        def has_entered() -> bool:
            ended = self.look(arn).status != "RUNNING"
            entered = self.entered(arn)
            assert state in entered or not ended, f"{arn} ended without {state}: {self.look(arn)}"
            return state in entered

        until(has_entered, f"{arn} enters {state}")
        self.progress.step(f"{_short(arn)} has entered {state}")

    def running(self) -> list[str]:
        """The ARNs of running executions of this pair, repairs included."""
        states, arns = self.client("stepfunctions"), []
        for machine in (self.state_machine_arn, self.repair_arn):
            pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
            arns += [each["executionArn"] for page in pages for each in page["executions"]]
        return [arn for arn in arns if self._may_concern(self.look(arn).input)]

    def _may_concern(self, request: Any) -> bool:
        return not isinstance(request, dict) or request.get("pair", self.name) == self.name


def _short(arn: str) -> str:
    """The part of an execution's name by which a person tells executions apart."""
    return arn.rpartition(":")[2].removeprefix("acceptance-")[:8]
