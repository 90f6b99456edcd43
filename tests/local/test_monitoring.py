"""Outcomes and locks on the local AWS: what the deployed functions print for CloudWatch, and who calls them."""

import json
import time
from collections.abc import Callable
from typing import Any

from local.aws import LocalAws
from tests.unit.emf import values
from tests.unit.test_report_outcome import BITTYBOT, TAO, event


def printed_by(aws: LocalAws, module: str) -> Callable[[], str]:
    """What a function has logged from now on."""
    functions = aws.client("lambda").list_functions()["Functions"]
    (function,) = (found for found in functions if found["Handler"] == f"{module}.handler")
    group = function["LoggingConfig"]["LogGroup"]
    logs = aws.client("logs")

    def lines() -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [found["message"] for page in pages for found in page["events"]]

    before = len(lines())
    return lambda: "\n".join(lines()[before:])


def until(true: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.1)
    return found


def test_an_outcome_on_the_event_bus_becomes_metrics(aws: LocalAws) -> None:
    printed = printed_by(aws, "report_outcome")
    sent = event(production=TAO, staging=BITTYBOT)
    entry = {"Source": sent["source"], "DetailType": sent["detail-type"], "Detail": json.dumps(sent["detail"])}
    answer = aws.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    found = until(lambda: values(printed()))
    assert found["Outcomes", ("CUT_OVER", "web")] == (1,)
    assert found["Live", ("web", "tao")] == (1,)


def test_the_age_of_a_lock_is_told(aws: LocalAws) -> None:
    printed = printed_by(aws, "report_locks")
    functions = aws.client("lambda").list_functions()["Functions"]
    (function,) = (found["FunctionName"] for found in functions if found["Handler"] == "report_locks.handler")
    answer = aws.client("lambda").invoke(FunctionName=function)
    assert json.loads(answer["Payload"].read()) == {"locks": 0}
    assert until(lambda: values(printed())) == {("LockAge", ()): (0,)}


def test_the_alarms_are_there_and_tell_the_topic(aws: LocalAws) -> None:
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="eip-cutover-")["MetricAlarms"]
    assert len(alarms) == 4
    topics = {topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]}
    assert {action for alarm in alarms for action in alarm["AlarmActions"]} == topics


def test_the_dashboard_is_there(aws: LocalAws) -> None:
    body = json.loads(aws.client("cloudwatch").get_dashboard(DashboardName="eip-cutover")["DashboardBody"])
    assert "Who is live" in json.dumps(body)
