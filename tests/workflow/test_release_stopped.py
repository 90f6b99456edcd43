"""A deployment whose execution is stopped, or asked to roll back: nobody runs a command beside its command."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.systems_manager_runs import HANGS
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
)
from tests.workflow.engine import FunctionEnded
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
    execution, whose command hangs."""

    def __init__(self, aws: Aws, web: Web) -> None:
        self.aws, self.zombies, self.first = aws, list[threading.Thread](), ""
        deploy = deploying(web)
        aws.systems_manager.runs(
            lambda command: HANGS if command.parameters["Execution"] == self.first else deploy(command), step="deploy"
        )

    def at(self, moment: str, *, lives: bool = True, goes_on: threading.Event | None = None) -> str:
        """The ARN of an execution that was stopped at a moment of its deployment. Its function then goes on, or waits
        for an event before that, or dies."""
        reached, stopped = threading.Event(), threading.Event()

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
            self.aws.sfn.stop_execution(executionArn=self.first)
            stopped.set()
            raise FunctionEnded("Sandbox.Timedout")

        with at(act=pause, **MOMENTS[moment]), around("DeployRelease", stop):
            self.first = self.aws.start(SEVEN)
            self.aws.until(lambda: self.aws.status(self.first) == "ABORTED")
        return self.first


@pytest.fixture
def stops(aws: Aws, web: Web) -> Iterator[Stopped]:
    configure(aws, web, deploy={**DEPLOY, "timeoutSeconds": 800})
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
    assert [command.status for command in first] in ([], ["Cancelled"])
    assert aws.places == (("tao", "bittybot") if following == "another" else ("bittybot", "tao"))
    assert aws.locks == []
