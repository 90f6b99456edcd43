"""The hooks of a pair: when each runs, on which server, and what follows if one fails or does not end."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from local.systems_manager_agents import Command
from local.systems_manager_runs import HANGS, Result
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.engine import FunctionEnded
from tests.workflow.given_hooks import (
    AFTER,
    BEFORE,
    FAILS,
    MOMENTS,
    UNDO,
    Configured,
    each,
    function,
    functions,
    hook,
    ran,
    steps_of,
)
from tests.workflow.web import Web, sick, sick_as_production


def test_the_hooks_of_each_moment_run_in_order_on_the_server_with_that_role_then(aws: Aws, hooks: Configured) -> None:
    both = [hook("live"), hook("idle")]
    hooks(dict.fromkeys(MOMENTS, both))
    places: list[tuple[str | None, str | None]] = []

    def run(_command: Command) -> Result:
        places.append(aws.places)
        return Result(seconds=2)

    aws.systems_manager.runs(run)
    ended = aws.execute({})
    assert ended.outcome == "CUT_OVER"
    assert ran(aws) == [
        ("beforeCutover0", "bittybot"), ("beforeCutover1", "tao"), ("afterCutover0", "tao"),
        ("afterCutover1", "bittybot"),
    ]  # fmt: skip
    assert [command.instance_id for command in aws.systems_manager.commands[:2]] == [
        aws.servers["bittybot"], aws.servers["tao"]
    ]  # fmt: skip
    assert places == [("bittybot", "tao")] * 2 + [("tao", "bittybot")] * 2
    assert "warnings" not in ended.output
    assert (aws.locks, aws.record.hooks_began) == ([], False)


@pytest.mark.parametrize("release", ["", "7"])
def test_a_hook_finds_the_pair_the_server_the_release_and_the_execution(
    aws: Aws, hooks: Configured, release: str
) -> None:
    hooks({BEFORE: [hook("live")]}, deploy={"command": "deploy", "timeoutSeconds": 60})
    ended = aws.execute({"release": release} if release else {})
    assert ended.outcome == "CUT_OVER"
    parameters = aws.systems_manager.commands[-1].parameters
    assert parameters == {
        "Step": "beforeCutover0", "Pair": "web", "Server": "bittybot", "Release": release, "Execution": ended.arn,
        "TimeoutSeconds": "60",
    }  # fmt: skip


def test_a_hook_that_fails_before_the_cutover_leaves_production_and_what_it_did_is_undone(
    aws: Aws, hooks: Configured
) -> None:
    hooks({BEFORE: [hook("live"), hook("idle"), hook("idle")], UNDO: [hook("live"), hook("idle")]})
    aws.systems_manager.runs(FAILS, step="beforeCutover1")
    ended = aws.execute({})
    assert ended.outcome == "PreflightFailed"
    assert "ended Failed with exit code 3. Its last lines:\n| cannot drain\nThe output ends here." in str(ended.cause)
    assert str(ended.cause).startswith("Production was not touched. The hook beforeCutover1 on tao ")
    assert ran(aws) == [
        ("beforeCutover0", "bittybot"), ("beforeCutover1", "tao"), ("afterRollback0", "bittybot"),
        ("afterRollback1", "tao"),
    ]  # fmt: skip
    assert aws.places == ("bittybot", "tao")
    assert "warnings" not in aws.notices[0]
    assert (aws.locks, aws.record.hooks_began) == ([], False)


@pytest.mark.parametrize("step", ["beforeCutover0", "afterCutover0"])
def test_a_hook_that_may_fail_is_a_warning(aws: Aws, hooks: Configured, step: str) -> None:
    hooks({moment: [hook(onFailure="CONTINUE"), hook()] for moment in MOMENTS})
    aws.systems_manager.runs(FAILS, step=step)
    ended = aws.execute({})
    assert ended.outcome == "CUT_OVER"
    (warning,) = ended.output["warnings"]
    assert warning.startswith(f"The hook {step} on ")
    assert steps_of(aws) == [
        "beforeCutover0", "beforeCutover1", "afterCutover0", "afterCutover1"
    ]  # fmt: skip


def test_a_hook_that_fails_after_the_cutover_rolls_it_back(aws: Aws, hooks: Configured) -> None:
    hooks({BEFORE: [hook("live")], AFTER: [hook("live")], UNDO: [hook("live")]})
    aws.systems_manager.runs(FAILS, step="afterCutover0")
    ended = aws.execute({})
    assert ended.outcome == "RolledBack"
    assert str(ended.cause).startswith("AfterCutover failed with HookFailed: The hook afterCutover0 on tao ")
    assert ran(aws) == [("beforeCutover0", "bittybot"), ("afterCutover0", "tao"), ("afterRollback0", "bittybot")]
    assert aws.places == ("bittybot", "tao")
    assert "warnings" not in aws.notices[0]


def test_after_a_failed_check_of_production_the_hooks_after_a_rollback_run(
    aws: Aws, web: Web, hooks: Configured
) -> None:
    hooks({AFTER: [hook()], UNDO: [hook("live")]})
    web.behaviour["tao"] = sick_as_production
    assert aws.execute({}).outcome == "RolledBack"
    assert ran(aws) == [("afterRollback0", "bittybot")]


def test_hooks_after_a_rollback_do_not_change_the_outcome(aws: Aws, web: Web, hooks: Configured) -> None:
    hooks({UNDO: [hook(), hook()]})
    web.behaviour["tao"] = sick_as_production
    aws.systems_manager.runs(FAILS)
    ended = aws.execute({})
    assert ended.outcome == "RolledBack"
    assert steps_of(aws) == ["afterRollback0", "afterRollback1"]
    assert [warning[:25] for warning in aws.notices[0]["warnings"]] == [
        "The hook afterRollback0 o", "The hook afterRollback1 o"
    ]  # fmt: skip
    assert aws.locks == []


def test_a_function_that_always_fails_after_a_rollback_does_not_change_the_outcome(
    aws: Aws, web: Web, hooks: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(state: str, run: Callable[[], Any]) -> Any:
        if state == "AfterRollback":
            raise FunctionEnded("Some.Error")
        return run()

    hooks({UNDO: [hook()]})
    web.behaviour["tao"] = sick_as_production
    monkeypatch.setattr(engine, "AROUND_HANDLERS", [fail])
    ended = aws.execute({})
    assert (ended.outcome, aws.locks) == ("RolledBack", [])
    assert aws.notices[0]["warnings"] == ["AfterRollback failed with Some.Error: RequestId: 0 Error: Some.Error."]


@pytest.mark.parametrize("value", [{"dryRun": True}, {"serverName": "bittybot"}, {"serverName": "nobody"}])
def test_an_execution_that_does_not_begin_a_cutover_runs_no_hook(
    aws: Aws, hooks: Configured, value: dict[str, object]
) -> None:
    hooks(each(hook()))
    aws.execute(value)
    assert ran(aws) == []


def test_an_execution_that_fails_its_checks_runs_no_hook(aws: Aws, web: Web, hooks: Configured) -> None:
    hooks(each(hook()))
    web.behaviour["tao"] = sick
    assert aws.execute({}).outcome == "StagingUnhealthy"
    assert ran(aws) == []


def test_hooks_that_drained_are_undone_if_someone_moves_an_address_before_the_first_change(
    aws: Aws, hooks: Configured
) -> None:
    hooks(each(hook()))

    def disturb(_command: Command) -> Result:
        aws.disassociate(aws.staging)
        return Result()

    aws.systems_manager.runs(disturb, step="beforeCutover0")
    ended = aws.execute({})
    assert ended.outcome == "AddressMoved"
    assert steps_of(aws) == ["beforeCutover0", "afterRollback0"]
    assert (aws.locks, aws.record.hooks_began) == ([], False)


def test_a_hook_that_hangs_is_cancelled_when_its_time_is_up(aws: Aws, hooks: Configured) -> None:
    hooks({BEFORE: [hook(timeoutSeconds=5)]})
    aws.systems_manager.runs(HANGS)
    ended = aws.execute({})
    assert ended.outcome == "PreflightFailed"
    assert "The hook beforeCutover0 on tao" in str(ended.cause)
    assert "ended ExecutionTimedOut" in str(ended.cause)
    assert aws.locks == []


def test_the_hooks_of_a_pair_can_all_be_functions(aws: Aws, hooks: Configured) -> None:
    hooks({BEFORE: [function("live")], AFTER: [function()], UNDO: [function()]})
    later = [{"hookStatus": "IN_PROGRESS", "callBackDelay": 5}]
    with functions(lambda _event: later.pop() if later else {"hookStatus": "SUCCEEDED"}) as asked:
        ended = aws.execute({})
    assert (ended.outcome, aws.systems_manager.commands) == ("CUT_OVER", [])
    event = {"pair": "web", "server": "bittybot", "release": "", "execution": ended.arn, "hook": BEFORE}
    assert asked == [event, event, {**event, "hook": AFTER}]
    assert (aws.locks, aws.record.hooks_began) == ([], False)


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
@pytest.mark.parametrize("answer", [{"hookStatus": "FAILED"}, {"ok": True}, {"hookStatus": "IN_PROGRESS"}])
def test_a_function_that_fails_is_a_hook_that_fails(
    aws: Aws, hooks: Configured, moment: str, answer: dict[str, Any]
) -> None:
    hooks({moment: [function(timeoutSeconds=20), hook()], UNDO: [function("live")]})
    with functions(lambda event: {"hookStatus": "SUCCEEDED"} if event["hook"] == UNDO else answer) as asked:
        ended = aws.execute({})
    assert ended.outcome == ("PreflightFailed" if moment == BEFORE else "RolledBack")
    assert f"The hook {moment}0 " in str(ended.cause)
    assert (aws.places, steps_of(aws)) == (("bittybot", "tao"), [])
    assert [(event["hook"], event["server"]) for event in asked] == [
        (moment, "tao" if moment == BEFORE else "bittybot"), (UNDO, "bittybot")
    ]  # fmt: skip


def test_a_rollback_does_not_wait_for_a_function_that_does_not_answer(aws: Aws, hooks: Configured) -> None:
    hooks({})
    aws.execute({})
    hooks({BEFORE: [function("live", timeoutSeconds=840)]})
    gate = threading.Event()
    with functions(lambda _event: {"hookStatus": "SUCCEEDED"} if gate.wait(20) else {}):
        rollback = aws.execute({"rollback": True})
        gate.set()
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert rollback.output["warnings"] == ["The hook beforeCutover0 did not answer in time. It may still run."]


def test_a_rollback_that_is_asked_for_does_not_wait_for_a_function(aws: Aws, hooks: Configured) -> None:
    hooks({AFTER: [function(timeoutSeconds=840)]})
    gate = threading.Event()
    with functions(lambda _event: {"hookStatus": "SUCCEEDED"} if gate.wait(20) else {}) as asked:
        cutover = aws.start({})
        aws.until(lambda: bool(asked))
        asks = aws.start({"rollback": True})
        assert (aws.wait(cutover).outcome, aws.wait(asks).outcome) == ("RolledBack", "ALREADY_LIVE")
        gate.set()
