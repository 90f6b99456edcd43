"""The evaluation of a pair: would a cutover work now? Its result is recorded, and announced only if it has changed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from stacks.workflow.readiness import MOST_WAITS
from tests.unit.test_alarms import put_alarm
from tests.workflow.account import ERROR, INTERNAL_ERROR, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import REGION, service_client, stopping_before
from tests.workflow.web import Web, sick, well

DRIFT = "AssociateAddress was called by arn:aws:iam::123456789012:user/eve at 2026-11-30T12:00:00Z from 192.0.2.7."
RESULT = {"ready", "since", "checkedAt", "execution", "reasons", "warnings"}


def readiness(aws: Aws) -> dict[str, Any]:
    assert aws.record.readiness
    return aws.record.readiness


def reasons(aws: Aws) -> list[str]:
    """The reasons why the pair is not ready now, by an evaluation."""
    evaluation = aws.evaluate()
    assert evaluation.outcome == "NOT_READY", evaluation.cause
    assert not readiness(aws)["ready"]
    found: list[str] = readiness(aws)["reasons"]
    assert not [reason for reason in found if "Nothing was changed." in reason]
    assert found == [" ".join(each.split()) for each in evaluation.output["reasons"]]
    return found


def outcomes(aws: Aws) -> list[str]:
    """What was announced, on both ways."""
    assert [event["detail"]["outcome"] for event in aws.events] == [notice["outcome"] for notice in aws.notices]
    return [notice["outcome"] for notice in aws.notices]


# The result.


def test_a_pair_that_could_be_cut_over_is_ready(aws: Aws, ec2_calls: EC2Calls) -> None:
    evaluation = aws.evaluate()
    assert evaluation.outcome == "READY", evaluation.cause
    result = readiness(aws)
    assert (set(result), result["ready"], result["reasons"], result["warnings"]) == (RESULT, True, [], [])
    assert result["execution"] == evaluation.arn
    assert result["since"] == result["checkedAt"]
    assert ec2_calls.changes == []


def test_an_evaluation_makes_the_checks_of_a_dry_run(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.execute({"dryRun": True})
    of_a_dry_run, ec2_calls.made = sorted(ec2_calls.made), []
    aws.evaluate()
    assert sorted([*ec2_calls.made, "DescribeAddresses"]) == of_a_dry_run  # which looks again when it ends


def test_each_sentence_is_the_cause_of_the_cutover_that_would_fail(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    cause = str(aws.execute({}).cause)
    (reason,) = reasons(aws)
    assert cause == f"{reason} Nothing was changed."


@pytest.mark.parametrize("action", ["AssociateAddress", "DisassociateAddress"])
def test_a_missing_permission_makes_a_pair_not_ready(aws: Aws, ec2_calls: EC2Calls, action: str) -> None:
    ec2_calls.fail_from_now_on(f"{action} (dry run)", "UnauthorizedOperation")
    (reason,) = reasons(aws)
    assert f"{action} of" in reason
    assert "UnauthorizedOperation" in reason


def test_all_reasons_are_found_at_once(aws: Aws, web: Web, ec2_calls: EC2Calls) -> None:
    web.behaviour["tao"] = sick
    for action in ("DescribeInstanceStatus", "AssociateAddress (dry run)", "DisassociateAddress (dry run)"):
        ec2_calls.fail_from_now_on(action, "UnauthorizedOperation")
    found = reasons(aws)
    for part in ("is not healthy", "DescribeInstanceStatus", "DisassociateAddress of", "AssociateAddress of"):
        assert len([reason for reason in found if part in reason]) == 1, part
    assert len(found) == 4


def test_a_pair_whose_staging_was_moved_is_not_ready(aws: Aws) -> None:
    aws.disassociate(aws.staging)
    (reason,) = reasons(aws)
    assert "is on no server instead of on tao" in reason
    assert '{"pair": "web", "serverName": "bittybot"}' in reason


def test_a_pair_that_a_cutover_would_repair_first_is_not_ready(aws: Aws, stopped: Callable[[], str]) -> None:
    """An interrupted execution has left the record, and someone has taken its lock away."""
    stopped()
    aws.delete_lock()
    aws.place(production="bittybot", staging=None)
    (reason,) = reasons(aws)
    assert reason.startswith("Staging is not on the idle server: an interrupted execution was making tao live")


def test_a_pair_whose_production_is_on_no_server_is_not_ready(aws: Aws) -> None:
    aws.disassociate(aws.production)
    (reason,) = reasons(aws)
    assert "is on no server, so no server is live" in reason


def test_a_pair_with_an_alarm_is_not_ready_until_it_is_over(aws: Aws, web: Web) -> None:
    cloudwatch = boto3.client("cloudwatch", REGION)
    aws.configure(port=web.port, pair={"alarms": ["web-5xx"]})
    put_alarm(cloudwatch, "web-5xx", "ALARM", "7 answers of 500 in 1 minute")
    assert "7 answers of 500" in reasons(aws)[0]
    put_alarm(cloudwatch, "web-5xx")
    assert aws.evaluate().outcome == "READY"
    cloudwatch.delete_alarms(AlarmNames=["web-5xx"])


SOON, ALSO = "The certificate of tao expires in 2 days. Renew it.", "The probe took 900 ms."


def test_what_will_fail_soon_is_a_reason_and_no_warning(aws: Aws, answers: dict[str, dict[str, Any]]) -> None:
    answers["HealthCheckStaging"] = {"soon": [SOON], "warnings": [SOON, ALSO]}
    answers["CheckServers"] = {"soon": ["tao is retired tomorrow."], "warnings": ["tao is retired tomorrow."]}
    answers["DescribeAddresses"] = {"warnings": ["An alarm has no data."]}
    assert reasons(aws) == [SOON, "tao is retired tomorrow."]
    assert readiness(aws)["warnings"] == ["An alarm has no data.", ALSO]
    for text in (SOON, ALSO):
        assert f"\n- {text}" in aws.messages[0]["default"]


def test_other_warnings_leave_a_pair_ready(aws: Aws, answers: dict[str, dict[str, Any]]) -> None:
    answers["HealthCheckStaging"] = {"soon": [], "warnings": [ALSO]}
    assert aws.evaluate().outcome == "READY"
    assert readiness(aws)["warnings"] == [ALSO]


def test_a_sentence_that_several_checks_say_is_there_once(aws: Aws, answers: dict[str, dict[str, Any]]) -> None:
    for state in ("HealthCheckStaging", "CheckServers"):
        answers[state] = {"soon": [SOON], "warnings": [SOON, ALSO]}
    assert reasons(aws) == [SOON]
    assert readiness(aws)["warnings"] == [ALSO]


def test_texts_are_cut_and_counted(aws: Aws, answers: dict[str, dict[str, Any]]) -> None:
    many = [f"{number}: {'x' * 2000}" for number in range(50)]
    answers["HealthCheckStaging"] = {"soon": many, "warnings": many + [f"warning {number}" for number in range(50)]}
    evaluation = aws.evaluate()
    assert [len(each) for each in evaluation.output["reasons"]] == [1000] * 12
    assert len(evaluation.output["warnings"]) == 12
    assert len(readiness(aws)["reasons"]) == 12


# What is announced.


def test_the_first_good_result_is_silent_and_the_first_bad_one_is_announced(aws: Aws, web: Web) -> None:
    aws.evaluate()
    assert outcomes(aws) == []
    web.behaviour["tao"] = sick
    aws.evaluate()
    assert outcomes(aws) == ["NOT_READY"]


def test_a_first_result_that_is_bad_is_announced(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    aws.evaluate()
    assert outcomes(aws) == ["NOT_READY"]


def test_each_change_is_announced_once_in_either_direction_and_since_stays(aws: Aws, web: Web) -> None:
    since = []
    for behaviour in (sick, sick, well, well, sick):
        web.behaviour["tao"] = behaviour
        aws.evaluate()
        since.append(readiness(aws)["since"])
    assert outcomes(aws) == ["NOT_READY", "READY", "NOT_READY"]
    assert [since[0], since[2], since[2], since[4]] == since[1:]
    assert len({*since}) == 3
    assert readiness(aws)["checkedAt"] == since[4]


def test_people_and_programs_receive_the_result(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    evaluation = aws.evaluate()
    (notice,), (event,), (message,) = aws.notices, aws.events, aws.messages
    assert notice == event["detail"] == evaluation.output
    assert {"pair", "outcome", "ready", "since", "reasons", "warnings", "execution"} <= set(notice)
    assert (notice["pair"], notice["outcome"], notice["execution"]) == ("web", "NOT_READY", evaluation.arn)
    assert (event["source"], event["detail-type"]) == ("eip-cutover", "Elastic IP Cutover Readiness Changed")
    assert aws.subjects == ["eip-cutover: web NOT_READY"]
    assert aws.attributes == [{"outcome": "NOT_READY", "pair": "web"}]
    assert message["default"].startswith("Pair web is not ready: a cutover would fail, now or soon.\n- tao (")
    assert message["default"].endswith(f"\n\nExecution: {evaluation.arn}")
    assert json.loads(message["https"])["metadata"]["additionalContext"]["outcome"] == "NOT_READY"


@pytest.mark.parametrize(("service", "action"), [("sns", "Publish"), ("events", "PutEvents")])
def test_an_announcement_that_fails_does_not_fail_the_evaluation(aws: Aws, web: Web, service: str, action: str) -> None:
    web.behaviour["tao"] = sick
    with aws.failing(service, action):
        assert aws.evaluate().outcome == "NOT_READY"
    assert (len(aws.notices), len(aws.events)) == ((0, 1) if service == "sns" else (1, 0))


def test_a_result_whose_write_was_not_answered_is_announced_once(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    with aws.losing_an_answer("dynamodb", "UpdateItem"):
        evaluation = aws.evaluate()
    assert evaluation.states.count("DescribeRecord") == evaluation.states.count("RecordReadiness") == 1
    assert outcomes(aws) == ["NOT_READY"]


# Who has changed the pair.


def test_drift_of_a_pair_that_stays_ready_is_announced_as_a_warning(aws: Aws) -> None:
    for _ in range(2):
        assert aws.evaluate(drift=DRIFT).outcome == "READY"
    assert readiness(aws)["warnings"] == [DRIFT]
    assert outcomes(aws) == ["READY", "READY"]
    assert f"\n- {DRIFT}" in aws.messages[0]["default"]


def test_drift_follows_the_reasons_of_a_pair_that_is_not_ready_and_is_announced_once(aws: Aws) -> None:
    aws.disassociate(aws.staging)
    for _ in range(2):
        aws.evaluate(drift=DRIFT)
    assert (readiness(aws)["reasons"][1:], readiness(aws)["warnings"]) == ([DRIFT], [])
    assert outcomes(aws) == ["NOT_READY"]


@pytest.mark.parametrize("drift", [7, None, ["x"], {}])
def test_drift_that_is_not_a_sentence_is_ignored(aws: Aws, drift: object) -> None:
    assert aws.evaluate(drift=drift).outcome == "READY"
    assert (readiness(aws)["warnings"], outcomes(aws)) == ([], [])


# The table.


def test_a_quote_of_a_result_within_a_reason_is_not_a_result(aws: Aws, answers: dict[str, dict[str, Any]]) -> None:
    quoted = 'It says {"ready":false,"since":"2020-01-01T00:00:00.000Z"}.'
    answers["HealthCheckStaging"] = {"soon": [], "warnings": [quoted]}
    for _ in range(2):
        aws.evaluate()
    assert readiness(aws)["warnings"] == [quoted]
    assert readiness(aws)["since"] > "2026"
    assert outcomes(aws) == []


@pytest.mark.parametrize(("action", "state"), [("GetItem", "DescribeRecord"), ("UpdateItem", "RecordReadiness")])
def test_a_pair_whose_record_cannot_be_used_is_not_ready_and_keeps_its_last_result(
    aws: Aws, action: str, state: str
) -> None:
    """A cutover could not use the record either."""
    aws.evaluate()
    before = aws.item
    with aws.failing("dynamodb", action):
        evaluation = aws.evaluate()
    assert evaluation.outcome == "NOT_READY"
    (reason,) = evaluation.output["reasons"]
    assert reason.startswith(f"{state} failed with DynamoDB.")
    assert aws.item == before | ({"announced": {"S": "NOT_READY"}} if action == "GetItem" else {})
    assert outcomes(aws) == ["NOT_READY"]


# A change is announced, whatever happens to the evaluation that has found it.


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


@pytest.mark.parametrize("state", ["Changed?", "Notify"])
@pytest.mark.parametrize("status", ["ABORTED", "FAILED"])
def test_a_change_is_announced_although_its_evaluation_was_ended_after_the_write(
    aws: Aws, web: Web, state: str, status: str
) -> None:
    web.behaviour["tao"] = sick
    with stopping_before(state, status=status):
        aws.wait(aws.begin_evaluation())
    assert not readiness(aws)["ready"]
    assert aws.notices == []
    for _ in range(2):
        aws.evaluate()
    assert [notice["outcome"] for notice in aws.notices] == ["NOT_READY"]
    assert {event["detail"]["outcome"] for event in aws.events} == {"NOT_READY"}  # maybe twice, as EventBridge's own


def test_a_change_that_the_topic_did_not_take_is_announced_by_the_next_evaluation(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    with aws.failing("sns", "Publish"):
        aws.evaluate()
    assert (len(aws.notices), len(aws.events)) == (0, 1)
    for _ in range(2):
        aws.evaluate()
    assert [notice["outcome"] for notice in aws.notices] == ["NOT_READY"]


def test_a_change_is_announced_although_no_try_of_its_write_was_answered(aws: Aws, web: Web) -> None:
    web.behaviour["tao"] = sick
    with losing_answers(5):
        assert aws.evaluate().outcome == "NOT_READY"
    aws.evaluate()
    assert outcomes(aws) == ["NOT_READY"]


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


def test_drift_that_is_evaluated_during_a_cutover_is_named_after_it(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    aws.evaluate()
    cutover = held("production")
    evaluation = aws.begin_evaluation(drift=DRIFT)
    aws.until(lambda: "WaitForHolder" in aws.entered(evaluation))
    web.open_gates()
    aws.wait(cutover)
    assert DRIFT in json.dumps(aws.wait(evaluation).output)
    assert outcomes(aws) == ["CUT_OVER", "READY"]


def test_drift_does_not_wait_for_a_lock_without_end(
    aws: Aws, web: Web, held: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.workflow.engine.TIME_SCALE", 0)
    aws.evaluate()
    before, cutover = aws.item.get("readiness"), held("production")
    evaluation = aws.evaluate(drift=DRIFT)
    assert (evaluation.outcome, evaluation.states.count("WaitForHolder")) == ("SKIPPED", MOST_WAITS)
    assert aws.item.get("readiness") == before
    web.open_gates()
    aws.wait(cutover)


@pytest.mark.parametrize(("soon", "key"), [(0, "warnings"), (25, "reasons")])
def test_drift_is_named_although_many_other_sentences_are(
    aws: Aws, answers: dict[str, dict[str, Any]], soon: int, key: str
) -> None:
    many = [f"sentence {number}" for number in range(25)]
    answers["HealthCheckStaging"] = {"soon": many[:soon], "warnings": many}
    assert aws.evaluate(drift=DRIFT).output[key][-1] == DRIFT
