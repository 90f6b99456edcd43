"""The measuring of the gap, against real servers: it asks without waiting, keeps what it finds, ends with the lock."""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

import measure_gap
from health.check import Check, checks_of
from health.gap import Gap
from measure_gap import handler, measured
from tests.unit.checks import EVENT
from tests.unit.handler_calls import CONTEXT, check_of
from tests.unit.misbehaving_servers import Server, answering, in_turn, serving, silent, status, with_headers

FORMER, NEW = with_headers(b"X-Server: kai"), with_headers(b"X-Server: tao")
TAO = {"identity": "tao", "release": None}
LOCK = {"pair": "web", "execution": "arn:aws:states:us-east-1:123456789012:execution:eip-cutover:one"}


def production(server: Server, **settings: Any) -> dict[str, Any]:
    """The event of a check of production, which is the server."""
    check = check_of(server, identityHeader="X-Server", **settings)
    return {**EVENT, "address": {"name": "production", "publicIp": server.ip}, "healthCheck": [check]}


def check_production(server: Server, **settings: Any) -> Check:
    return checks_of(production(server, **settings))[0]


def for_seconds(seconds: float, check: Check) -> tuple[Gap, list[Gap]]:
    """What was measured in so many seconds, and everything that was to be saved meanwhile."""
    saved: list[Gap] = []

    def save(gap: Gap) -> bool:
        saved.append(gap)
        return True

    return measured(check, TAO, save, seconds=seconds), saved


def test_it_asks_at_most_twenty_times_a_second_each_time_on_a_new_connection() -> None:
    with serving(answering(FORMER)) as server:
        gap, _ = for_seconds(1, check_production(server))
        assert 2 <= gap.requests <= server.connections <= 1 + 20 * gap.seconds
    assert gap.failed == 0


def test_it_does_not_wait_for_an_answer_before_it_asks_again() -> None:
    with serving(in_turn(silent, *[answering(NEW)] * 50)) as server:
        gap, _ = for_seconds(1.5, check_production(server, timeoutSeconds=1))
    assert gap.failed == 1
    assert gap.longest_ms < 1000  # for so long the first one hung


def test_what_was_not_answered_is_seen_as_a_gap() -> None:
    with serving(answering(FORMER, *[status(500)] * 5, NEW)) as server:
        gap, _ = for_seconds(1, check_production(server))
    assert gap.failed == 5
    assert gap.longest_ms >= 250


def test_it_is_saved_at_once_when_the_new_server_has_answered() -> None:
    with serving(answering(FORMER, FORMER, NEW)) as server:
        _, (first, *_) = for_seconds(0.9, check_production(server))
    assert first.new_server_at is not None
    assert first.seconds < 0.9


def test_it_ends_when_it_can_be_saved_no_more(aws: Any) -> None:
    with serving(answering(NEW)) as server:
        began = time.monotonic()
        measured(check_production(server), TAO, lambda _: False, seconds=10)
    assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "asking"]


def test_requests_without_an_answer_do_not_outlast_it() -> None:
    with serving(silent) as server:
        began = time.monotonic()
        for_seconds(0.2, check_production(server, timeoutSeconds=60))
        assert time.monotonic() - began < 5


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A table of locks."""
    # Another test's AWS may be in this process, too.
    table = f"locks-{uuid.uuid4()}"
    monkeypatch.setenv("LOCK_TABLE", table)
    monkeypatch.setattr(measure_gap, "LONGEST_SECONDS", 0.3)
    with mock_aws():
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pair", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pair", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield dynamodb


def items(dynamodb: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dynamodb.scan(TableName=os.environ["LOCK_TABLE"])["Items"]
    return found


def lock_of(dynamodb: Any, execution: str) -> dict[str, Any]:
    item = {"pair": {"S": "web"}, "execution": {"S": execution}, "server": {"S": "tao"}}
    dynamodb.put_item(TableName=os.environ["LOCK_TABLE"], Item=item)
    return item


def test_what_was_measured_is_kept_with_the_lock_which_stays_as_it_is(aws: Any) -> None:
    lock = lock_of(aws, LOCK["execution"])
    with serving(answering(NEW)) as server:
        result = handler({**production(server), "lock": LOCK, "newServer": TAO}, CONTEXT)
    [item] = items(aws)
    kept = item.pop("gap")["S"]
    assert item == lock
    assert json.loads(kept) == result
    assert result["requests"] > 0


def test_the_lock_of_another_execution_is_not_touched(aws: Any) -> None:
    lock = lock_of(aws, "another")
    with serving(answering(NEW)) as server:
        handler({**production(server), "lock": LOCK, "newServer": TAO}, CONTEXT)
    assert items(aws) == [lock]


def test_a_lock_that_was_released_does_not_come_back(aws: Any) -> None:
    with serving(answering(NEW)) as server:
        handler({**production(server), "lock": LOCK, "newServer": TAO}, CONTEXT)
    assert items(aws) == []
