"""What else may happen to an execution that waits for approval: a rollback, a stop, odd answers, services that fail."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workflow.account import ERROR, INTERNAL_ERROR, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import stopping_before
from tests.workflow.given_approval import ERIN, RELEASE, Waiting
from tests.workflow.web import Web, sick_as_production

ROLLBACK = {"rollback": True}
UNTOUCHED = "Production was not touched."
pytestmark = pytest.mark.usefixtures("approval")


def test_a_rollback_ends_the_wait(aws: Aws, ec2_calls: EC2Calls) -> None:
    waits = Waiting(aws)
    asks = aws.start(ROLLBACK)
    ended = aws.wait(waits.arn)
    assert ended.outcome == "NotApproved"
    assert ended.cause == f"Release 7 was not approved: The execution {asks} asked for a rollback. {UNTOUCHED}"
    asked = aws.wait(asks)
    assert (asked.outcome, asked.states.count("EndApproval")) == ("ALREADY_LIVE", 1)
    assert (ec2_calls.changes, aws.locks, aws.places) == ([], [], ("bittybot", "tao"))


def test_a_rollback_that_asks_just_before_the_wait_begins_prevents_it(aws: Aws) -> None:
    asks: list[str] = []

    def ask() -> None:
        if not asks:
            asks.append(aws.start(ROLLBACK))
            aws.wait_for(asks[0], "WaitForHolder")

    with aws.just_before("events", "PutEvents", ask, containing="AWAITS_APPROVAL"):
        waits = aws.start(RELEASE)
        ended = aws.wait(waits)
    assert ended.outcome == "NotApproved"
    assert ended.cause == (
        "Release 7 was not approved: another execution asked for a rollback, or has taken the lock of pair web. "
        f"{UNTOUCHED}"
    )
    asked = aws.wait(asks[0])
    assert (asked.outcome, "EndApproval" in asked.states) == ("ALREADY_LIVE", False)
    assert aws.locks == []


def test_a_rollback_that_asks_after_the_approval_ends_the_execution(aws: Aws, web: Web) -> None:
    waits = Waiting(aws)
    web.gates["staging"].clear()
    aws.sfn.send_task_success(taskToken=waits.token, output=json.dumps({"approvedBy": ERIN}))
    aws.until(lambda: web.waiting["staging"] > 0)
    asks = aws.start(ROLLBACK)
    aws.wait_for(asks, "WaitForHolder")
    web.open_gates()
    ended = aws.wait(waits.arn)
    assert (ended.outcome, aws.wait(asks).outcome) == ("PreflightFailed", "ALREADY_LIVE")
    assert f"{asks} asked for a rollback" in str(ended.cause)


def test_an_execution_that_is_stopped_while_it_waits_is_repaired(aws: Aws) -> None:
    waits = Waiting(aws)
    aws.sfn.stop_execution(executionArn=waits.arn)
    aws.until(lambda: aws.status(waits.arn) == "ABORTED")
    repair = aws.repair(waits.arn)
    assert (repair.outcome, aws.locks, waits.lock) == ("REPAIRED", [], None)
    assert "approvedBy" not in repair.output
    with pytest.raises(aws.sfn.exceptions.TaskTimedOut):
        waits.approve()
    again = Waiting(aws)
    assert again.approve().outcome == "CUT_OVER"


def test_nothing_waits_for_an_answer_while_the_repair_works(aws: Aws) -> None:
    waits = Waiting(aws)
    aws.sfn.stop_execution(executionArn=waits.arn)
    aws.until(lambda: aws.status(waits.arn) == "ABORTED")
    with stopping_before("DescribeAddresses"):
        repair = aws.start_text(json.dumps({"execution": waits.arn, "status": "ABORTED"}), aws.repair_machine)
        aws.until(lambda: aws.status(repair) == "ABORTED")
    assert ([lock["execution"]["S"] for lock in aws.locks], waits.lock) == ([repair], None)
    assert aws.repair(repair).outcome == "REPAIRED"


def test_the_next_execution_takes_over_the_lock_of_one_that_was_stopped_while_it_waited(aws: Aws) -> None:
    waits = Waiting(aws)
    aws.sfn.stop_execution(executionArn=waits.arn)
    aws.until(lambda: aws.status(waits.arn) == "ABORTED")
    kept = aws.execute({"serverName": "bittybot"})
    assert (kept.outcome, aws.locks, waits.lock) == ("ALREADY_LIVE", [], None)


def test_another_execution_waits_for_the_answer_if_it_has_time(aws: Aws) -> None:
    waits = Waiting(aws)
    assert aws.execute({}).outcome == "CutoverInProgress"
    later = aws.start({"serverName": "tao", "waitSeconds": 900})
    aws.wait_for(later, "WaitForHolder")
    assert waits.approve().outcome == "CUT_OVER"
    assert aws.wait(later).outcome == "ALREADY_LIVE"


@pytest.mark.parametrize("value", [{"approvedBy": "me"}, {"approvalMinutes": 0}, {"plan": {"approvedBy": "me"}}, [1]])
def test_nothing_in_an_input_is_an_approval(aws: Aws, value: Any) -> None:
    given = {**RELEASE, **value} if isinstance(value, dict) else value
    ended = aws.execute(given)
    assert (ended.outcome, aws.places) == ("InvalidRequest", ("bittybot", "tao"))
    assert "approvedBy" not in aws.notices[0]


@pytest.mark.parametrize(
    ("output", "by"),
    [
        ({}, "someone"), (None, ERIN), ([], "someone"), ("erin", "someone"), (7, "someone"),
        ({"approvedBy": None}, "someone"),
        ({"approvedBy": ["a", "b"]}, "someone"), ({"approvedBy": {"name": "a"}}, "someone"),
        ([{"approvedBy": "a"}, {"approvedBy": "b"}], "someone"), ({"approvedBy": ""}, "someone"),
        ({"approvedBy": "erin\n<!channel> [x](y)"}, "erin??!channel? ?x?(y)"),
        ({"approvedBy": "x" * 200_000}, "x" * 256), ({"approvedBy": "erin", "outcome": "CUT_OVER", "plan": 1}, "erin"),
    ],
)  # fmt: skip
def test_whatever_an_approval_has_it_is_recorded_safely(aws: Aws, output: Any, by: str) -> None:
    ended = Waiting(aws).approve(output)
    assert (ended.outcome, ended.output["approvedBy"], aws.places) == ("CUT_OVER", by, ("tao", "bittybot"))


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        ("Rejected", "", "no reason was given."),
        ("Rejected", '{"errorMessage":}', '{"errorMessage":}.'),
        ("Rejected", "no\n<!here> " + "x" * 20_000, "no??!here? " + "x" * 1013 + "."),
        ("NotToday", "it rains", "NotToday: it rains."),
        ("CutoverInProgress", "", "CutoverInProgress: no reason was given."),
    ],
)
def test_whatever_a_rejection_has_it_is_shown_safely(aws: Aws, error: str, cause: str, said: str) -> None:
    ended = Waiting(aws).reject(error, cause)
    assert ended.outcome == "NotApproved"
    assert ended.cause == f"Release 7 was not approved: {said} {UNTOUCHED}"
    assert aws.locks == []


def test_who_approved_a_release_is_recorded_if_it_is_rolled_back(aws: Aws, web: Web) -> None:
    waits = Waiting(aws)
    web.behaviour["tao"] = sick_as_production
    ended = waits.approve()
    assert (ended.outcome, aws.places) == ("RolledBack", ("bittybot", "tao"))
    assert (aws.notices[-1]["approvedBy"], aws.events[-1]["detail"]["approvedBy"]) == (ERIN, ERIN)


@pytest.mark.parametrize("failing", [lambda: Aws.failing("sns", "Publish"), lambda: Aws.failing("events", "PutEvents")])
def test_an_execution_waits_although_it_could_not_say_so(
    aws: Aws, failing: Callable[[], AbstractContextManager[None]]
) -> None:
    with failing():
        ended = Waiting(aws).approve()
    assert (ended.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))


def test_a_call_to_dynamodb_that_fails_is_tried_again(aws: Aws) -> None:
    failures: list[int] = []

    def fail_twice() -> object:
        failures.append(1)
        answer = SimpleNamespace(status_code=500), {"Error": ERROR, "ResponseMetadata": INTERNAL_ERROR}
        return answer if len(failures) < 3 else None

    with aws.just_before("dynamodb", "UpdateItem", fail_twice, containing="approvalToken = "):
        ended = Waiting(aws).approve()
    assert (ended.outcome, ended.states.count("WaitForApproval")) == ("CUT_OVER", 1)
    assert len(failures) == 3


def test_an_approval_counts_although_dynamodb_does_not_record_it(aws: Aws) -> None:
    with aws.failing("dynamodb", "UpdateItem", containing="REMOVE approvalToken"):
        ended = Waiting(aws).approve()
    assert (ended.outcome, ended.output["approvedBy"], aws.places) == ("CUT_OVER", ERIN, ("tao", "bittybot"))


def test_an_approval_does_not_remove_the_token_of_an_execution_that_has_taken_the_lock(aws: Aws) -> None:
    waits = Waiting(aws)
    holder = f"{waits.arn}-of-another"

    def take() -> None:
        aws._update("SET execution = :other", {":other": holder})

    with (
        stopping_before("CheckServers"),
        aws.just_before("dynamodb", "UpdateItem", take, containing="REMOVE approvalToken"),
    ):
        aws.sfn.send_task_success(taskToken=waits.token, output="{}")
        aws.until(lambda: aws.status(waits.arn) == "ABORTED")
    assert waits.lock
    assert (waits.lock["execution"], waits.lock["approvalToken"]) == (holder, waits.token)


def test_a_release_does_not_become_live_if_dynamodb_does_not_take_the_token(aws: Aws) -> None:
    with aws.failing("dynamodb", "UpdateItem", containing="approvalToken = "):
        ended = aws.execute(RELEASE)
    assert (ended.outcome, aws.places, aws.locks) == ("NotApproved", ("bittybot", "tao"), [])
    assert str(ended.cause).startswith("Release 7 was not approved: DynamoDb.")


def test_an_execution_that_lost_its_lock_does_not_wait(aws: Aws) -> None:
    with aws.just_before("events", "PutEvents", aws.delete_lock, containing="AWAITS_APPROVAL"):
        ended = aws.execute(RELEASE)
    assert (ended.outcome, aws.places) == ("NotApproved", ("bittybot", "tao"))


@pytest.mark.parametrize("state", ["NotifyApproval", "PutApprovalEvent", "EndApproval"])
def test_an_execution_that_is_stopped_around_the_wait_is_repaired(aws: Aws, state: str) -> None:
    with stopping_before(state):
        arn = aws.start(RELEASE)
        if state == "EndApproval":
            aws.until(lambda: any("approvalToken" in lock for lock in aws.locks))
            asks = aws.start(ROLLBACK)
            aws.until(lambda: aws.status(asks) == "ABORTED")
            aws.sfn.stop_execution(executionArn=arn)
        aws.until(lambda: aws.status(arn) == "ABORTED")
    assert (aws.repair(arn).outcome, aws.locks, aws.places) == ("REPAIRED", [], ("bittybot", "tao"))
