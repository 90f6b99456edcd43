"""The compared ways to cut over, each in its own process, as people run them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import environment
from local.aws import LocalAws
from local.child_process import ChildProcess

HERE = Path(__file__).resolve().parent
KILLED = 128 + 9
LONGEST_SECONDS = 180


@dataclass(frozen=True)
class Ended:
    """A cutover that has ended: from when to when (`time.monotonic`), its outcome, and its executions.

    A script has no execution. The workflow has an execution and, if it was stopped, a second execution for the repair.
    """

    began: float
    ended: float
    outcome: str
    executions: tuple[str, ...] = ()


class WhenProductionMoves:
    """Does something once, after EC2 has moved production and before EC2 answers the caller."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._act: Callable[[], object] | None = None
        self._holder: str | None = None
        aws.ec2.on_change(self._changed)

    @contextmanager
    def do(self, act: Callable[[], object] | None) -> Iterator[None]:
        self._holder, self._act = self._aws.holder("production"), act
        yield
        self._act = None

    def _changed(self) -> None:
        if self._act and self._aws.holder("production") != self._holder:
            act, self._act = self._act, None
            act()


@dataclass(frozen=True)
class Method:
    """`name` is the heading of a column. `run` cuts over; with `stopped`, only until production has moved."""

    name: str
    run: Callable[[LocalAws, WhenProductionMoves, bool], Ended]


def _script(command: list[str | Path]) -> Callable[[LocalAws, WhenProductionMoves, bool], Ended]:
    def run(aws: LocalAws, moment: WhenProductionMoves, stopped: bool) -> Ended:
        ids = [aws.addresses[role].allocation_id for role in ("production", "staging")]
        began = time.monotonic()
        with process(aws.environment, [*command, *ids]) as running, moment.do(running.kill if stopped else None):
            running.stdout.read()
            status = running.wait()
        outcome = {0: "ended", KILLED: "killed"}.get(status, f"exit status {status}")
        return Ended(began, time.monotonic(), outcome)

    return run


def _workflow(aws: LocalAws, moment: WhenProductionMoves, stopped: bool) -> Ended:
    name = f"bench-{uuid.uuid4()}"
    execution = f"{aws.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    states = aws.client("stepfunctions")

    def stop() -> None:
        states.stop_execution(executionArn=execution)

    began = time.monotonic()
    command: list[str | Path] = [sys.executable, HERE / "workflow.py", aws.state_machine_arn, name]
    with process(aws.environment, command) as running, moment.do(stop if stopped else None):
        executions = tuple(running.stdout.read().decode().split())
        running.wait()
    ended = time.monotonic()
    return Ended(began, ended, ", then ".join(_outcome(aws, each) for each in executions), executions)


def _outcome(aws: LocalAws, execution: str) -> str:
    ended = aws.look(execution)
    return str(ended.output["outcome"] if ended.output else ended.error or ended.status)


@contextmanager
def process(
    client_environment: Mapping[str, str], command: list[str | Path], *, longest_seconds: float = LONGEST_SECONDS
) -> Iterator[ChildProcess]:
    """A command. It is killed after `longest_seconds`, which closes its output."""
    variables = environment.of_this_machine() | dict(client_environment)
    with ChildProcess(command, env=variables, stdout=subprocess.PIPE) as running:
        too_long = threading.Timer(longest_seconds, running.kill)
        too_long.start()
        try:
            yield running
        finally:
            too_long.cancel()


SCRIPT = Method("script", _script([sys.executable, HERE / "classic.py"]))
CLI = Method("CLI", _script(["sh", HERE / "classic.sh"]))
WORKFLOW = Method("workflow", _workflow)
METHODS = (SCRIPT, CLI, WORKFLOW)
