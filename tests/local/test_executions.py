"""The deployed workflow: what its functions log, and the gap that they measure."""

import json
import time
from datetime import UTC, datetime

from local.aws import STACK, LocalAws


def test_every_line_that_the_functions_log_names_the_execution(aws: LocalAws) -> None:
    began = int(time.time() * 1000)
    assert aws.execute({}, name="traceable").output["outcome"] == "CUT_OVER"
    logs = aws.client("logs")
    lines = [
        json.loads(event["message"])
        for group in logs.describe_log_groups()["logGroups"]
        # Not of a second stack, which other tests deploy.
        if "Functions" in group["logGroupName"] and f"/{STACK}/" in group["logGroupName"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"], startTime=began)["events"]
        if event["message"].startswith("{") and '"_aws"' not in event["message"]  # a metric
    ]
    assert {line["service"] for line in lines} == {"eip-cutover"}
    assert all(line.get("correlation_id") for line in lines)
    ours = [line for line in lines if line["correlation_id"] == "traceable"]
    assert len(ours) >= 6  # at least one line for the plan, for each of two checks, and for each of three moves
    # The workflow does not wait for `measure_gap`, so that of an earlier execution may still log.
    assert {line["message"] for line in lines if line not in ours} <= {"gap measured"}


def test_the_workflow_waits_for_a_slow_move_and_measures_the_gap(aws: LocalAws) -> None:
    aws.propagation_seconds = 1
    began = datetime.now(UTC)
    output = aws.execute({}).output
    assert output["outcome"] == "CUT_OVER"
    gap = output["gap"]
    assert gap["requests"] > 1
    assert gap["failed"] == 0
    assert 0 < gap["longestMs"] < gap["seconds"] * 1000
    assert began < datetime.fromisoformat(gap["newServerAt"]) < datetime.now(UTC)
