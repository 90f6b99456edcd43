"""A deployment that is interrupted anywhere: its command runs once, and no other runs on its server meanwhile."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from local.systems_manager_runs import HANGS
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.deployments import (
    DEPLOY,
    MOMENTS,
    SEE,
    SEND,
    WRITE,
    around,
    at,
    configure,
    dies,
    losing_its_answer,
    one_after_the_other,
    quietly,
    refused,
)
from tests.workflow.engine import FunctionEnded
from tests.workflow.web import Web

SEVEN = {"release": "7"}


@pytest.fixture(autouse=True)
def servers(aws: Aws, web: Web) -> Web:
    configure(aws, web)
    return web


# The function dies.


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_function_that_dies_is_followed_by_one_that_goes_on_with_its_command(aws: Aws, moment: str) -> None:
    with at(act=dies, **MOMENTS[moment]):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert len(aws.systems_manager.commands) == 1
    assert (aws.locks, aws.record.releases["tao"]["deployed"]) == ([], True)


def test_a_function_that_dies_again_and_again_leaves_no_command_and_no_lock(aws: Aws, web: Web) -> None:
    configure(aws, web, deploy={**DEPLOY, "timeoutSeconds": 800})
    aws.systems_manager.runs(HANGS, step="deploy")
    with around("DeployRelease", lambda _count, run: dies()):
        never = aws.execute(SEVEN)

    def die_while_it_deploys(_count: int, run: Callable[[], Any]) -> Any:
        with at(f"before-call.{SEE}", dies):
            return run()

    with around("DeployRelease", die_while_it_deploys):
        ended = aws.execute(SEVEN)
    assert [each.outcome for each in (never, ended)] == ["DeployFailed"] * 2
    assert "EndCommand" in ended.states
    assert [command.status for command in aws.systems_manager.commands] == ["Cancelled"]
    assert (aws.places, aws.locks) == (("bittybot", "tao"), [])


def test_two_calls_of_the_function_at_once_send_one_command(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step Functions tries again what Lambda still runs: the first call goes on beside the second."""
    monkeypatch.setattr(engine, "TIME_SCALE", 0.1)  # the first call has 1.5 s to send what it has begun
    zombies: list[threading.Thread] = []

    def lose(count: int, run: Callable[[], Any]) -> Any:
        if count:
            return run()
        zombies.append(threading.Thread(target=quietly(run)))
        zombies[0].start()
        raise FunctionEnded("Lambda.SdkClientException")

    with around("DeployRelease", lose):
        assert aws.execute(SEVEN).outcome == "CUT_OVER"
    zombies[0].join()
    assert len(aws.systems_manager.commands) == 1


def test_a_call_that_was_slow_sends_nothing_after_another_has(aws: Aws) -> None:
    """The first call stops for a while before it begins its command, and Step Functions tries again."""
    stands, goes_on, zombies = threading.Event(), threading.Event(), list[threading.Thread]()

    def lose(count: int, run: Callable[[], Any]) -> Any:
        if count:
            return run()
        zombies.append(threading.Thread(target=quietly(run)))
        zombies[0].start()
        assert stands.wait(30)  # else the next call may be the one that stops
        raise FunctionEnded("Lambda.SdkClientException")

    def stop() -> None:
        stands.set()
        goes_on.wait(30)

    with at(act=stop, **MOMENTS["before the command is written"]), around("DeployRelease", lose):
        assert aws.execute(SEVEN).outcome == "CUT_OVER"
        goes_on.set()
        zombies[0].join()
    assert len(aws.systems_manager.commands) == 1
    assert aws.locks == []


# A service fails.


def test_a_command_whose_id_was_lost_is_found_by_its_comment(aws: Aws) -> None:
    with losing_its_answer(SEND):
        ended = aws.execute(SEVEN)
    assert ended.outcome == "CUT_OVER"
    assert len(aws.systems_manager.commands) == 1


def test_a_command_that_systems_manager_does_not_show_yet_is_waited_for(aws: Aws) -> None:
    aws.systems_manager.hidden_calls = 5
    assert aws.execute(SEVEN).outcome == "CUT_OVER"


@pytest.mark.parametrize("code", ["InternalServerError", "ThrottlingException", "AccessDeniedException"])
def test_a_command_that_nobody_can_see_is_over_when_its_time_is_up(aws: Aws, code: str) -> None:
    with refused(SEE, code):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.places, aws.locks) == ("DeployFailed", ("bittybot", "tao"), [])
    assert one_after_the_other(aws)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_dynamodb_that_fails_delays_a_deployment_and_runs_it_once(aws: Aws, times: int) -> None:
    with refused(WRITE, "InternalServerError", nth=times):
        assert aws.execute(SEVEN).outcome == "CUT_OVER"
    assert len(aws.systems_manager.commands) == 1


def test_a_deployment_that_cannot_be_written_down_is_not_sent(aws: Aws) -> None:
    with refused(WRITE, "InternalServerError"):
        ended = aws.execute(SEVEN)
    assert (ended.outcome, aws.systems_manager.commands, aws.locks) == ("DeployFailed", [], [])
    assert "RecordUnavailable" in str(ended.cause)
