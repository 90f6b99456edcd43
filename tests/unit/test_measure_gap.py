"""The measurement of the gap against real servers: it does not wait, saves its results, and ends with the lock."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from domain.events import read
from domain.pair import Json
from health.check import checks_of
from measure_gap import MeasureGapEvent, handler, measured
from tests.unit.checks import PRODUCTION
from tests.unit.handler_calls import CONTEXT, check_of
from tests.unit.misbehaving_servers import Server, answering, in_turn, serving, silent, status, with_headers

FORMER, NEW = with_headers(b"X-Server: kai"), with_headers(b"X-Server: tao")
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:eip-cutover:one"


def measuring(server: Server, **changed: Any) -> dict[str, Any]:
    """What the state sends for production, which is the server."""
    return {
        **PRODUCTION,
        "address": {"name": "production", "publicIp": server.ip, "privateIp": None},
        "healthCheck": [check_of(server, identityHeader="X-Server", **changed)],
        "lock": {"pair": "web", "execution": EXECUTION},
        "newServer": {"identity": "tao", "release": None, "shared": None},
    }


def measured_for(seconds: float, server: Server, save: Callable[[Json], bool], **changed: Any) -> Json:
    event = read(MeasureGapEvent, measuring(server, **changed))
    [check] = checks_of(event)
    return measured(check, event.new_server, save, seconds=seconds)


def test_the_function_sends_twenty_requests_a_second_and_saves_when_the_new_server_answers() -> None:
    saved: list[Json] = []

    def save(gap: Json) -> bool:
        saved.append(gap)
        return True

    with serving(answering(FORMER, *[status(500)] * 5, NEW)) as server:
        gap = measured_for(0.9, server, save)
        assert 8 <= gap["requests"] <= server.connections <= 2 + 20 * gap["seconds"]
    assert [gap] == saved[1:]
    assert gap["failed"] == 5
    assert gap["longestMs"] >= 250
    assert saved[0]["newServerAt"]
    assert saved[0]["seconds"] < 0.9


def test_the_function_sends_the_next_request_before_an_answer() -> None:
    with serving(in_turn(silent, *[answering(NEW)] * 50)) as server:
        gap = measured_for(1.5, server, lambda _: True, timeoutSeconds=1)
    assert gap["failed"] == 1
    assert gap["longestMs"] < 1000  # for so long the first one hung


def test_requests_without_an_answer_do_not_outlast_the_function() -> None:
    with serving(silent) as server:
        began = time.monotonic()
        measured_for(0.2, server, lambda _: True, timeoutSeconds=60)
        assert time.monotonic() - began < 5


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("dynamodb")


@pytest.fixture
def table(dynamodb: Any) -> str:
    """A table of locks."""
    # Another test's AWS may be in this process, too.
    name = f"locks-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pair", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pair", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def test_the_measurement_is_saved_with_the_lock_and_does_not_change_the_lock(
    dynamodb: Any, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCK_TABLE", table)
    lock = {"pair": {"S": "web"}, "execution": {"S": EXECUTION}, "server": {"S": "tao"}}
    dynamodb.put_item(TableName=table, Item=lock)
    with serving(answering(NEW)) as server:
        gap = handler(measuring(server), CONTEXT, client=dynamodb, seconds=0.3)
    [item] = dynamodb.scan(TableName=table)["Items"]
    saved = item.pop("gap")["S"]
    assert item == lock
    assert json.loads(saved) == gap
    assert gap["requests"] > 0


@pytest.mark.parametrize("lock", [{"pair": {"S": "web"}, "execution": {"S": "another"}}, None])
def test_the_handler_ends_if_its_execution_does_not_hold_the_lock(
    dynamodb: Any, table: str, lock: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lock:
        dynamodb.put_item(TableName=table, Item=lock)
    monkeypatch.setenv("LOCK_TABLE", table)
    with serving(answering(NEW)) as server:
        began = time.monotonic()
        assert handler(measuring(server), CONTEXT)["newServerAt"]
    assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "gap"]
    assert dynamodb.scan(TableName=table)["Items"] == ([lock] if lock else [])


def test_a_rehearsal_measures_nothing() -> None:
    assert handler({"execution": "cutover-7", "dryRun": True}, CONTEXT) == {}
