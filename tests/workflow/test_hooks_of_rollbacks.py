"""No hook holds a rollback or an emergency up, and none can stop it."""

from typing import Any

import pytest

from local.systems_manager_runs import HANGS, Result
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.engine import FunctionEnded, scaled_time
from tests.workflow.given_hooks import AFTER, BEFORE, FAILS, UNDO, Configured, each, hook, steps_of

ROLLBACK = {"rollback": True}


@pytest.fixture
def cut_over(aws: Aws, hooks: Configured) -> Aws:
    """Production has moved to tao. In the tests, the 10 s of a rollback's hooks are over in 0.1 s."""
    hooks({})
    aws.execute({})
    aws.forget_notices()
    return aws


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
@pytest.mark.parametrize("does", [FAILS, HANGS])
def test_a_rollback_does_not_wait_long_for_a_hook_and_goes_on_without_it(
    cut_over: Aws, hooks: Configured, moment: str, does: Result
) -> None:
    aws, step = cut_over, f"{moment}0"
    hooks({moment: [hook()]})
    aws.systems_manager.runs(does)
    rollback = aws.execute(ROLLBACK)
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    (warning,) = rollback.output["warnings"]
    assert warning.startswith(f"The hook {step} on ")
    (command,) = aws.systems_manager.commands
    assert (command.ended or 0) - command.sent < 60  # 10, and the time that this machine takes
    assert aws.locks == []


def test_all_hooks_of_a_moment_of_a_rollback_have_ten_seconds_together(cut_over: Aws, hooks: Configured) -> None:
    aws = cut_over
    hooks({BEFORE: [hook()] * 4})
    aws.systems_manager.runs(Result(seconds=50))
    rollback = aws.execute(ROLLBACK)
    assert rollback.outcome == "CUT_OVER"
    assert steps_of(aws) in ([], ["beforeCutover0"])
    said = " ".join(rollback.output["warnings"])
    assert all(f"beforeCutover{number}" in said for number in range(4))


@pytest.mark.parametrize("state", ["BeforeCutover", "AfterCutover"])
@pytest.mark.parametrize("ends", ["Sandbox.Timedout", "Runtime.ExitError", "Some.Error"])
def test_a_rollback_goes_on_if_the_function_that_runs_its_hooks_always_fails(
    cut_over: Aws, hooks: Configured, monkeypatch: pytest.MonkeyPatch, state: str, ends: str
) -> None:
    hooks({BEFORE if state == "BeforeCutover" else AFTER: [hook()]})

    def fail(name: str, run: Any) -> Any:
        if name == state:
            raise FunctionEnded(ends)
        return run()

    monkeypatch.setattr(engine, "AROUND_HANDLERS", [fail])
    rollback = cut_over.execute(ROLLBACK)
    assert (rollback.outcome, cut_over.places) == ("CUT_OVER", ("bittybot", "tao"))
    (warning,) = rollback.output["warnings"]
    assert warning == f"{state} failed with {ends}: RequestId: 0 Error: {ends}."
    assert cut_over.locks == []


@pytest.mark.parametrize("moment", [BEFORE, AFTER])
def test_a_command_of_a_rollback_that_cannot_be_cancelled_holds_only_the_lock(
    cut_over: Aws, hooks: Configured, moment: str
) -> None:
    aws = cut_over
    hooks({moment: [hook(timeoutSeconds=300)], **({AFTER: [hook()]} if moment == BEFORE else {})})
    for instance in aws.servers.values():
        aws.systems_manager.agents.manner[instance] = "deaf"
    aws.systems_manager.runs(HANGS)
    rollback = aws.start(ROLLBACK)
    aws.until(lambda: aws.places == ("bittybot", "tao") and bool(aws.systems_manager.commands))
    assert scaled_time() - aws.systems_manager.commands[0].sent < 100
    aws.wait_for(rollback, "EndCommand")
    assert len(aws.locks) == 1
    ended = aws.wait(rollback)
    (command,) = aws.systems_manager.commands  # beside it, no other was begun
    assert command.details == "ExecutionTimedOut"
    assert (ended.outcome, aws.locks) == ("CUT_OVER", [])
    assert len(ended.output["warnings"]) == (2 if moment == BEFORE else 1)
    assert aws.systems_manager.overlaps() == []


@pytest.mark.parametrize("does", [FAILS, HANGS])
def test_in_an_emergency_a_hook_before_the_cutover_cannot_prevent_it(aws: Aws, hooks: Configured, does: Result) -> None:
    hooks({BEFORE: [hook(timeoutSeconds=5), hook()]})
    aws.systems_manager.runs(does, step="beforeCutover0")
    ended = aws.execute({"emergency": True})
    assert ended.outcome == "CUT_OVER"
    assert ended.output["warnings"][-1].startswith("The hook beforeCutover0 on ")
    assert steps_of(aws) == ["beforeCutover0", "beforeCutover1"]


def test_in_an_emergency_a_function_that_fails_cannot_prevent_the_cutover(
    aws: Aws, hooks: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, run: Any) -> Any:
        if name == "BeforeCutover":
            raise FunctionEnded("Runtime.ExitError")
        return run()

    hooks(each(hook()))
    monkeypatch.setattr(engine, "AROUND_HANDLERS", [fail])
    ended = aws.execute({"emergency": True})
    assert (ended.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert ended.output["warnings"] == [
        "BeforeCutover failed with Runtime.ExitError: RequestId: 0 Error: Runtime.ExitError."
    ]


def test_if_production_is_on_no_server_its_hooks_do_not_prevent_that_it_gets_one(aws: Aws, hooks: Configured) -> None:
    hooks({BEFORE: [hook("live")], AFTER: [hook("live"), hook("idle")]})
    aws.disassociate(aws.production)
    ended = aws.execute({"serverName": "tao"})
    assert ended.outcome == "CUT_OVER"
    assert "The hook beforeCutover0 was not run, because no server is live." in ended.output["warnings"]
    assert steps_of(aws) == ["afterCutover0", "afterCutover1"]
    assert [command.parameters["Server"] for command in aws.systems_manager.commands] == ["tao", "bittybot"]


def deaf(aws: Aws) -> None:
    aws.systems_manager.agents.manner[aws.servers["tao"]] = "deaf"


@pytest.mark.parametrize("cancels", [True, False])
def test_a_rollback_that_is_asked_for_ends_a_hook_after_the_cutover_and_begins_at_once(
    aws: Aws, hooks: Configured, cancels: bool
) -> None:
    hooks({AFTER: [hook("live", timeoutSeconds=300), hook("live")], UNDO: [hook()]})
    if not cancels:
        deaf(aws)
    aws.systems_manager.runs(HANGS, step="afterCutover0")
    cutover = aws.start({})
    aws.until(lambda: bool(aws.systems_manager.commands) and aws.systems_manager.commands[0].began is not None)
    asked, asks = scaled_time(), aws.start(ROLLBACK)
    aws.until(lambda: aws.places == ("bittybot", "tao"))
    assert scaled_time() - asked < 200  # the command has 300 s
    if not cancels:
        assert aws.locks
    ended = aws.wait(cutover)
    assert ended.outcome == "RolledBack"
    assert f"AfterCutover failed with RollbackRequested: The execution {asks} asked for a rollback." in str(ended.cause)
    assert aws.wait(asks).outcome == "ALREADY_LIVE"
    assert steps_of(aws) == ["afterCutover0", "afterRollback0"]
    assert aws.systems_manager.commands[0].details == ("Cancelled" if cancels else "ExecutionTimedOut")
    assert (aws.systems_manager.overlaps(), aws.locks) == ([], [])


def test_a_rollback_that_is_asked_for_before_the_cutover_ends_the_hooks_and_undoes_them(
    aws: Aws, hooks: Configured
) -> None:
    hooks({BEFORE: [hook(timeoutSeconds=300), hook()], UNDO: [hook()]})
    aws.systems_manager.runs(HANGS, step="beforeCutover0")
    cutover = aws.start({})
    aws.until(lambda: bool(aws.systems_manager.commands))
    asks = aws.start(ROLLBACK)
    ended = aws.wait(cutover)
    assert ended.outcome == "PreflightFailed"
    assert f"The execution {asks} asked for a rollback." in str(ended.cause)
    assert aws.wait(asks).outcome == "ALREADY_LIVE"
    assert steps_of(aws) == ["beforeCutover0", "afterRollback0"]
