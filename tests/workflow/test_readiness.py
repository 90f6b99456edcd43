"""The evaluation of a pair: would a cutover work now? Its result is recorded, and announced only if it has changed."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.unit.test_alarms import put_alarm
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import REGION
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
    assert [len(each) for each in evaluation.output["reasons"]] == [1000] * 20
    assert len(evaluation.output["warnings"]) == 20
    assert len(readiness(aws)["reasons"]) == 20


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
    assert message["default"].startswith("Pair web is not ready: a cutover would fail.\n- tao (")
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


@pytest.mark.parametrize("action", ["GetItem", "UpdateItem"])
def test_an_evaluation_that_cannot_use_the_table_fails_and_leaves_the_last_result(aws: Aws, action: str) -> None:
    aws.evaluate()
    before = aws.item
    with aws.failing("dynamodb", action):
        evaluation = aws.evaluate()
    assert evaluation.outcome == "EvaluationFailed"
    assert "failed with DynamoDB." in str(evaluation.cause)
    assert (aws.item, outcomes(aws)) == (before, [])
