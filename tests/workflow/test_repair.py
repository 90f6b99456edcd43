"""The repair after a stopped execution: production stays, staging moves to the other server, the lock is released."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.functions.functions import CHANGE_TIMEOUT, LAST_CALL
from stacks.workflow.repair import GIVES_WAY_SECONDS, MOST_WAITS
from tests.workflow import engine
from tests.workflow.account import RELEASES, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import WAITS, stopping_before
from tests.workflow.web import Web, sick

LONG = "x" * 250_000

Dead = Callable[[str, str | None], str]


@pytest.fixture
def dead(aws: Aws, stopped: Callable[[], str]) -> Dead:
    """An execution that was stopped while it held the lock, the addresses left where a test wants them: its ARN."""

    def stop(production: str, staging: str | None) -> str:
        arn = stopped()
        aws.place(production=production, staging=staging)
        return arn

    return stop


@pytest.mark.parametrize(
    ("production", "staging"), [("bittybot", "tao"), ("bittybot", None), ("tao", None), ("tao", "bittybot")]
)
def test_production_stays_staging_goes_to_the_idle_server_and_the_lock_is_released(
    aws: Aws, dead: Dead, production: str, staging: str | None
) -> None:
    arn = dead(production, staging)
    execution = aws.repair(arn)
    assert execution.outcome == "REPAIRED"
    assert aws.places == (production, "tao" if production == "bittybot" else "bittybot")
    assert execution.output["production"] == execution.output["previous"]["production"]
    assert aws.locks == []
    (notice,) = aws.notices
    assert (notice["outcome"], notice["repairs"], notice["pair"]) == ("REPAIRED", arn, "web")


def test_nothing_is_changed_before_the_last_call_of_the_dead_execution_is_over(aws: Aws, dead: Dead) -> None:
    execution = aws.repair(dead("tao", None))
    assert execution.states.index("WaitForLastCall") < execution.states.index("RepairStaging")
    assert max(WAITS) > CHANGE_TIMEOUT.to_seconds()


def waits_until(aws: Aws, arn: str) -> datetime:
    """When an execution that waits for a dead lock takes it."""
    events = aws.sfn.get_execution_history(executionArn=arn)["events"]
    left = (event["stateExitedEventDetails"] for event in events if "stateExitedEventDetails" in event)
    (output,) = (json.loads(details["output"]) for details in left if details["name"] == "DescribeLockHolder")
    return datetime.fromisoformat(output["lastCallOver"])


def test_an_execution_that_waits_for_a_dead_lock_takes_it_before_the_repair(aws: Aws) -> None:
    dead = aws.execute({"dryRun": True}).arn
    aws.put_lock(dead, server="tao")
    execution = aws.execute({"dryRun": True})
    aws.put_lock(dead, server="tao")
    repair = aws.repair(dead)
    assert (execution.outcome, repair.outcome) == ("DRY_RUN", "REPAIRED")
    assert waits_until(aws, repair.arn) - waits_until(aws, execution.arn) == timedelta(seconds=GIVES_WAY_SECONDS)


def test_an_execution_that_held_no_lock_needs_no_repair(aws: Aws, ec2_calls: EC2Calls) -> None:
    arn = aws.execute({"serverName": "bittybot"}).arn
    aws.forget_notices()
    execution = aws.repair(arn)
    assert execution.outcome == "NOTHING_TO_REPAIR"
    assert "held no lock" in execution.output["cause"]
    assert ec2_calls.changes == []
    assert [notice["outcome"] for notice in aws.notices] == ["NOTHING_TO_REPAIR"]


def test_an_execution_that_failed_by_itself_is_not_repaired_or_announced_again(
    aws: Aws, web: Web, ec2_calls: EC2Calls
) -> None:
    web.behaviour["tao"] = sick
    arn = aws.execute({}).arn
    aws.forget_notices()
    ec2_calls.made.clear()
    execution = aws.repair(arn)
    assert execution.outcome == "NOTHING_TO_REPAIR"
    assert execution.states == ["FindLock", "LockFound?", "Outcome?", "NothingToRepair"]
    assert (aws.notices, aws.events, ec2_calls.made) == ([], [], [])


def test_the_repair_does_not_take_a_lock_that_another_execution_took_over(
    aws: Aws, dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = dead("tao", None)
    monkeypatch.setattr(engine, "DURING_WAITS", [lambda: aws.put_lock("another-execution", server="tao")])
    execution = aws.repair(arn)
    assert execution.outcome == "NOTHING_TO_REPAIR"
    assert [lock["execution"]["S"] for lock in aws.locks] == ["another-execution"]
    assert aws.places == ("tao", None)


def test_a_lock_that_changes_just_before_the_repair_takes_it_is_read_again(
    aws: Aws, dead: Dead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a function of the dead execution that starts late, and begins a command."""
    arn = dead("tao", None)
    once = [lambda: aws._update("REMOVE execution", {})]
    monkeypatch.setattr(engine, "DURING_WAITS", [lambda: once and once.pop()()])
    with aws.just_before("dynamodb", "Scan", lambda: aws._update("SET execution = :dead", {":dead": arn})):
        execution = aws.repair(arn)
    assert (execution.outcome, aws.places, aws.locks) == ("REPAIRED", ("tao", "bittybot"), [])
    assert execution.states.count("FindLock") == 2


def test_the_repair_finds_the_lock_of_the_dead_execution_among_several_pairs(aws: Aws, dead: Dead) -> None:
    aws.put_lock("of-another-pair", server="one", pair="another")
    aws.put_lock("of-a-third-pair", server="one", pair="third")
    execution = aws.repair(dead("tao", None))
    assert execution.outcome == "REPAIRED"
    assert sorted(lock["pair"]["S"] for lock in aws.locks) == ["another", "third"]


def test_a_lock_belongs_to_the_repair_even_if_the_answer_to_its_takeover_was_lost(aws: Aws, dead: Dead) -> None:
    arn = dead("tao", None)
    with aws.losing_an_answer("dynamodb", "UpdateItem"):
        execution = aws.repair(arn)
    assert execution.outcome == "REPAIRED"
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []


def test_while_it_repairs_the_lock_names_the_repair_and_the_server_to_become_live(aws: Aws, dead: Dead) -> None:
    arn = dead("tao", None)
    seen: list[dict[str, Any]] = []
    with aws.just_before("dynamodb", "UpdateItem", lambda: seen.extend(aws.locks), containing=RELEASES):
        execution = aws.repair(arn)
    ((pair, holder, server),) = ((lock["pair"], lock["execution"], lock["server"]) for lock in seen)
    assert (pair, holder, server) == ({"S": "web"}, {"S": execution.arn}, {"S": "tao"})


@pytest.mark.parametrize(("seconds", "outcome"), [(40, "REPAIRED"), (80, "REPAIRED"), (1000, "RepairFailed")])
def test_an_execution_that_is_still_shown_as_running_after_its_end_is_described_again(
    aws: Aws, dead: Dead, seconds: int, outcome: str
) -> None:
    """DescribeExecution is eventually consistent."""
    running = SimpleNamespace(status_code=200), {"status": "RUNNING", "ResponseMetadata": {"HTTPStatusCode": 200}}
    arn = dead("tao", None)
    WAITS.clear()
    with aws.just_before("stepfunctions", "DescribeExecution", lambda: None if sum(WAITS) > seconds else running):
        execution = aws.repair(arn)
    assert execution.outcome == outcome, execution.cause
    assert aws.places == ("tao", "bittybot" if outcome == "REPAIRED" else None)
    assert len(aws.locks) == (outcome == "RepairFailed")
    assert sum(WAITS) <= (MOST_WAITS + 1) * LAST_CALL.to_seconds()


@pytest.mark.parametrize(
    ("dead", "status"), [(LONG, "FAILED"), (LONG, "ABORTED"), ("x", LONG)], ids=["failed", "aborted", "status"]
)
def test_a_text_that_is_too_long_to_be_valid_is_logged_at_most_once_beside_step_functions(
    aws: Aws, dead: str, status: str
) -> None:
    execution = aws.repair(dead, status)
    assert execution.outcome == "NOTHING_TO_REPAIR"
    assert "an input of 250000 characters" in execution.output["cause"]
    history = aws.sfn.get_execution_history(executionArn=execution.arn)["events"]
    large = [event["type"] for event in history if len(json.dumps(event, default=str)) > 5000]
    assert large == ["ExecutionStarted", "TaskStateEntered"]


def test_an_execution_that_step_functions_no_longer_knows_is_repaired(aws: Aws) -> None:
    forgotten = aws.state_machine.replace(":stateMachine:", ":execution:") + ":forgotten"
    aws.put_lock(forgotten, server="tao")
    execution = aws.repair(forgotten, status="ABORTED")
    assert execution.outcome == "REPAIRED"
    assert aws.locks == []


def test_a_repair_that_cannot_read_the_locks_fails_and_says_so(aws: Aws, dead: Dead, ec2_calls: EC2Calls) -> None:
    arn = dead("tao", None)
    ec2_calls.made.clear()
    with aws.failing("dynamodb", "Scan"):
        execution = aws.repair(arn)
    assert execution.outcome == "RepairFailed"
    assert "FindLock failed with DynamoDb" in str(execution.cause)
    assert ec2_calls.made == []
    assert [lock["execution"]["S"] for lock in aws.locks] == [arn]


def test_a_pair_that_cannot_be_repaired_is_announced_and_released(aws: Aws, dead: Dead) -> None:
    arn = dead("tao", None)
    aws.disassociate(aws.production)
    execution = aws.repair(arn)
    assert execution.outcome == "RepairFailed"
    assert "ended ABORTED, and its pair could not be repaired" in str(execution.cause)
    assert "is on no server, so no server is live" in str(execution.cause)
    assert aws.locks == []


def test_a_repair_that_ec2_refuses_is_announced_and_moves_nothing(aws: Aws, dead: Dead, ec2_calls: EC2Calls) -> None:
    arn = dead("tao", None)
    ec2_calls.fail_from_now_on("AssociateAddress", "OperationNotPermitted")
    execution = aws.repair(arn)
    assert execution.outcome == "RepairFailed"
    assert "RepairStaging failed with EC2Refused" in str(execution.cause)
    assert aws.places == ("tao", None)
    assert aws.locks == []


@pytest.mark.parametrize("code", ["InvalidAction", "InternalError", "RequestLimitExceeded"])
def test_a_repair_needs_neither_border_groups_nor_offers(aws: Aws, dead: Dead, ec2_calls: EC2Calls, code: str) -> None:
    arn = dead("tao", None)
    ec2_calls.made.clear()
    ec2_calls.fail_from_now_on("DescribeAvailabilityZones", code)
    execution = aws.repair(arn)
    assert (execution.outcome, aws.places) == ("REPAIRED", ("tao", "bittybot"))
    (warning,) = execution.output["warnings"]
    assert f"DescribeAvailabilityZones of us-east-1a failed with {code}" in warning
    assert "DescribeAddressTransfers" not in ec2_calls.made


def test_after_a_repair_the_next_execution_works(aws: Aws, dead: Dead) -> None:
    aws.repair(dead("bittybot", None))
    assert aws.execute({}).outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")


def test_production_that_the_repair_displaced_goes_back_at_once(aws: Aws, dead: Dead, ec2_calls: EC2Calls) -> None:
    arn = dead("bittybot", None)
    ec2_calls.before("AssociateAddress", lambda: aws.associate(aws.production, "tao"), nth=3)
    execution = aws.repair(arn)
    assert execution.outcome == "RepairFailed"
    assert "Someone else moved the production address" in str(execution.cause)
    assert (aws.places, aws.locks) == (("bittybot", "tao"), [])


def test_staging_that_the_next_execution_put_back_stays_even_if_that_execution_fails(aws: Aws, web: Web) -> None:
    """The next execution takes over the dead lock, repairs staging, and finds an unhealthy server."""
    with stopping_before("ReassociateProduction"):
        arn = aws.start({})
        aws.until(lambda: aws.status(arn) != "RUNNING")
    assert aws.holder(aws.staging) is None
    web.behaviour["tao"] = sick
    assert aws.execute({}).outcome == "StagingUnhealthy"
    assert (aws.places, aws.locks) == (("bittybot", "tao"), [])
    assert aws.repair(arn).outcome == "NOTHING_TO_REPAIR"
    assert aws.places == ("bittybot", "tao")


def test_a_person_can_start_the_repair_for_a_pair(aws: Aws, dead: Dead) -> None:
    arn = dead("tao", None)
    execution = aws.unlock("web")
    assert execution.outcome == "REPAIRED"
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []
    assert aws.events[-1]["detail"]["repairs"] == arn


def test_the_repair_that_a_person_starts_leaves_a_running_holder_alone(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    holder = held("staging")
    execution = aws.unlock("web")
    assert execution.outcome == "NOTHING_TO_REPAIR"
    assert execution.output["holder"] == holder
    assert execution.output["cause"] == f"The execution {holder} still runs and keeps its lock. Nothing was changed."
    assert aws.notices == []
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"


def test_a_pair_that_nobody_holds_has_nothing_to_repair(aws: Aws) -> None:
    execution = aws.unlock("web")
    assert execution.output == {
        "outcome": "NOTHING_TO_REPAIR", "cause": "No execution holds the lock of pair web.", "holder": None,
    }  # fmt: skip
