"""The notifications of an execution: people and programs each get one, for every outcome, in their own form."""

import json
from datetime import datetime

import pytest

from tests.workflow.account import Aws
from tests.workflow.web import Behaviour, Web, sick, sick_as_production, well

FAR = {"outcome", "pair", "execution", "workflow", "startedAt", "endedAt"}
STANDING = FAR | {"production", "staging", "previous"}


@pytest.mark.parametrize(
    "value", [{}, {"serverName": "bittybot"}, {"dryRun": True}, {"pair": "other"}, {"serverName": "nobody"}]
)
def test_every_execution_is_announced_once_by_the_topic_and_once_by_an_event(
    aws: Aws, value: dict[str, object]
) -> None:
    execution = aws.execute(value)
    (notice,) = aws.notices
    (event,) = aws.events
    for report in (notice, event["detail"]):
        assert (report["outcome"], report["execution"]) == (execution.outcome, execution.arn)


@pytest.mark.parametrize(
    ("value", "idle", "subject", "keys"),
    [
        ({}, well, "eip-cutover: web CUT_OVER", STANDING),
        ({"serverName": "nobody"}, well, "eip-cutover: InvalidRequest", FAR - {"pair"} | {"cause"}),
        ({}, sick, "eip-cutover: web StagingUnhealthy", FAR | {"cause"}),
        ({}, sick_as_production, "eip-cutover: web RolledBack", FAR | {"cause"}),
    ],
)
def test_programs_receive_the_outcome_as_json(
    aws: Aws, web: Web, value: object, idle: Behaviour, subject: str, keys: set[str]
) -> None:
    web.behaviour["tao"] = idle
    execution = aws.execute(value)
    assert aws.subjects == [subject]
    (notice,), (event,), (message,) = aws.notices, aws.events, aws.messages
    assert set(notice) == keys
    assert notice.get("cause") == execution.cause
    assert {key: notice[key] for key in execution.output or {}} == (execution.output or {})
    assert {json.dumps(json.loads(message[protocol])) for protocol in ("sqs", "lambda", "http", "firehose")} == {
        json.dumps(notice)
    }
    assert aws.attributes == [{"outcome": execution.outcome, "pair": notice.get("pair", "-")}]
    assert event["source"] == "eip-cutover"
    assert event["detail-type"] == "Elastic IP Cutover Ended"
    assert execution.arn in event["resources"]
    notice["endedAt"] = event["detail"]["endedAt"]  # each tells when it was its turn
    assert notice == event["detail"]


def test_programs_receive_the_start_the_end_and_the_workflow(aws: Aws) -> None:
    aws.execute({})
    detail = aws.events[0]["detail"]
    assert detail["workflow"] == "eip-cutover"
    began, ended = (datetime.fromisoformat(detail[key]) for key in ("startedAt", "endedAt"))
    assert 0 < (ended - began).total_seconds() < 30


def test_people_receive_the_addresses_now_and_before(aws: Aws) -> None:
    execution = aws.execute({})
    (message,) = aws.messages
    tao, bittybot = (f"{name} ({aws.servers[name]})" for name in ("tao", "bittybot"))
    assert message["default"] == (
        f"Production 127.0.0.10 is on {tao}, staging 127.0.0.11 is on {bittybot}.\n"
        f"Before: production on {bittybot}, staging on {tao}.\n\n"
        f"Execution: {execution.arn}"
    )


def test_people_receive_the_reason_of_a_failure(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    execution = aws.execute({})
    (message,) = aws.messages
    assert message["default"] == f"{execution.cause}\n\nExecution: {execution.arn}"


def test_the_reason_of_a_failure_is_followed_by_what_could_not_be_checked(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    aws.ec2.terminate_instances(InstanceIds=[aws.servers["bittybot"]])
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "StagingUnhealthy"
    for report in (aws.notices[0], aws.events[0]["detail"]):
        (warning,) = report["warnings"]
        assert report["cause"] == execution.cause
        assert warning.startswith("Staging cannot go to bittybot, so it will be on no server.")
    (message,) = aws.messages
    assert message["default"] == f"{execution.cause}\n{warning}\n\nExecution: {execution.arn}"


def test_chat_applications_get_a_custom_notification(aws: Aws) -> None:
    """The form that Amazon Q Developer in chat applications takes; it drops what is in no form that it knows."""
    execution = aws.execute({})
    (message,) = aws.messages
    chat = json.loads(message["https"])
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert chat["content"] == {
        "textType": "client-markdown",
        "title": "eip-cutover: web CUT_OVER",
        "description": message["default"],
    }
    context = {"outcome": "CUT_OVER", "pair": "web", "execution": execution.arn}
    assert chat["metadata"]["additionalContext"] == context
    assert chat["metadata"]["relatedResources"] == [execution.arn]


def test_a_repair_is_announced_once_and_names_the_repaired_execution(aws: Aws) -> None:
    dead = aws.execute({"dryRun": True}).arn
    aws.put_lock(dead, server="tao")
    aws.forget_notices()
    repair = aws.repair(dead)
    (notice,), (event,) = aws.notices, aws.events
    for report in (notice, event["detail"]):
        assert (report["execution"], report["repairs"]) == (repair.arn, dead)
        assert report["workflow"] == "eip-cutover-repair"


@pytest.mark.parametrize(("service", "action"), [("sns", "Publish"), ("events", "PutEvents")])
def test_a_failed_notification_does_not_change_the_outcome(aws: Aws, service: str, action: str) -> None:
    with aws.failing(service, action):
        execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert (len(aws.notices), len(aws.events)) == ((0, 1) if service == "sns" else (1, 0))
