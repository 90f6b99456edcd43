"""A cutover that begins just after another outcome: EC2 may show the state before it, so it waits before it plans."""

from collections.abc import Callable

import pytest

from local.faults import Fault
from stacks.functions.functions import MOVING_SECONDS
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import WAITS
from tests.workflow.web import Web


def test_a_cutover_waits_before_it_plans_from_a_description_that_may_be_old(aws: Aws, ec2_calls: EC2Calls) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    ec2_calls.inject(Fault(action="DescribeAddresses", kind="stale", times=1))
    second = aws.execute({})
    assert (second.outcome, second.cause, aws.places) == ("CUT_OVER", None, ("bittybot", "tao"))
    assert second.states[:3] == ["DescribeAddresses", "WaitForAddresses", "DescribeAddresses"]
    assert [MOVING_SECONDS] == WAITS


def test_it_waits_again_after_the_execution_that_it_has_waited_for(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    holder = held("staging")
    waits = aws.start({"waitSeconds": 600})
    aws.wait_for(waits, "WaitForHolder")
    web.open_gates()
    assert (aws.wait(holder).outcome, aws.wait(waits).outcome) == ("CUT_OVER", "CUT_OVER")
    states = aws.entered(waits)
    assert states.count("WaitForAddresses") == 1
    assert states.index("WaitForAddresses") > states.index("WaitForHolder")


@pytest.mark.parametrize("value", [{"rollback": True}, {"emergency": True}], ids=str)
def test_users_do_not_wait_for_a_rollback_or_an_emergency_that_begins_at_once(
    aws: Aws, value: dict[str, object]
) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    urgent = aws.execute(value)
    assert (urgent.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert WAITS == []


def test_a_rollback_waits_if_ec2_does_not_show_the_cutover_that_it_undoes(aws: Aws, ec2_calls: EC2Calls) -> None:
    assert aws.execute({}).outcome == "CUT_OVER"
    ec2_calls.inject(Fault(action="DescribeAddresses", kind="stale", times=1))
    rollback = aws.execute({"rollback": True})
    assert (rollback.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert [MOVING_SECONDS] == WAITS
