"""A deployment whose execution is stopped, or asked to roll back: nobody runs a command beside its command."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.systems_manager_agents import Command
from local.systems_manager_runs import HANGS, Result
from tests.workflow.account import Aws, Execution
from tests.workflow.deployments import (
    DEPLOY,
    MOMENTS,
    around,
    at,
    configure,
    deploying,
    dies,
    one_after_the_other,
    quietly,
    refused,
)
from tests.workflow.engine import stopping_before
from tests.workflow.web import Web

SEVEN = {"release": "7"}
NEXT: dict[str, tuple[Callable[[Aws, str], Execution], str]] = {
    "another": (lambda aws, _arn: aws.execute(SEVEN), "CUT_OVER"),
    "the repair": (lambda aws, arn: aws.repair(arn), "REPAIRED"),
    "a rollback": (lambda aws, _arn: aws.execute({"rollback": True}), "PreflightFailed"),
}
# Which moments of a stopped execution are followed by what; the function goes on after the stop, or dies then.
STOPS = [
    *((moment, "another", lives) for moment in MOMENTS for lives in (True, False)),
    *((moment, "the repair", True) for moment in MOMENTS),
    *((moment, "a rollback", False) for moment in ("after it was sent", "while it runs")),
]


class Stopped:
    """Stops executions. `zombies` are calls of their function that Lambda still runs; `first` is the ARN of the first
    execution, whose command hangs if `hangs`."""

    def __init__(self, aws: Aws, web: Web) -> None:
        self.aws, self.web, self.zombies, self.first, self.hangs = aws, web, list[threading.Thread](), "", True
        self.configure(timeout_seconds=800)

    def configure(self, *, timeout_seconds: int) -> None:
        configure(self.aws, self.web, deploy={**DEPLOY, "timeoutSeconds": timeout_seconds})
        deploy = deploying(self.web)

        def run(command: Command) -> Result:
            result = deploy(command)
            return HANGS if self.hangs and command.parameters["Execution"] in (self.first, "") else result

        self.aws.systems_manager.runs(run, step="deploy")

    def at(self, moment: str, *, lives: bool = True, goes_on: threading.Event | None = None) -> str:
        """The ARN of an execution that was stopped at a moment of its deployment. Its function then goes on, or waits
        for an event before that, or dies."""
        reached, stopped = threading.Event(), threading.Event()
        self.hangs = " end " not in moment

        def pause(**_: Any) -> None:
            reached.set()
            stopped.wait(30)
            if goes_on:
                goes_on.wait(30)
            if not lives:
                dies()

        def stop(_count: int, run: Callable[[], Any]) -> Any:
            self.zombies.append(threading.Thread(target=quietly(run)))
            self.zombies[-1].start()
            assert reached.wait(30)
            self.aws.until(lambda: bool(self.first))
            self.aws.sfn.stop_execution(executionArn=self.first)
            stopped.set()
            return {"moment": "deploy", "commands": [], "warnings": []}  # which nobody reads

        with at(act=pause, **MOMENTS[moment]), around("DeployRelease", stop):
            self.first = self.aws.start(SEVEN)
            self.aws.until(lambda: self.aws.status(self.first) == "ABORTED")
        return self.first


@pytest.fixture
def stops(aws: Aws, web: Web) -> Iterator[Stopped]:
    stopped = Stopped(aws, web)
    yield stopped
    for zombie in stopped.zombies:
        zombie.join(30)
        assert not zombie.is_alive()
    assert one_after_the_other(aws)


@pytest.fixture
def taken_over(aws: Aws) -> Iterator[list[bool]]:
    """At each takeover of the lock: whether no command ran, and none was on its way."""
    seen: list[bool] = []

    def take_over() -> None:
        seen.append(one_after_the_other(aws))

    with aws.just_before("dynamodb", "UpdateItem", take_over, containing="interrupted = "):
        yield seen


@pytest.mark.parametrize(("moment", "following", "lives"), STOPS)
def test_what_follows_a_stopped_execution_waits_for_the_end_of_its_command(
    aws: Aws, stops: Stopped, taken_over: list[bool], moment: str, following: str, lives: bool
) -> None:
    arn = stops.at(moment, lives=lives)
    follow, outcome = NEXT[following]
    ended = follow(aws, arn)
    assert ended.outcome == outcome, ended
    assert taken_over[-1]
    assert one_after_the_other(aws)
    first = [command for command in aws.systems_manager.commands if command.parameters["Execution"] == arn]
    assert [command.status for command in first] in ([], ["Cancelled"] if stops.hangs else ["Success"])
    assert aws.places == (("tao", "bittybot") if following == "another" else ("bittybot", "tao"))
    assert aws.locks == []


def test_a_call_that_goes_on_after_the_lock_was_taken_over_sends_nothing(aws: Aws, stops: Stopped) -> None:
    goes_on = threading.Event()
    stops.at("before the command is written", goes_on=goes_on)
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    goes_on.set()
    stops.zombies[0].join(30)
    assert len(aws.systems_manager.commands) == 1


def test_a_call_that_goes_on_while_the_lock_is_taken_over_begins_nothing(aws: Aws, stops: Stopped) -> None:
    """It was to write its command just when the next execution has ended the commands of its execution."""
    goes_on = threading.Event()
    stops.at("before its id is written", goes_on=goes_on)

    def resume() -> None:
        goes_on.set()
        stops.zombies[0].join(30)

    with at("before-call.ssm.CancelCommand", resume):
        assert aws.execute(SEVEN).outcome == "CUT_OVER"
    assert [command.status for command in aws.systems_manager.commands] == ["Cancelled", "Success"]


def test_an_agent_that_does_not_cancel_is_waited_for(aws: Aws, stops: Stopped, taken_over: list[bool]) -> None:
    aws.systems_manager.agents.manner[aws.servers["tao"]] = "deaf"
    stops.configure(timeout_seconds=400)
    stops.at("while it runs")
    assert aws.execute(SEVEN).outcome == "CUT_OVER"
    assert [command.status for command in aws.systems_manager.commands] == ["TimedOut", "Success"]
    assert taken_over == [True]


def test_a_command_that_cannot_be_cancelled_at_once_is_cancelled_later(aws: Aws, stops: Stopped) -> None:
    arn = stops.at("while it runs", lives=False)
    with refused("ssm.CancelCommand", "ThrottlingException", nth=1):
        assert aws.repair(arn).outcome == "REPAIRED"
    assert [command.status for command in aws.systems_manager.commands] == ["Cancelled"]


def test_a_lock_whose_command_cannot_be_found_is_kept_until_its_time_is_up(aws: Aws, stops: Stopped) -> None:
    stops.configure(timeout_seconds=30)
    arn = stops.at("after it was sent", lives=False)
    with refused("ssm.ListCommands", "ThrottlingException"):
        assert aws.repair(arn).outcome in ("RepairFailed", "REPAIRED")
        aws.until(lambda: aws.unlock("web").outcome in ("REPAIRED", "NOTHING_TO_REPAIR"))
    assert aws.locks == []


@pytest.mark.parametrize("command", [None, "{}", "by hand", "[]"])
def test_a_lock_with_a_command_that_cannot_be_read_is_released(aws: Aws, stops: Stopped, command: str | None) -> None:
    aws.put_lock(aws.execute({"dryRun": True}).arn, server="tao")
    aws._update("SET commandRuns = :true" + (", command = :command" if command else ""),
                {":true": "true", **({":command": command} if command else {})})  # fmt: skip
    assert (aws.unlock("web").outcome, aws.locks) == ("REPAIRED", [])


def test_an_execution_that_is_stopped_while_it_ends_its_command_is_followed_in_the_same_way(
    aws: Aws, stops: Stopped, taken_over: list[bool]
) -> None:
    stops.first = "-"

    def die(_count: int, run: Callable[[], Any]) -> Any:
        with at(act=dies, **MOMENTS["while it runs"]):
            return run()

    aws.systems_manager.runs(HANGS, step="deploy")
    with around("DeployRelease", die), stopping_before("EndCommand"):
        arn = aws.start(SEVEN)
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert "commandRuns" in aws.locks[0]
    assert (aws.repair(arn).outcome, taken_over) == ("REPAIRED", [True])
    assert [command.status for command in aws.systems_manager.commands] == ["Cancelled"]


# Someone asks for a rollback.


@pytest.fixture
def deploys(aws: Aws, stops: Stopped) -> str:
    """An execution whose deployment hangs: its ARN."""
    aws.systems_manager.runs(HANGS, step="deploy")
    arn = aws.start(SEVEN)
    aws.until(lambda: any(command.began for command in aws.systems_manager.commands))
    return arn


def test_a_rollback_ends_a_deployment(aws: Aws, deploys: str) -> None:
    asks = aws.execute({"rollback": True})
    ended = aws.wait(deploys)
    assert (ended.outcome, asks.outcome) == ("DeployFailed", "ALREADY_LIVE")
    assert f"The execution {asks.arn} asked for a rollback." in str(ended.cause)
    assert [command.status for command in aws.systems_manager.commands] == ["Cancelled"]
    assert (aws.places, aws.locks) == (("bittybot", "tao"), [])
    again = aws.execute({"rollback": True})
    assert again.outcome == "PreflightFailed"
    assert "the deployment of release 7 to tao began" in str(again.cause)


def test_a_rollback_waits_for_a_command_that_cannot_be_cancelled(aws: Aws, deploys: str) -> None:
    aws.systems_manager.agents.manner[aws.servers["tao"]] = "deaf"
    asks = aws.start({"rollback": True})
    aws.wait_for(deploys, "EndCommand")
    assert "commandRuns" in aws.locks[0]
    (command,) = aws.systems_manager.commands
    aws.systems_manager.end(command, Result())
    assert [aws.wait(arn).outcome for arn in (deploys, asks)] == ["DeployFailed", "ALREADY_LIVE"]
    assert aws.locks == []


def test_a_rollback_that_was_asked_for_just_before_is_seen_before_anything_is_sent(aws: Aws, stops: Stopped) -> None:
    asks: list[str] = []

    def ask(_count: int, run: Callable[[], Any]) -> Any:
        asks.append(aws.start({"rollback": True}))
        aws.wait_for(asks[0], "WaitForHolder")
        return run()

    with around("DeployRelease", ask):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.systems_manager.commands) == ("DeployFailed", [])
    assert aws.wait(asks[0]).outcome == "ALREADY_LIVE"
    assert aws.record.releases == {}


def test_another_execution_does_not_begin_while_a_release_is_deployed(aws: Aws, deploys: str) -> None:
    assert aws.execute({}).outcome == "CutoverInProgress"
    (command,) = aws.systems_manager.commands
    aws.systems_manager.end(command, Result(1))
    assert aws.wait(deploys).outcome == "DeployFailed"
