"""`{"emergency": true}`, production on no server, and waiting for a pair: what must not be in the way when it burns."""

from collections.abc import Callable, Iterator
from typing import Literal

import boto3
import pytest

from aws.calls import aws_client
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick, sick_as_production

EMERGENCY = {"emergency": True}
ROLLBACK = {"rollback": True}


def warnings(outcome: dict[str, object]) -> str:
    return " ".join(map(str, outcome.get("warnings", [])))  # type: ignore[call-overload]


# Alarms.


def ring(name: str, state: Literal["ALARM", "OK"] = "ALARM") -> None:
    cloudwatch = boto3.client("cloudwatch", "us-east-1")
    cloudwatch.put_metric_alarm(
        AlarmName=name, MetricName="5xx", Namespace="web", ComparisonOperator="GreaterThanThreshold", Period=60,
        EvaluationPeriods=1, Threshold=1, Statistic="Sum",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="5 of 5 requests failed")


@pytest.mark.parametrize("value", [EMERGENCY, ROLLBACK])
def test_an_alarm_that_is_in_alarm_does_not_bar_the_way_and_is_named(
    aws: Aws, web: Web, value: dict[str, object]
) -> None:
    aws.execute({})
    aws.configure(port=web.port, pair={"alarms": ["5xx", "latency"], "bakeSeconds": 1})
    ring("5xx")
    ring("latency", "OK")
    refused = aws.execute({})
    assert refused.outcome == "PreflightFailed"
    assert "roll back, or start again with" in str(refused.cause)
    execution = aws.execute(value)
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("bittybot", "tao"))
    assert 'The alarm "5xx" has been in ALARM since' in warnings(execution.output)
    assert "It does not count in this cutover." in warnings(execution.output)
    assert 'The alarm "5xx"' in warnings(aws.events[-1]["detail"])
    assert 'The alarm "5xx"' in aws.messages[-1]["default"]


def test_during_the_bake_of_an_emergency_an_alarm_counts_that_was_not_in_alarm_at_the_start(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    aws.execute({})
    ring("5xx")
    ring("latency", "OK")
    aws.configure(port=web.port, pair={"alarms": ["5xx", "latency"], "bakeSeconds": 60})
    arn = aws.start(EMERGENCY)
    aws.wait_for(arn, "Bake")
    ring("latency")
    ended = aws.wait(arn)
    assert ended.outcome == "RolledBack"
    assert 'the alarm "latency" has been in ALARM' in str(ended.cause)


@pytest.fixture
def silent_cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions keep their clients, so they make new ones with this endpoint, where nobody listens."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9")
    aws_client.cache_clear()
    yield
    aws_client.cache_clear()


@pytest.mark.usefixtures("silent_cloudwatch")
def test_if_cloudwatch_does_not_answer_an_emergency_goes_on_without_alarms(aws: Aws, web: Web) -> None:
    aws.configure(port=web.port, pair={"alarms": ["5xx"], "bakeSeconds": 1})
    assert "cannot be read" in str(aws.execute({}).cause)
    execution = aws.execute(EMERGENCY)
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert "The pair's alarms do not count, because they cannot be read" in warnings(execution.output)


# The live server.


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_a_live_server_that_is_down_does_not_keep_the_other_one_from_becoming_live(
    aws: Aws, web: Web, end: str
) -> None:
    ids = [aws.servers["bittybot"]]
    web.behaviour["bittybot"] = sick
    if end == "stop":
        aws.ec2.stop_instances(InstanceIds=ids)
        execution = aws.execute({})
        assert (execution.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
        return
    aws.ec2.terminate_instances(InstanceIds=ids)
    refused = aws.execute({})
    assert refused.outcome == "PreflightFailed"
    assert str(refused.cause).endswith('Start again with {"pair": "web", "serverName": "tao"}.')
    execution = aws.execute({"serverName": "tao"})
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("tao", None))
    assert "Staging cannot go to bittybot, so it will be on no server." in warnings(execution.output)
    assert execution.output["previous"]["production"]["server"] is None
    assert aws.record.rollback_to.server is None


def test_when_the_live_server_was_terminated_a_rollback_serves_users_again(aws: Aws) -> None:
    aws.execute({})
    aws.ec2.terminate_instances(InstanceIds=[aws.servers["tao"]])
    execution = aws.execute(ROLLBACK)
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("bittybot", None))


def test_in_an_emergency_the_live_server_is_not_asked_for_its_data(aws: Aws, web: Web) -> None:
    web.headers["tao"]["X-Store"] = "db-2"
    aws.configure(port=web.port, sharedHeader="X-Store")
    assert aws.execute({}).outcome == "PreflightFailed"
    execution = aws.execute(EMERGENCY)
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("tao", "bittybot"))
    assert "X-Store of tao was not compared: the live server was not asked." in warnings(execution.output)


@pytest.mark.parametrize("value", [EMERGENCY, ROLLBACK])
def test_the_idle_server_is_checked_in_an_emergency_too(
    aws: Aws, web: Web, ec2_calls: EC2Calls, value: dict[str, object]
) -> None:
    aws.execute({})
    web.behaviour["bittybot"] = sick
    changes = len(ec2_calls.changes)
    assert aws.execute(value).outcome == "StagingUnhealthy"
    web.serve(aws)
    ec2_calls.fail("AssociateAddress (dry run)", "UnauthorizedOperation")
    assert aws.execute(value).outcome == "PreflightFailed"
    aws.ec2.stop_instances(InstanceIds=[aws.servers["bittybot"]])
    assert aws.execute(value).outcome == "PreflightFailed"
    assert len(ec2_calls.changes) == changes
    assert aws.places == ("tao", "bittybot")


# Production on no server.


@pytest.mark.parametrize("emergency", [False, True])
@pytest.mark.parametrize("server", ["bittybot", "tao"])
def test_production_on_no_server_goes_to_the_named_server(
    aws: Aws, ec2_calls: EC2Calls, server: str, emergency: bool
) -> None:
    other = "tao" if server == "bittybot" else "bittybot"
    aws.disassociate(aws.production)
    execution = aws.execute({"serverName": server, "emergency": emergency})
    assert (execution.outcome, aws.places) == ("CUT_OVER", (server, other))
    assert "HealthCheckStaging" in execution.states
    assert "warnings" not in execution.output
    assert aws.record.rollback_to.server is None
    refused = aws.execute(ROLLBACK)
    assert refused.outcome == "PreflightFailed"
    assert "production was on no server before" in str(refused.cause)


def test_a_failure_without_a_server_to_roll_back_to_says_so(aws: Aws, web: Web) -> None:
    aws.disassociate(aws.production)
    web.behaviour["tao"] = sick_as_production
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "RollbackFailed"
    cause = str(execution.cause)
    assert "There is no server to roll back to" in cause
    assert f'make bittybot ({aws.servers["bittybot"]}) live with "serverName": "bittybot"' in cause
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []


def test_a_named_server_that_fails_its_check_does_not_get_production(aws: Aws, web: Web) -> None:
    aws.disassociate(aws.production)
    web.behaviour["tao"] = sick
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "StagingUnhealthy"
    assert aws.places == (None, "tao")


def test_someone_who_associates_production_meanwhile_is_not_undone(aws: Aws, ec2_calls: EC2Calls) -> None:
    aws.servers["stranger"] = aws.launch()
    aws.disassociate(aws.production)
    ec2_calls.before("AssociateAddress", lambda: aws.associate(aws.production, "stranger"))
    execution = aws.execute({"serverName": "tao"})
    assert execution.outcome == "RollbackFailed"
    assert aws.holder(aws.production) == "stranger"


def test_if_staging_cannot_be_on_the_named_server_it_is_checked_as_far_as_possible(aws: Aws) -> None:
    aws.servers["stranger"] = aws.launch()
    aws.associate(aws.staging, "stranger")
    aws.disassociate(aws.production)
    dry_run = aws.execute({"serverName": "tao", "dryRun": True})
    assert (dry_run.outcome, aws.places) == ("DRY_RUN", (None, "stranger"))
    execution = aws.execute({"serverName": "tao"})
    assert (execution.outcome, aws.places) == ("CUT_OVER", ("tao", "stranger"))
    (warning,) = execution.output["warnings"]
    assert warning.startswith(
        "tao was not checked through staging before it became live, and staging stays where it is"
    )
    assert "HealthCheckProduction" in execution.states


# Waiting for a pair.


def test_an_execution_waits_for_the_pair_and_plans_from_what_it_finds(
    aws: Aws, web: Web, held: Callable[[str], str]
) -> None:
    holder = held("staging")
    waits = aws.start({"serverName": "tao", "waitSeconds": 3600})
    aws.wait_for(waits, "WaitForHolder")
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"
    assert aws.wait(waits).outcome == "ALREADY_LIVE"


def test_an_execution_does_not_wait_longer_than_its_input_says(aws: Aws, web: Web, held: Callable[[str], str]) -> None:
    holder = held("staging")
    execution = aws.execute({"waitSeconds": 1})
    assert execution.outcome == "CutoverInProgress"
    assert "WaitForHolder" in execution.states
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"


@pytest.mark.parametrize(
    "value",
    [
        {"rollback": True, "serverName": "tao"},
        {"rollback": True, "expectedRelease": "1"},
        {"rollback": True, "release": "1"},
        {"rollback": "yes"},
        {"emergency": 1},
        {"emergency": None},
        {"waitSeconds": -1},
        {"waitSeconds": 0.5},
        {"waitSeconds": 3601},
        {"waitSeconds": True},
        {"waitSeconds": "15m"},
    ],
    ids=str,
)
def test_bad_input_is_refused_by_its_key(aws: Aws, value: dict[str, object]) -> None:
    execution = aws.execute(value)
    assert execution.outcome == "InvalidRequest"
    assert list(value)[-1] in str(execution.cause)
    assert aws.locks == []
