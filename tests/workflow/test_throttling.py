"""Throttling is a queue and not a fault: a cutover waits for its turn, but not for ever."""

import pytest

from tests.workflow import engine
from tests.workflow.account import FEWER_THROTTLED_TRIES, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

THROTTLED = "RequestLimitExceeded"
CALLS = [
    ("DescribeAddresses", 1), ("DescribeInstances", 1), ("DescribeInstanceStatus", 1),
    ("AssociateAddress (dry run)", 1), ("AssociateAddress (dry run)", 2), ("DisassociateAddress (dry run)", 1),
    ("DisassociateAddress", 1), ("AssociateAddress", 1), ("AssociateAddress", 2),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_wait_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TIME_SCALE", 0.0001)


@pytest.mark.parametrize(("action", "nth"), CALLS)
def test_a_cutover_continues_when_any_call_is_throttled(aws: Aws, ec2_calls: EC2Calls, action: str, nth: int) -> None:
    ec2_calls.fail(action, THROTTLED, nth=nth, times=50)
    assert aws.execute({}).outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []


def test_a_passed_rehearsal_is_not_repeated_while_the_next_rehearsal_waits(aws: Aws, ec2_calls: EC2Calls) -> None:
    ec2_calls.fail("AssociateAddress (dry run)", THROTTLED, nth=2, times=20)
    assert aws.execute({"dryRun": True}).outcome == "DRY_RUN"
    assert ec2_calls.made.count("AssociateAddress (dry run)") == 1 + 20 + 1


@pytest.mark.parametrize("nth", [3, 4])
def test_a_rollback_waits_for_its_turn_too(aws: Aws, web: Web, ec2_calls: EC2Calls, nth: int) -> None:
    web.behaviour["tao"] = sick_as_production
    ec2_calls.fail("AssociateAddress", THROTTLED, nth=nth, times=50)
    assert aws.execute({}).outcome == "RolledBack"
    assert aws.places == ("bittybot", "tao")


def test_throttled_tries_do_not_use_up_the_tries_of_other_failures(aws: Aws, ec2_calls: EC2Calls) -> None:
    ec2_calls.fail("AssociateAddress", THROTTLED, nth=1, times=20)
    ec2_calls.fail("AssociateAddress", "InternalError", nth=21, times=4)
    assert aws.execute({}).outcome == "CUT_OVER"


def test_an_execution_that_is_always_throttled_before_the_first_change_changes_nothing(
    aws: Aws, ec2_calls: EC2Calls
) -> None:
    ec2_calls.fail_from_now_on("AssociateAddress (dry run)", THROTTLED)
    execution = aws.execute({})
    assert execution.outcome == "PreflightFailed"
    assert "EC2Throttled: AssociateAddress of " in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.locks == []


def test_an_execution_that_is_always_throttled_after_the_first_change_rolls_back(aws: Aws, ec2_calls: EC2Calls) -> None:
    ec2_calls.fail("AssociateAddress", THROTTLED, nth=1, times=FEWER_THROTTLED_TRIES + 10)
    execution = aws.execute({})
    assert execution.outcome == "RolledBack"
    assert str(execution.cause).startswith("ReassociateProduction failed with EC2Throttled: AssociateAddress of ")
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []
