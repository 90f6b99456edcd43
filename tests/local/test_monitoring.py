"""Outcomes and locks on the local AWS: what the deployed functions log for CloudWatch, and what calls them."""

import json
from collections.abc import Callable
from typing import Any

from local.aws import STACK, LocalAws
from stacks.workflow.notifications import DETAIL_TYPE
from tests.local.situation import until
from tests.unit.emf import values


def function_of(aws: LocalAws, module: str, stack: str = STACK) -> dict[str, Any]:
    functions = aws.client("lambda").list_functions()["Functions"]
    ours = (each for each in functions if each["FunctionName"].startswith(f"{stack}-"))
    (function,) = (each for each in ours if each["Handler"] == f"{module}.handler")
    return dict(function)


def printed_by(aws: LocalAws, module: str, stack: str = STACK) -> Callable[[], str]:
    """What a function logs from now on."""
    group, logs = function_of(aws, module, stack)["LoggingConfig"]["LogGroup"], aws.client("logs")

    def lines() -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    before = len(lines())
    return lambda: "\n".join(lines()[before:])


def put(aws: LocalAws, **detail: Any) -> None:
    entry = {"Source": "eip-cutover", "DetailType": DETAIL_TYPE, "Detail": json.dumps({"pair": "web", **detail})}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_an_outcome_on_the_event_bus_becomes_metrics_and_a_forged_one_does_not(aws: LocalAws) -> None:
    printed = printed_by(aws, "report_outcome")
    refused = aws.execute({"pair": "unknown"})
    until(lambda: values(printed()))
    put(aws, outcome="RollbackFailed", execution=refused.arn)
    until(lambda: "Refused event" in printed())
    assert set(values(printed())) == {("Outcomes", ("InvalidRequest",))}
    aws.execute({})
    until(lambda: ("Outcomes", ("CUT_OVER", "web")) in values(printed()))
    metrics = values(printed())
    assert metrics["Outcomes", ("CUT_OVER", "web")] == (1,)
    assert metrics["Live", ("web", "tao")] == (1,)
    assert ("Outcomes", ("RollbackFailed",)) not in metrics


def test_the_age_of_the_locks_becomes_a_metric(aws: LocalAws) -> None:
    printed = printed_by(aws, "report_locks")
    answer = aws.client("lambda").invoke(FunctionName=function_of(aws, "report_locks")["FunctionName"])
    assert json.loads(answer["Payload"].read()) == {"locks": 0}
    assert until(lambda: values(printed())) == {("LockAge", ()): (0,)}
