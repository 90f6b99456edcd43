"""What the hooks before a cutover did is undone if the cutover does not happen, and not after production has moved."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from local.systems_manager_runs import HANGS
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.engine import redriven, stopping_before
from tests.workflow.given_hooks import AFTER, BEFORE, UNDO, Configured, each, hook, ran, steps_of
from tests.workflow.web import Web, sick, sick_as_production

STAYS = {"serverName": "bittybot"}


@pytest.fixture
def dead(aws: Aws, hooks: Configured) -> Callable[[str], str]:
    """An execution that was stopped before this state; its hooks before the cutover ran on the live server."""

    def stop(state: str) -> str:
        hooks({BEFORE: [hook("live")], AFTER: [hook()], UNDO: [hook("live"), hook("idle")]})
        with stopping_before(state):
            arn = aws.start({})
            aws.until(lambda: aws.status(arn) == "ABORTED")
        assert (steps_of(aws)[0], aws.record.hooks_began) == ("beforeCutover0", True)
        aws.systems_manager.forget_commands()
        return arn

    return stop


UNDONE = [("afterRollback0", "bittybot"), ("afterRollback1", "tao")]


@pytest.mark.parametrize("state", ["MeasureGap", "DisassociateStaging", "ReassociateProduction"])
def test_the_repair_undoes_what_the_hooks_of_a_stopped_execution_did(
    aws: Aws, dead: Callable[[str], str], state: str
) -> None:
    repair = aws.repair(dead(state))
    assert (repair.outcome, aws.places) == ("REPAIRED", ("bittybot", "tao"))
    assert ran(aws) == UNDONE
    assert aws.systems_manager.commands[0].parameters["Execution"] == repair.arn
    assert (aws.locks, aws.record.hooks_began) == ([], False)
    assert "warnings" not in repair.output
    aws.execute(STAYS)
    assert ran(aws) == UNDONE


@pytest.mark.parametrize(
    ("value", "outcome"),
    [(STAYS, "ALREADY_LIVE"), ({"serverName": "bittybot", "release": "7"}, "InvalidRequest"), ({}, "StagingUnhealthy")],
)
def test_the_next_execution_undoes_it_if_it_does_not_cut_over(
    aws: Aws, web: Web, dead: Callable[[str], str], hooks: Configured, value: dict[str, str], outcome: str
) -> None:
    dead("MeasureGap")
    deploy = {"command": "deploy", "timeoutSeconds": 60}
    hooks({BEFORE: [hook("live")], UNDO: [hook("live"), hook("idle")]}, deploy=deploy)
    web.behaviour["tao"] = sick
    assert aws.execute(value).outcome == outcome
    assert ran(aws) == UNDONE
    assert (aws.locks, aws.record.hooks_began) == ([], False)


def test_the_next_execution_does_not_undo_it_if_it_cuts_over(aws: Aws, dead: Callable[[str], str]) -> None:
    dead("MeasureGap")
    assert aws.execute({}).outcome == "CUT_OVER"
    assert steps_of(aws) == ["beforeCutover0", "afterCutover0"]
    assert (aws.locks, aws.record.hooks_began) == ([], False)


def test_a_dry_run_leaves_it_to_be_undone(aws: Aws, dead: Callable[[str], str]) -> None:
    """A lock that was taken over by an execution that was stopped before it had planned again is free."""
    dead("MeasureGap")
    aws.delete_lock()
    assert aws.execute({"dryRun": True}).outcome == "DRY_RUN"
    assert (ran(aws), aws.record.hooks_began) == ([], True)
    aws.execute(STAYS)
    assert (ran(aws), aws.record.hooks_began) == (UNDONE, False)


@pytest.mark.parametrize("state", ["ReassociateStaging", "HealthCheckProduction", "AfterCutover"])
def test_after_production_has_moved_nothing_is_undone(aws: Aws, dead: Callable[[str], str], state: str) -> None:
    repair = aws.repair(dead(state))
    assert (repair.outcome, aws.places) == ("REPAIRED", ("tao", "bittybot"))
    aws.execute({"serverName": "tao"})
    assert (ran(aws), aws.record.hooks_began) == ([], False)


def test_after_production_has_moved_nothing_is_undone_even_if_the_repair_is_stopped_too(
    aws: Aws, dead: Callable[[str], str]
) -> None:
    arn = dead("AfterCutover")
    with stopping_before("DescribeAddresses"):
        repair = aws.start_text(f'{{"execution": "{arn}", "status": "ABORTED"}}', aws.repair_machine)
        aws.until(lambda: aws.status(repair) == "ABORTED")
    with stopping_before("Decision?"):
        next_one = aws.start({"serverName": "tao"})
        aws.until(lambda: aws.status(next_one) == "ABORTED")
    assert aws.execute({"serverName": "tao"}).outcome == "ALREADY_LIVE"
    assert (ran(aws), aws.record.hooks_began) == ([], False)


def test_a_cutover_that_was_stopped_after_its_rollback_is_undone_by_the_repair(
    aws: Aws, web: Web, hooks: Configured
) -> None:
    hooks(each(hook("live")))
    web.behaviour["tao"] = sick_as_production
    with stopping_before("AfterRollback"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) == "ABORTED")
    aws.systems_manager.forget_commands()
    aws.repair(arn)
    assert ran(aws) == [("afterRollback0", "bittybot")]


def test_hooks_run_again_if_the_execution_that_undid_them_was_stopped_before_it_released_the_lock(
    aws: Aws, dead: Callable[[str], str]
) -> None:
    arn = dead("MeasureGap")
    with stopping_before("ReleaseLock"):
        repair = aws.start_text(f'{{"execution": "{arn}", "status": "ABORTED"}}', aws.repair_machine)
        aws.until(lambda: aws.status(repair) == "ABORTED")
    assert (ran(aws), aws.record.hooks_began) == (UNDONE, True)
    aws.repair(repair)
    assert (ran(aws), aws.record.hooks_began) == (UNDONE * 2, False)


def test_a_hook_of_a_stopped_execution_ends_before_another_one_begins(
    aws: Aws, hooks: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function of the stopped execution goes on for a while, as Lambda's does."""
    hooks({BEFORE: [hook(timeoutSeconds=300), hook()], UNDO: [hook()]})
    aws.systems_manager.runs(HANGS, step="beforeCutover0")

    def go_on(state: str, run: Callable[[], Any]) -> Any:
        if state != "BeforeCutover":
            return run()
        function.submit(run)
        aws.until(lambda: bool(aws.systems_manager.commands) and aws.systems_manager.commands[0].began is not None)
        aws.sfn.stop_execution(executionArn=arn.result())
        return {"warnings": []}

    monkeypatch.setattr(engine, "AROUND_HANDLERS", [go_on])
    arn = Future[str]()
    with ThreadPoolExecutor(1) as function:
        arn.set_result(aws.start({}))
        aws.until(lambda: aws.status(arn.result()) == "ABORTED")
        assert aws.repair(arn.result()).outcome == "REPAIRED"
    assert steps_of(aws) == ["beforeCutover0", "afterRollback0"]
    assert aws.systems_manager.commands[0].details == "Cancelled"
    assert (aws.systems_manager.overlaps(), aws.locks) == ([], [])


def test_a_redriven_execution_leaves_its_lock_to_the_repair_which_undoes_its_hooks(aws: Aws, hooks: Configured) -> None:
    hooks(each(hook("live")))
    with redriven():
        ended = aws.execute({})
    assert (ended.outcome, aws.places) == ("PreflightFailed", ("bittybot", "tao"))
    assert steps_of(aws) == []
    aws._update("SET hooksBegan = :true", {":true": "true"})
    assert aws.repair(ended.arn).outcome == "REPAIRED"
    assert steps_of(aws) == ["afterRollback0"]
    assert (aws.locks, aws.record.hooks_began) == ([], False)


def test_a_rollback_that_is_asked_for_before_the_first_change_undoes_the_hooks(
    aws: Aws, hooks: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(state: str, run: Callable[[], Any]) -> Any:
        if state == "DisassociateStaging":
            asked = {":by": {"S": "arn:rollback"}}
            aws.dynamodb.update_item(
                TableName=aws.table,
                Key={"pair": {"S": "web"}},
                UpdateExpression="SET rollbackRequestedBy = :by",
                ExpressionAttributeValues=asked,
            )
        return run()

    hooks(each(hook("live")))
    monkeypatch.setattr(engine, "AROUND_HANDLERS", [ask])
    ended = aws.execute({})
    assert ended.outcome == "PreflightFailed"
    assert "arn:rollback asked for a rollback." in str(ended.cause)
    assert steps_of(aws) == ["beforeCutover0", "afterRollback0"]
