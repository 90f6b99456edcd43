"""The deployed workflow as users start it, with the AWS CLI, and what they see afterwards."""

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

from local.aws import LocalAws
from stacks.workflow.cutover import NAME as CUTOVER
from tests.local.situation import AS_BEFORE, SWAPPED, locks, places

AWS_CLI = Path(sys.executable).with_name("aws")


@pytest.fixture
def cli(aws: LocalAws) -> Callable[..., Any]:
    """Runs the AWS CLI against the local AWS, and returns its output as a value."""

    def run(*words: str) -> Any:
        environment = {"PATH": os.environ["PATH"], **aws.environment}
        finished = subprocess.run([AWS_CLI, *words], env=environment, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout) if finished.stdout.strip() else None

    return run


def test_an_empty_input_swaps_the_addresses_and_another_swaps_them_back(aws: LocalAws, cli: Callable[..., Any]) -> None:
    for holders in (SWAPPED, AS_BEFORE):
        words = ("start-execution", "--state-machine-arn", aws.state_machine_arn, "--input", "{}")
        execution = aws.wait(cli("stepfunctions", *words)["executionArn"])
        assert execution.output["outcome"] == "CUT_OVER"
        assert places(aws) == holders
        described = cli("ec2", "describe-addresses", "--allocation-ids", aws.addresses["production"].allocation_id)
        (production,) = described["Addresses"]
        assert production["InstanceId"] == aws.servers[holders[0]].instance_id
        assert production["AssociationId"] == execution.output["production"]["associationId"]


def test_of_five_executions_started_at_once_exactly_one_cuts_over(aws: LocalAws) -> None:
    # Paused before its first change, so that none of the others starts after the first has ended.
    with aws.emulator.pause("MeasureGap", workflow=CUTOVER), ThreadPoolExecutor(max_workers=5) as pool:
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
    assert places(aws) == SWAPPED
    (winner,) = [execution.arn for execution in executions if execution.output]
    for loser in (execution for execution in executions if not execution.output):
        assert re.search(f"{re.escape(winner)}, since 20[0-9T:.-]+Z", str(loser.cause))
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
    assert len(ours) >= 6  # at least one line for the plan, for each of two checks, and for each of three moves
    # The workflow does not wait for `measure_gap`, so that of an earlier execution may still log.
    assert {line["message"] for line in lines if line not in ours} <= {"gap measured"}


def test_an_outcome_has_the_gap_that_was_measured_while_the_address_moved(aws: LocalAws) -> None:
    began = datetime.now(UTC)
    gap = aws.execute({}).output["gap"]
    assert gap["requests"] > 1
    assert gap["failed"] == 0
    assert 0 < gap["longestMs"] < gap["seconds"] * 1000
    assert began < datetime.fromisoformat(gap["newServerAt"]) < datetime.now(UTC)


def test_an_address_that_takes_seconds_to_move_is_waited_for(aws: LocalAws) -> None:
    aws.propagation_seconds = 3
    execution = aws.execute({})
    assert execution.output["outcome"] == "CUT_OVER"
    assert execution.output["gap"]["failed"] == 0
