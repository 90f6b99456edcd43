"""What an independent judge found in the evaluation of a pair: each `defect` fails today."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from tests.unit.test_alarms import put_alarm
from tests.workflow.account import ERROR, INTERNAL_ERROR, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import AROUND_HANDLERS, REGION, service_client, stopping_before
from tests.workflow.test_readiness import DRIFT, outcomes, readiness, reasons
from tests.workflow.web import Web, sick

defect = pytest.mark.xfail(strict=True, reason="found by the judge of readiness")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """More keys of what a function returns to a state."""
    more: dict[str, dict[str, Any]] = {}

    def around(state: str, run: Callable[[], Any]) -> Any:
        return run() | more.get(state, {})

    monkeypatch.setattr("tests.workflow.engine.AROUND_HANDLERS", [*AROUND_HANDLERS, around])
    return more


@contextmanager
def losing_answers(count: int) -> Iterator[None]:
    """So many of the workflow's first writes take effect, and are answered with an internal error."""
    left, events = [count], service_client("dynamodb").meta.events

    def lose(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            http_response.status_code = 500
            parsed |= {"Error": ERROR, "ResponseMetadata": INTERNAL_ERROR}

    events.register("after-call.dynamodb.UpdateItem", lose, unique_id="losing")
    try:
        yield
    finally:
        events.unregister("after-call.dynamodb.UpdateItem", unique_id="losing")


# A change is announced exactly once.


@defect
@pytest.mark.parametrize("state", ["Changed?", "Notify"])
@pytest.mark.parametrize("status", ["ABORTED", "FAILED"])
def test_a_change_is_announced_although_its_evaluation_was_ended_after_the_write(
    aws: Aws, web: Web, state: str, status: str
) -> None:
    web.behaviour["tao"] = sick
    with stopping_before(state, status=status):
        aws.wait(aws.begin_evaluation())
    assert not readiness(aws)["ready"]
    aws.evaluate()
    assert outcomes(aws) == ["NOT_READY"]


@defect
def test_a_change_is_announced_although_no_try_of_its_write_was_answered(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    with losing_answers(5):
        assert aws.evaluate().outcome == "EvaluationFailed"
    assert not readiness(aws)["ready"]
    aws.evaluate()
    assert outcomes(aws) == ["NOT_READY"]


@defect
def test_a_change_whose_write_was_not_answered_is_announced_although_another_execution_ran_before_the_next_try(
    aws: Aws, web: Web
) -> None:
    web.behaviour["tao"] = sick
    tries: list[None] = []

    def act() -> None:
        tries.append(None)
        if len(tries) == 2:
            aws.execute({"dryRun": True})

    with aws.just_before("dynamodb", "UpdateItem", act, containing="SET readiness"), losing_answers(1):
        assert aws.evaluate().outcome == "NOT_READY"
    assert [notice["outcome"] for notice in aws.notices].count("NOT_READY") == 1


@defect
@pytest.mark.parametrize("letter", ['"', "\\"])
def test_the_longest_result_is_announced_on_the_topic(
    aws: Aws, answers: dict[str, dict[str, Any]], letter: str
) -> None:
    many = [f"{number}: {letter * 1000}" for number in range(20)]
    answers["HealthCheckStaging"] = {"soon": many, "warnings": [*many, *(f"also {each}" for each in many)]}
    aws.evaluate()
    assert (len(aws.messages), len(aws.events)) == (1, 1)


# Who has moved an address is named.


@defect
def test_drift_that_is_evaluated_during_a_cutover_is_named_later(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    aws.evaluate()
    cutover = held("production")
    assert aws.evaluate(drift=DRIFT).outcome == "SKIPPED"
    web.open_gates()
    aws.wait(cutover)
    aws.configure(port=web.port)
    aws.evaluate()
    assert DRIFT in json.dumps([aws.notices, readiness(aws)])


@defect
@pytest.mark.parametrize(("soon", "key"), [(0, "warnings"), (25, "reasons")])
def test_drift_is_named_although_20_other_sentences_are(
    aws: Aws, answers: dict[str, dict[str, Any]], soon: int, key: str
) -> None:
    many = [f"sentence {number}" for number in range(25)]
    answers["HealthCheckStaging"] = {"soon": many[:soon], "warnings": many}
    assert DRIFT in aws.evaluate(drift=DRIFT).output[key]


# "All reasons are reported, not only the first" (docs/readiness.md).


@defect
def test_an_alarm_does_not_hide_that_the_idle_server_is_sick(aws: Aws, web: Web) -> None:
    cloudwatch = boto3.client("cloudwatch", REGION)
    aws.configure(port=web.port, pair={"alarms": ["web-5xx"]})
    put_alarm(cloudwatch, "web-5xx", "ALARM")
    web.behaviour["tao"] = sick
    named = reasons(aws)
    cloudwatch.delete_alarms(AlarmNames=["web-5xx"])
    assert len(named) == 2


@defect
def test_both_associations_that_are_not_permitted_are_reported(aws: Aws, ec2_calls: EC2Calls) -> None:
    ec2_calls.fail_from_now_on("AssociateAddress (dry run)", "UnauthorizedOperation")
    assert len(reasons(aws)) == 2


# What a result says is true.


@defect
def test_a_pair_with_an_alarm_is_not_ready_although_a_finished_cutover_was_interrupted(
    aws: Aws, web: Web, stopped: Callable[[], str]
) -> None:
    """The plan is ALREADY_LIVE, so neither alarms nor the fitness of the servers are looked at."""
    stopped()
    aws.delete_lock()
    cloudwatch = boto3.client("cloudwatch", REGION)
    aws.configure(port=web.port, pair={"alarms": ["web-5xx"]})
    put_alarm(cloudwatch, "web-5xx", "ALARM")
    evaluation = aws.evaluate()
    cutover = aws.execute({"dryRun": True, "serverName": "bittybot"})
    cloudwatch.delete_alarms(AlarmNames=["web-5xx"])
    assert (cutover.outcome, evaluation.outcome) == ("PreflightFailed", "NOT_READY")


@defect
def test_a_message_about_what_will_fail_soon_does_not_say_that_a_cutover_would_fail(
    aws: Aws, answers: dict[str, dict[str, Any]]
) -> None:
    soon = ["The certificate of bittybot expires in 13 days."]
    answers["HealthCheckStaging"] = {"soon": soon, "warnings": soon}
    aws.evaluate()
    assert aws.execute({"dryRun": True}).outcome == "DRY_RUN"
    assert "a cutover would fail." not in aws.messages[0]["default"]
