"""A rollback while another execution holds the pair: it asks that one to roll back, waits for its end, and reports."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from stacks.functions.functions import MOVING_SECONDS
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import WAITS, stopping_before
from tests.workflow.web import Web

ROLLBACK = {"rollback": True}


def test_a_running_execution_that_bakes_rolls_back_when_another_asks_for_it(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": 600})
    bakes = aws.start({})
    aws.wait_for(bakes, "Bake")
    assert aws.record.lock is not None
    assert aws.record.lock.bakes_until
    asks = aws.execute(ROLLBACK)
    baked = aws.wait(bakes)
    assert (baked.outcome, asks.outcome) == ("RolledBack", "ALREADY_LIVE")
    assert f"Bake failed with RollbackRequested: The execution {asks.arn} asked for a rollback." in str(baked.cause)
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []
    assert asks.output["production"]["server"] == "bittybot"
    # The release on tao was rejected.
    assert aws.execute(ROLLBACK).outcome == "PreflightFailed"


def test_a_running_execution_that_has_changed_nothing_ends_without_a_change(
    aws: Aws, web: Web, ec2_calls: EC2Calls, held: Callable[[str], str]
) -> None:
    runs = held("staging")
    asks = aws.start(ROLLBACK)
    asked = aws.wait(runs)
    web.open_gates()
    assert asked.outcome == "PreflightFailed"
    assert f"{asks} asked for a rollback. Nothing was changed." in str(asked.cause)
    assert ec2_calls.changes == []
    assert aws.wait(asks).outcome == "ALREADY_LIVE"
    assert aws.places == ("bittybot", "tao")


def test_a_dry_run_that_is_asked_to_end_is_not_what_a_rollback_is_about(aws: Aws, web: Web) -> None:
    aws.execute({})
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
    web.gates["staging"].clear()
    dry_run = aws.start({"dryRun": True})
    aws.until(lambda: web.waiting["staging"] > 0)
    asks = aws.start(ROLLBACK)
    assert aws.wait(dry_run).outcome == "PreflightFailed"
    web.open_gates()
    assert (aws.wait(asks).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))


def test_a_second_rollback_does_not_roll_back_the_first(aws: Aws, web: Web, held: Callable[[str], str]) -> None:
    aws.execute({})
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
    web.gates["staging"].clear()
    first = aws.start(ROLLBACK)
    aws.until(lambda: web.waiting["staging"] > 0)
    second = aws.start(ROLLBACK)
    aws.wait_for(second, "WaitForHolder")
    web.open_gates()
    assert (aws.wait(first).outcome, aws.wait(second).outcome) == ("CUT_OVER", "ALREADY_LIVE")
    assert aws.places == ("bittybot", "tao")


@pytest.mark.parametrize(("held_seconds", "pause"), [(0, 1), (24.5, 3), (7200, 120)])
def test_a_rollback_asks_again_after_a_tenth_of_the_time_that_a_repair_has_had_the_lock(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, held_seconds: float, pause: int
) -> None:
    aws.execute({})
    repair = aws.repair(aws.execute({"dryRun": True}).arn).arn
    since = datetime.now(UTC) - timedelta(seconds=held_seconds)
    aws.hold_lock(repair, since=since.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    monkeypatch.setattr(engine, "DURING_WAITS", [aws.delete_lock])
    running = SimpleNamespace(status_code=200), {"status": "RUNNING", "ResponseMetadata": {"HTTPStatusCode": 200}}
    with aws.just_before("stepfunctions", "DescribeExecution", lambda: running):
        rollback = aws.execute(ROLLBACK)
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert [MOVING_SECONDS, pause] == WAITS  # the dry run came just after the first cutover


def test_a_dry_run_of_a_rollback_asks_nobody(aws: Aws, web: Web, held: Callable[[str], str]) -> None:
    holder = held("staging")
    assert aws.execute({**ROLLBACK, "dryRun": True}).outcome == "CutoverInProgress"
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"


def test_several_rollbacks_of_one_bake_all_report_that_it_has_rolled_back(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": 600})
    bakes = aws.start({})
    aws.wait_for(bakes, "Bake")
    asking = [aws.start(ROLLBACK) for _ in range(3)]
    assert aws.wait(bakes).outcome == "RolledBack"
    ended = [aws.wait(arn) for arn in asking]
    assert [each.outcome for each in ended] == ["ALREADY_LIVE"] * 3
    for each in ended:
        assert each.output["warnings"] == [f"{bakes} was asked to roll back, and has ended."]
    assert aws.places == ("bittybot", "tao")


def test_a_rollback_asks_again_if_the_cutover_that_it_asked_was_stopped_before_it_rolled_back(
    aws: Aws, web: Web
) -> None:
    aws.configure(port=web.port, pair={"bakeSeconds": 600})
    bakes = aws.start({})
    aws.wait_for(bakes, "Bake")
    with stopping_before("RestoreProduction"):
        asks = aws.start(ROLLBACK)
        aws.until(lambda: aws.status(bakes) == "ABORTED")
    aws.configure(port=web.port)
    assert (aws.wait(asks).outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
