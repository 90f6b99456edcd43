"""The deployed workflow as its users start it, with the AWS CLI: what they type, and what they see afterwards."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.aws import Execution, LocalAws
from stacks.workflow.cutover import NAME as CUTOVER

AWS_CLI = Path(sys.executable).with_name("aws")


@pytest.fixture
def cli(aws: LocalAws) -> Callable[..., Any]:
    """Runs the AWS CLI against the local AWS, and returns what it prints, parsed."""

    def run(*words: str) -> Any:
        environment = {"PATH": os.environ["PATH"], **aws.environment}
        finished = subprocess.run([AWS_CLI, *words], env=environment, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout) if finished.stdout.strip() else None

    return run


def started_with(cli: Callable[..., Any], aws: LocalAws, value: str) -> Execution:
    arn = cli("stepfunctions", "start-execution", "--state-machine-arn", aws.state_machine_arn, "--input", value)[
        "executionArn"
    ]
    return aws.wait(arn)


def places(aws: LocalAws) -> tuple[str | None, str | None]:
    return aws.holder("production"), aws.holder("staging")


def locks(aws: LocalAws) -> list[Any]:
    (table,) = aws.client("dynamodb").list_tables()["TableNames"]
    found: list[Any] = aws.client("dynamodb").scan(TableName=table)["Items"]
    return found


def test_an_empty_input_swaps_the_addresses_and_another_swaps_them_back(aws: LocalAws, cli: Callable[..., Any]) -> None:
    for holders in (("tao", "bittybot"), ("bittybot", "tao")):
        execution = started_with(cli, aws, "{}")
        assert execution.output["outcome"] == "CUT_OVER"
        assert places(aws) == holders
        described = cli("ec2", "describe-addresses", "--allocation-ids", aws.addresses["production"].allocation_id)
        (production,) = described["Addresses"]
        assert production["InstanceId"] == aws.servers[holders[0]].instance_id
        assert production["AssociationId"] == execution.output["production"]["associationId"]


def test_asking_for_the_live_server_changes_nothing(aws: LocalAws, cli: Callable[..., Any]) -> None:
    before = cli("ec2", "describe-addresses")
    execution = started_with(cli, aws, '{"serverName": "BittyBot"}')
    assert execution.output["outcome"] == "ALREADY_LIVE"
    assert cli("ec2", "describe-addresses") == before


def test_a_dry_run_changes_nothing(aws: LocalAws, cli: Callable[..., Any]) -> None:
    before = cli("ec2", "describe-addresses")
    execution = started_with(cli, aws, '{"dryRun": true}')
    assert execution.output["outcome"] == "DRY_RUN"
    assert len(execution.output["plan"]["steps"]) == 3
    assert cli("ec2", "describe-addresses") == before
    assert locks(aws) == []


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("[]", "must be a JSON object"),
        ('"swap"', "must be a JSON object"),
        ('{"pair": "wbe"}', "the configured pairs are web"),
        ('{"pair": ""}', "pair = ''"),
        ('{"serverName": 7}', "serverName must be a string"),
        ('{"serverName": "' + "x" * 10_000 + '"}', "(10000 characters)"),
        ('{"dryrun": true}', "only the keys pair, serverName, dryRun, expectedRelease are allowed"),
        ('{"serverName": "{% $states.context %}\\" \\n"}', "the servers of pair web are bittybot and tao"),
    ],
)
def test_a_wrong_input_fails_with_a_message_and_takes_no_lock(
    aws: LocalAws, cli: Callable[..., Any], value: str, says: str
) -> None:
    execution = started_with(cli, aws, value)
    assert (execution.status, execution.error) == ("FAILED", "InvalidRequest")
    assert says in str(execution.cause)
    assert places(aws) == ("bittybot", "tao")
    assert locks(aws) == []


def test_of_five_executions_started_at_once_exactly_one_cuts_over(aws: LocalAws) -> None:
    # Held before its first change, so that none of the others begins when the one that may is over.
    with aws.emulator.hold("MeasureGap", workflow=CUTOVER), ThreadPoolExecutor(max_workers=5) as pool:
        arns = list(pool.map(lambda _: aws.start({}), range(5)))
        deadline = time.monotonic() + 60
        while sum(aws.look(arn).status == "RUNNING" for arn in arns) > 1:
            assert time.monotonic() < deadline, "more than one still runs"
            time.sleep(0.05)
    executions = [aws.wait(arn) for arn in arns]
    outcomes = sorted(
        str(execution.output["outcome"] if execution.output else execution.error) for execution in executions
    )
    assert outcomes == ["CUT_OVER", *["CutoverInProgress"] * 4]
    assert places(aws) == ("tao", "bittybot")
    (winner,) = [execution.arn for execution in executions if execution.output]
    for loser in (execution for execution in executions if not execution.output):
        assert re.search(f"{re.escape(winner)}, since 20[0-9T:.-]+Z", str(loser.cause))
    assert locks(aws) == []


def test_a_release_that_fails_as_production_is_rolled_back(aws: LocalAws) -> None:
    aws.servers["tao"].deploy(release=2, behaviour="fails-as-production")
    aws.servers["tao"].restart()
    execution = aws.execute({})
    assert execution.error == "RolledBack"
    assert "ProductionUnhealthy" in str(execution.cause)
    assert "Both addresses are back where they were" in str(execution.cause)
    assert places(aws) == ("bittybot", "tao")
    assert locks(aws) == []


def test_every_line_that_the_functions_log_names_the_execution(aws: LocalAws) -> None:
    began = int(time.time() * 1000)
    assert aws.execute({}, name="traceable").output["outcome"] == "CUT_OVER"
    logs = aws.client("logs")
    lines = [
        json.loads(event["message"])
        for group in logs.describe_log_groups()["logGroups"]
        if "Functions" in group["logGroupName"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"], startTime=began)["events"]
        if event["message"].startswith("{") and '"_aws"' not in event["message"]  # a metric
    ]
    assert {line["service"] for line in lines} == {"eip-cutover"}
    assert all(line.get("correlation_id") for line in lines)
    ours = [line for line in lines if line["correlation_id"] == "traceable"]
    assert len(ours) >= 6  # a line at least for the plan, for each of two checks, and for each of three moves
    # Nobody waits for what measures, so that of an earlier execution may have its say meanwhile.
    assert {line["message"] for line in lines if line not in ours} <= {"gap measured"}


def test_an_outcome_says_what_users_met_while_the_address_moved(aws: LocalAws) -> None:
    began = datetime.now(UTC)
    gap = aws.execute({}).output["gap"]
    assert gap["requests"] > 1
    assert gap["failed"] == 0
    assert 0 < gap["longestMs"] < gap["seconds"] * 1000
    assert began < datetime.fromisoformat(gap["newServerAt"]) < datetime.now(UTC)


def test_a_cutover_whose_measuring_does_not_begin_is_not_measured_and_goes_on(aws: LocalAws) -> None:
    functions = aws.client("lambda")
    (name,) = (
        each["FunctionName"] for each in functions.list_functions()["Functions"] if "MeasureGap" in each["FunctionName"]
    )
    code = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_configuration(FunctionName=name, Handler="nothing.there")
    try:
        output = aws.execute({}).output
    finally:
        functions.update_function_configuration(FunctionName=name, Handler=code)
    assert output["outcome"] == "CUT_OVER"
    assert "gap" not in output


def test_an_address_that_takes_seconds_to_move_is_waited_for(aws: LocalAws) -> None:
    aws.seconds_to_move = 3
    execution = aws.execute({})
    assert execution.output["outcome"] == "CUT_OVER"
    assert execution.output["gap"]["failed"] == 0
