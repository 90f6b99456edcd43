"""The agents on the servers: they fetch the commands, run them, and end them.

Nothing here waits: what should have happened to a command by now happens, in its order, when someone asks (`settle`).

Sources: Systems Manager User Guide, "Understanding command statuses" and "Handling reboots when running commands"; the
source code of the agent (amazon-ssm-agent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from local.systems_manager_runs import Result, Run

Agent = Literal["online", "missing", "silent", "lost", "down", "deaf"]
"""`missing`: not registered. `silent`: fetches no commands. `lost`: Systems Manager has lost the connection. `down`: it
went down, with what it ran. `deaf`: it does not do what CancelCommand asks for."""

KILLED = 137
REBOOTS = 194
NOT_RUN = -1
PROCESS_GONE = (
    "document process failed unexpectedly: document worker timed out , check [ssm-document-worker]/[ssm-session-worker]"
    " log for crash reason"
)
Step = tuple[float, Callable[[float], None]]


@dataclass(eq=False)
class Command:
    """A command and what has become of it. Times are seconds as of `time.time`; `run` is None before and after it runs.
    `starts` is more than 1 if the server was rebooted by the exit code 194."""

    id: str
    document_name: str
    document_version: str
    instance_id: str
    step: str
    script: str
    working_directory: str
    parameters: dict[str, str]
    given: Mapping[str, Any]
    comment: str
    sent: float
    timeout_seconds: int
    delivery_seconds: int
    status: str = "Pending"
    details: str = "Pending"
    began: float | None = None
    ended: float | None = None
    result: Result = field(default_factory=lambda: Result(NOT_RUN))
    starts: int = 0
    asked: int = 0
    cancelled: float | None = None
    reboots: float | None = None
    run: Run | None = None


Runner = Callable[[Command, float], Run]
"""Runs a command that the agent fetched at that time."""


class Agents:
    """`state_of` says the state of an instance, None if there is none; `runner` runs a command on its server.

    An agent fetches a command after `fetch_seconds`, and kills a cancelled one after `cancel_seconds`. `manner` says
    what the agent on an instance does.
    """

    def __init__(
        self,
        state_of: Callable[[str], str | None],
        runner: Runner,
        *,
        now: Callable[[], float],
        rebooted: Callable[[str], None],
    ) -> None:
        self._state_of, self._runner, self._rebooted = state_of, runner, rebooted
        self.now = now
        self.fetch_seconds, self.cancel_seconds, self.reboot_seconds = 0.1, 0.5, 5
        self.manner: dict[str, Agent] = {}

    def has(self, instance_id: str) -> bool:
        """Whether commands may be sent there."""
        return self._state_of(instance_id) == "running" and self.manner.get(instance_id) != "missing"

    def settle(self, commands: Iterable[Command]) -> None:
        for command in commands:
            while command.ended is None and self._goes_on(command):
                pass

    def cancel(self, command: Command) -> None:
        if command.ended is None and command.began is None:
            self._over(command, self.now(), "Cancelled", "Cancelled")
        elif command.ended is None:
            command.status = command.details = "Cancelling"
            command.cancelled = command.cancelled or self.now()

    def _agent(self, instance_id: str) -> Agent:
        return self.manner.get(instance_id, "online") if self._state_of(instance_id) == "running" else "down"

    def _goes_on(self, command: Command) -> bool:
        """The next thing that should have happened to it by now happens. Returns whether something did."""
        steps = self._steps_of_running(command) if command.run else self._steps_of_waiting(command)
        at, happen = min(steps, key=lambda step: step[0])
        if at > self.now():
            return False
        happen(at)
        return True

    def _steps_of_waiting(self, command: Command) -> list[Step]:
        """It has not been fetched, or its server went down."""
        agent = self._agent(command.instance_id)
        delivered_by = command.sent + command.delivery_seconds
        if command.reboots is not None:
            return [(command.reboots, lambda at: self._begin(command, at))]
        if command.began is not None:
            expires = delivered_by + command.timeout_seconds
            steps = [(expires, lambda at: self._over(command, at, "TimedOut", "DeliveryTimedOut"))]
            if agent in ("online", "deaf"):
                gone = Result(1, errors=PROCESS_GONE)
                steps.append((self.now(), lambda at: self._over(command, at, "Failed", "Failed", gone)))
            return steps
        steps = [(delivered_by, lambda at: self._over(command, at, "TimedOut", "DeliveryTimedOut"))]
        fetched = command.sent + self.fetch_seconds
        if agent in ("online", "deaf"):
            steps.append((fetched, lambda at: self._begin(command, at)))
        elif agent == "lost" or self._state_of(command.instance_id) in ("shutting-down", "terminated", None):
            steps.append((fetched, lambda at: self._over(command, at, "Failed", "Undeliverable")))
        return steps

    def _steps_of_running(self, command: Command) -> list[Step]:
        assert command.run is not None  # noqa: S101  # asked before
        assert command.began is not None  # noqa: S101
        agent, killed = self._agent(command.instance_id), Result(KILLED)
        if agent == "down":
            return [(self.now(), lambda _at: self._interrupt(command))]
        last = command.began + command.timeout_seconds
        steps = [(last, lambda at: self._over(command, at, "TimedOut", "ExecutionTimedOut", killed))]
        if end := command.run.end():
            steps.append((end[0], lambda at: self._ends(command, at, end[1])))
        if command.cancelled is not None and agent != "deaf":
            stopped = command.cancelled + self.cancel_seconds
            steps.append((stopped, lambda at: self._over(command, at, "Cancelled", "Cancelled", killed)))
        return steps

    def _begin(self, command: Command, at: float) -> None:
        command.began, command.reboots = command.began or at, None
        command.starts += 1
        command.status, command.details = "InProgress", "InProgress"
        command.run = self._runner(command, at)

    def _interrupt(self, command: Command) -> None:
        if command.run:
            command.run.kill()
        command.run = None

    def _ends(self, command: Command, at: float, result: Result) -> None:
        if result.exit_code == REBOOTS:
            self._interrupt(command)
            self._rebooted(command.instance_id)
            command.reboots = at + self.reboot_seconds
            return
        status = "Success" if result.exit_code == 0 else "Failed"
        if result.exit_code:
            result = Result(result.exit_code, result.output, _failure(result))
        self._over(command, at, status, status, result)

    def _over(self, command: Command, at: float, status: str, details: str, result: Result | None = None) -> None:
        # A run that ended by itself may have left daemons, which live on.
        if command.run and status not in ("Success", "Failed"):
            command.run.kill()
        command.ended, command.status, command.details = at, status, details
        command.result = result or command.result


def _failure(result: Result) -> str:
    """The standard error as the agent reports it."""
    return f"{result.errors}failed to run commands: exit status {result.exit_code}"
