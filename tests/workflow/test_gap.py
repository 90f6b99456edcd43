"""The outcome reports the gap that was measured during the changes, and nothing depends on the gap."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.faults import Fault
from tests.workflow import engine
from tests.workflow.account import Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.web import Web, sick_as_production

GAP = {"requests": 61, "failed": 2, "longestMs": 150, "newServerAt": "2026-01-01T00:00:00.000Z", "seconds": 3.1}
IN_WORDS = "61 requests were sent to production: 2 failed, and the longest time without a good answer was 150 ms."
Began = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def measured(aws: Aws) -> Iterator[Began]:
    """What was called asynchronously; a call to measure leaves GAP with the lock, as the function does."""
    began: Began = []

    def begin(function: str, event: dict[str, Any]) -> None:
        began.append((function, event))
        if "lock" in event:
            aws.dynamodb.update_item(
                TableName=aws.table,
                Key={"pair": {"S": event["lock"]["pair"]}},
                UpdateExpression="SET gap = :gap",
                ConditionExpression="execution = :me",
                ExpressionAttributeValues={":gap": {"S": json.dumps(GAP)}, ":me": {"S": event["lock"]["execution"]}},
            )

    with beginning(begin):
        yield began


@contextmanager
def beginning(begin: Callable[[str, Any], object]) -> Iterator[None]:
    engine.BEGUN.append(begin)
    try:
        yield
    finally:
        engine.BEGUN.remove(begin)


def test_the_outcome_has_the_measured_gap(aws: Aws, measured: Began) -> None:
    execution = aws.execute()
    assert execution.output["gap"] == GAP
    (notice,), (message,), (event,) = aws.notices, aws.messages, aws.events
    assert notice["gap"] == event["detail"]["gap"] == GAP
    assert IN_WORDS in message["default"]
    assert aws.locks == []


def test_the_function_receives_the_check_and_how_to_recognize_the_new_server(
    aws: Aws, web: Web, measured: Began
) -> None:
    aws.configure(port=web.port, identityHeader="X-Server", releaseHeader="X-Release")
    execution = aws.execute()
    assert execution.outcome == "CUT_OVER"
    ((function, event),) = measured
    assert function == "measure_gap"
    assert event["lock"] == {"pair": "web", "execution": execution.arn}
    assert event["address"]["publicIp"] == web.production_ip
    assert event["healthCheck"][0]["port"] == web.port
    assert (event["newServer"]["identity"], event["newServer"]["release"]) == ("tao", "1")


def test_a_rollback_is_announced_with_the_measured_gap(aws: Aws, web: Web, measured: Began) -> None:
    web.behaviour["tao"] = sick_as_production
    assert aws.execute().outcome == "RolledBack"
    (notice,), (message,) = aws.notices, aws.messages
    assert notice["gap"] == GAP
    assert IN_WORDS in message["default"]


@pytest.mark.parametrize("value", [{"dryRun": True}, {"serverName": "bittybot"}])
def test_nothing_is_measured_if_nothing_changes(aws: Aws, measured: Began, value: dict[str, Any]) -> None:
    assert "gap" not in aws.execute(value).output
    assert measured == []


@pytest.mark.parametrize("kind", ["throttled", "crashed-before", "timed-out-after"])
def test_a_cutover_succeeds_even_if_it_cannot_be_measured(aws: Aws, ec2_calls: EC2Calls, kind: Any) -> None:
    ec2_calls.inject(Fault(action="function MeasureGap", kind=kind, times=None))
    execution = aws.execute()
    assert execution.outcome == "CUT_OVER"
    assert "gap" not in execution.output
    assert aws.places == ("tao", "bittybot")
