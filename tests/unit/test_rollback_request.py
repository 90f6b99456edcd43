"""A running execution that is asked to roll back: what counts as a request, and which steps end because of it."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from aws.calls import HURRIED, aws_client
from aws.records import RollbackRequest
from domain.errors import RollbackRequested
from tests.unit.handler_calls import called, check_of
from tests.unit.lock_table import LockTable
from tests.unit.misbehaving_servers import OK, answering, serving, silent, status

LOCK = {"pair": "web", "execution": "arn:aws:states:us-east-1:123456789012:execution:eip-cutover:bakes"}
ASKING = "arn:aws:states:us-east-1:123456789012:execution:eip-cutover:back"
REQUEST = {"execution": LOCK["execution"], "rollbackRequestedBy": ASKING}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockTable]:
    monkeypatch.setenv("LOCK_TABLE", "Locks")
    with mock_aws():
        yield LockTable()


def test_a_request_to_the_execution_that_holds_the_lock_is_refused_by_name(table: LockTable) -> None:
    table.put(pair="web", **REQUEST)
    with pytest.raises(RollbackRequested, match=rf"^The execution {ASKING} asked for a rollback\.$"):
        RollbackRequest(LOCK).refuse()


@pytest.mark.parametrize(
    "item", [{"execution": LOCK["execution"]}, REQUEST | {"execution": ASKING}, {"rollbackRequestedBy": ASKING}, None],
    ids=["nobody asked", "another execution was asked", "the lock was released", "no item"],
)  # fmt: skip
def test_nothing_else_is_a_request(table: LockTable, item: dict[str, str] | None) -> None:
    if item is not None:
        table.put(pair="web", **item)
    RollbackRequest(LOCK).refuse()


def test_without_a_lock_or_a_lock_table_nobody_can_ask(table: LockTable, monkeypatch: pytest.MonkeyPatch) -> None:
    table.put(pair="web", **REQUEST)
    RollbackRequest(None).refuse()
    monkeypatch.delenv("LOCK_TABLE")
    RollbackRequest(LOCK).refuse()


class FakeDynamoDB:
    """The next reads fail or find a request, in turn; later ones find nothing."""

    def __init__(self, *answers: Exception | dict[str, str]) -> None:
        self._answers, self.reads = list(answers), list[dict[str, Any]]()

    def get_item(self, **parameters: Any) -> dict[str, Any]:
        self.reads.append(parameters)
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, Exception):
            raise answer
        return {"Item": {key: {"S": value} for key, value in answer.items()}}


def refused() -> ClientError:
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetItem")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCK_TABLE", "Locks")


@pytest.mark.usefixtures("named")
def test_an_item_that_cannot_be_read_asks_for_nothing_and_is_read_again() -> None:
    table: Any = FakeDynamoDB(refused(), {}, REQUEST)
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > 9

    with pytest.raises(RollbackRequested):
        RollbackRequest(LOCK, table).listen(wait)
    assert waited == [1, 1]
    assert table.reads[0] == {"TableName": "Locks", "Key": {"pair": {"S": "web"}}, "ConsistentRead": True}


@pytest.mark.usefixtures("named")
def test_a_sleep_is_interrupted_by_a_request_every_second() -> None:
    table: Any = FakeDynamoDB({}, {}, {}, {}, {}, REQUEST)
    slept: list[float] = []
    RollbackRequest(LOCK, table).sleep(5, slept.append)
    assert slept == [1, 1, 1, 1, 1]
    with pytest.raises(RollbackRequested):
        RollbackRequest(LOCK, table).sleep(5, slept.append)
    assert sum(slept) == 5


def test_a_read_of_the_lock_table_is_tried_once_within_2_s() -> None:
    config: Any = aws_client("dynamodb", HURRIED).meta.config
    assert config.connect_timeout + config.read_timeout == 2
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


# The health check.


@pytest.mark.parametrize("address", ["staging", "production"])
def test_a_request_ends_a_health_check_that_would_take_long(table: LockTable, address: str) -> None:
    table.put(pair="web", **REQUEST)
    began = time.monotonic()
    with serving(silent) as server, pytest.raises(RollbackRequested):
        called(check_of(server, timeoutSeconds=60, deadlineSeconds=60), address=address, lock=LOCK)
    assert time.monotonic() - began < 5


def test_a_request_during_a_bake_ends_it_within_seconds(table: LockTable) -> None:
    table.put(pair="web", execution=LOCK["execution"])
    asking = threading.Timer(1, table.put, kwargs={"pair": "web", **REQUEST})
    asking.start()
    began = time.monotonic()
    with serving(answering(OK)) as server, pytest.raises(RollbackRequested):
        called(check_of(server, intervalSeconds=0.2), address="production", baking=True, bakeSeconds=60, lock=LOCK)
    asking.join()
    assert time.monotonic() - began < 5


def test_a_health_check_whose_execution_is_not_asked_ends_as_always(table: LockTable) -> None:
    table.put(pair="web", execution=LOCK["execution"])
    began = time.monotonic()
    with serving(answering(OK)) as server:
        assert called(check_of(server), lock=LOCK)["healthy"]
    assert time.monotonic() - began < 2


def test_a_request_counts_before_the_failure_of_a_server_and_without_another_description(table: LockTable) -> None:
    table.put(pair="web", **REQUEST)
    standing = {"pair": "web", "production": "kai", "staging": "tao", "strict": True}
    with serving(answering(status(500))) as server, pytest.raises(RollbackRequested):
        called(check_of(server, intervalSeconds=0.3), address="production", lock=LOCK, standing=standing)
