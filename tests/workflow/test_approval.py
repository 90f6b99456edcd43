"""An execution with a release waits for approval after its checks and before its first change."""

import json
from datetime import datetime

import boto3
import pytest

from tests.unit.test_alarms import put_alarm
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import REGION, stopping_before
from tests.workflow.given_approval import DEPLOY, ERIN, RELEASE, Configured, Waiting
from tests.workflow.given_hooks import hook, steps_of
from tests.workflow.test_health_checks import ALARM
from tests.workflow.web import Web, sick

UNTOUCHED = "Production was not touched."


@pytest.mark.usefixtures("approval")
def test_a_release_waits_after_its_checks_and_becomes_live_once_it_is_approved(aws: Aws, ec2_calls: EC2Calls) -> None:
    waits = Waiting(aws)
    assert aws.entered(waits.arn)[-1] == "WaitForApproval"
    assert "Preflight" in aws.entered(waits.arn)
    assert (ec2_calls.changes, aws.places) == ([], ("bittybot", "tao"))
    ended = waits.approve()
    assert (ended.outcome, ended.output["approvedBy"], aws.places) == ("CUT_OVER", ERIN, ("tao", "bittybot"))
    assert ended.states.count("Preflight") == 2
    assert (ended.states.count("WaitForApproval"), ended.states.count("DeployRelease")) == (1, 1)
    assert (aws.notices[-1]["approvedBy"], aws.events[-1]["detail"]["approvedBy"]) == (ERIN, ERIN)
    assert f"\nApproved by {ERIN}.\n" in aws.messages[-1]["default"]
    assert (aws.locks, waits.lock) == ([], None)


@pytest.mark.usefixtures("approval")
def test_the_lock_says_that_it_waits_only_until_it_is_approved(aws: Aws) -> None:
    waits = Waiting(aws)
    with stopping_before("MeasureGap"):
        boto3.client("stepfunctions", REGION).send_task_success(taskToken=waits.token, output="{}")
        aws.until(lambda: aws.status(waits.arn) == "ABORTED")
    (item,) = aws.locks
    assert item["execution"]["S"] == waits.arn
    assert not {"approvalToken", "approvesUntil"} & item.keys()


@pytest.mark.usefixtures("approval")
def test_the_lock_has_the_token_and_until_when_it_counts(aws: Aws) -> None:
    waits = Waiting(aws)
    item = waits.lock or {}
    assert item["execution"] == waits.arn
    left = datetime.fromisoformat(item["approvesUntil"]) - datetime.fromisoformat(item["since"])
    assert 3600 <= left.total_seconds() < 3660
    waits.approve()


@pytest.mark.usefixtures("approval")
def test_topic_and_event_say_what_to_open_until_when_and_how_to_answer(aws: Aws, web: Web) -> None:
    waits = Waiting(aws)
    url, until = f"http://127.0.0.11:{web.port}/health", (waits.lock or {})["approvesUntil"]
    (message,), (notice,), (event,) = aws.messages, aws.notices, aws.events
    assert aws.subjects == ["eip-cutover: web AWAITS_APPROVAL"]
    assert message["default"] == (
        f"Release 7 is on tao and has passed its checks: {url}\n"
        f"It becomes live if it is approved until {until}. To answer:\n"
        f"./cutover.py approve --pair web\n./cutover.py reject --pair web\n\nExecution: {waits.arn}"
    )
    shown = {
        "outcome": "AWAITS_APPROVAL", "pair": "web", "release": "7", "server": "tao", "stagingUrl": url,
        "approvesUntil": until, "execution": waits.arn, "workflow": "eip-cutover",
        "production": aws.described("production"), "staging": aws.described("staging"),
    }  # fmt: skip
    assert {**notice, "startedAt": None} == {**shown, "startedAt": None}
    assert event["detail"] == notice
    assert (event["detail-type"], event["source"]) == ("Elastic IP Cutover Awaits Approval", "eip-cutover")
    for protocol in ("lambda", "http", "firehose"):
        assert json.loads(message[protocol]) == notice
    chat = json.loads(message["https"])
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert chat["content"]["title"] == "eip-cutover: web AWAITS_APPROVAL"
    assert chat["content"]["description"] == message["default"]
    assert chat["metadata"]["additionalContext"]["outcome"] == "AWAITS_APPROVAL"
    assert aws.attributes == [{"outcome": "AWAITS_APPROVAL", "pair": "web"}]
    waits.approve()


def test_the_staging_url_is_that_of_the_first_check(aws: Aws, web: Web) -> None:
    pair = {"deploy": DEPLOY, "approval": {"timeoutMinutes": 60}}
    aws.configure(port=web.port, pair=pair, protocol="TCP")
    waits = Waiting(aws)
    assert aws.notices[0]["stagingUrl"] == f"tcp://127.0.0.11:{web.port}"
    waits.approve()


@pytest.mark.usefixtures("approval")
def test_a_release_that_is_rejected_does_not_become_live_and_says_who_rejected_it(
    aws: Aws, ec2_calls: EC2Calls
) -> None:
    ended = Waiting(aws).reject()
    assert ended.outcome == "NotApproved"
    assert ended.cause == f"Release 7 was not approved: rejected by {ERIN}: not on a Friday. {UNTOUCHED}"
    assert (ec2_calls.changes, aws.locks, aws.places) == ([], [], ("bittybot", "tao"))
    assert aws.notices[-1]["cause"] == ended.cause


def test_a_release_that_nobody_approves_does_not_become_live(aws: Aws, approval: Configured) -> None:
    approval(minutes=1)
    waits = Waiting(aws)
    until = (waits.lock or {})["approvesUntil"]
    ended = aws.wait(waits.arn)
    assert ended.outcome == "NotApproved"
    assert ended.cause == f"Nobody approved release 7 until {until}. {UNTOUCHED}"
    assert (aws.locks, aws.places) == ([], ("bittybot", "tao"))


@pytest.mark.parametrize("value", [{}, {**RELEASE, "dryRun": True}, {**RELEASE, "emergency": True}])
@pytest.mark.usefixtures("approval")
def test_only_an_execution_with_a_release_waits_and_no_dry_run_and_no_emergency(aws: Aws, value: object) -> None:
    ended = aws.execute(value)
    assert ended.outcome in ("CUT_OVER", "DRY_RUN")
    assert "WaitForApproval" not in ended.states
    assert "approvedBy" not in ended.output


@pytest.mark.usefixtures("approval")
def test_a_rollback_does_not_wait_for_approval(aws: Aws) -> None:
    Waiting(aws).approve()
    assert aws.execute({"rollback": True}).outcome == "CUT_OVER"


# What happened meanwhile.


@pytest.mark.usefixtures("approval")
def test_the_idle_server_is_checked_again_after_the_wait(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    waits = Waiting(aws)
    web.behaviour["tao"] = sick
    ended = waits.approve()
    assert (ended.outcome, ec2_calls.changes, aws.locks) == ("StagingUnhealthy", [], [])
    assert str(ended.cause).endswith(UNTOUCHED)


@pytest.mark.parametrize("address", ["production", "staging"])
@pytest.mark.usefixtures("approval")
def test_an_address_that_someone_moved_during_the_wait_is_noticed(aws: Aws, ec2_calls: EC2Calls, address: str) -> None:
    waits = Waiting(aws)
    aws.disassociate(aws.production if address == "production" else aws.staging)
    ended = waits.approve()
    assert (ended.outcome, ec2_calls.changes, aws.locks) == ("AddressMoved", [], [])


def test_a_cutover_does_not_begin_if_an_alarm_was_raised_during_the_wait(
    aws: Aws, approval: Configured, ec2_calls: EC2Calls
) -> None:
    cloudwatch = boto3.client("cloudwatch", REGION)
    put_alarm(cloudwatch, ALARM)
    approval(alarms=[ALARM])
    waits = Waiting(aws)
    put_alarm(cloudwatch, ALARM, "ALARM", "7 answers of 500 in 1 minute")
    ended = waits.approve()
    cloudwatch.delete_alarms(AlarmNames=[ALARM])
    assert (ended.outcome, ec2_calls.changes, aws.locks) == ("PreflightFailed", [], [])
    assert "7 answers of 500 in 1 minute" in str(ended.cause)
    assert str(ended.cause).endswith(UNTOUCHED)
    assert "Nothing was changed" not in str(ended.cause)


def test_hooks_run_after_the_approval_and_not_before(aws: Aws, approval: Configured) -> None:
    hooks = {"beforeCutover": [hook("live")], "afterRollback": [hook("live")]}
    approval(hooks=hooks)
    Waiting(aws).reject()
    assert steps_of(aws) == ["deploy"]
    Waiting(aws).approve()
    assert steps_of(aws) == ["deploy", "deploy", "beforeCutover0"]
