"""The deployed workflow: executions at once, what they log, and the gap that they measure."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from local.aws import LocalAws
from stacks.workflow.resources import CUTOVER
from tests.local.situation import SWAPPED, locks, places, until


def test_of_five_executions_started_at_once_exactly_one_cuts_over(aws: LocalAws) -> None:
    # Paused before its first change, so that none of the others starts after the first has ended.
    with aws.emulator.pause("MeasureGap", workflow=CUTOVER), ThreadPoolExecutor(max_workers=5) as pool:
        arns = list(pool.map(lambda _: aws.start({}), range(5)))
        until(lambda: sum(aws.look(arn).status == "RUNNING" for arn in arns) <= 1, seconds=60)
    executions = [aws.wait(arn) for arn in arns]
    outcomes = sorted(str(each.output["outcome"] if each.output else each.error) for each in executions)
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
