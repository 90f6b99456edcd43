"""The age of the locks: read from moto's DynamoDB, and reported to CloudWatch."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import report_locks
from aws import records
from domain.lock import Lock
from report_locks import held_locks, metrics_of
from tests.unit.emf import Capture, values
from tests.unit.handler_calls import CONTEXT
from tests.unit.lock_table import LockTable

TABLE = "locks-of-these-tests"  # the account of other tests in this process may have one called `locks`
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockTable]:
    monkeypatch.setenv("LOCK_TABLE", TABLE)
    records.dynamodb_client.cache_clear()
    with mock_aws():
        table = LockTable(TABLE)
        yield table
        table.client.delete_table(TableName=TABLE)
    records.dynamodb_client.cache_clear()


def lock(table: LockTable, pair: str, *, seconds: float, **more: str) -> None:
    since = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    table.put(**{"pair": pair, "execution": "arn", "since": since, "server": "tao", **more})


def test_without_locks_the_age_is_0_so_that_the_alarm_has_data(table: LockTable, capsys: Capture) -> None:
    assert report_locks.handler({}, CONTEXT) == {"locks": 0}
    assert values(capsys.readouterr().out) == {("LockAge", ()): (0,)}


def test_the_age_of_every_lock_is_reported_by_pair_and_for_the_oldest(table: LockTable, capsys: Capture) -> None:
    lock(table, "web", seconds=60)
    lock(table, "api", seconds=900)
    assert report_locks.handler({}, CONTEXT) == {"locks": 2}
    metrics = values(capsys.readouterr().out)
    assert set(metrics) == {("LockAge", ()), ("LockAge", ("web",)), ("LockAge", ("api",))}
    assert metrics["LockAge", ()] == metrics["LockAge", ("api",)] == pytest.approx((900,), abs=10)
    assert metrics["LockAge", ("web",)] == pytest.approx((60,), abs=10)


def test_the_record_of_a_pair_that_is_not_locked_does_not_count_as_a_lock(table: LockTable, capsys: Capture) -> None:
    lock(table, "web", seconds=60)
    table.put(pair="api", rollbackTo={"server": "tao", "why": "it was live before"}, revision=7)
    table.put(pair="interrupted", interrupted="arn", since="2026-01-02T03:04:05Z", server="tao")
    assert report_locks.handler({}, CONTEXT) == {"locks": 1}
    metrics = values(capsys.readouterr().out)
    assert set(metrics) == {("LockAge", ()), ("LockAge", ("web",))}
    assert metrics["LockAge", ()] == pytest.approx((60,), abs=10)


def test_a_table_of_several_pages_is_read_completely_and_consistently(table: LockTable) -> None:
    for number in range(5):
        lock(table, f"pair-{number}", seconds=number, server="x" * 390_000)
    asked: list[Any] = []
    table.client.meta.events.register("before-parameter-build.dynamodb.Scan", lambda params, **_: asked.append(params))
    assert len(held_locks(table.client, TABLE)) == 5
    assert len(asked) > 1
    assert all(params["ConsistentRead"] for params in asked)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-02T03:04:05"])
def test_a_lock_without_a_time_does_not_hide_the_others(since: str) -> None:
    oldest, web = metrics_of(
        [Lock("api", "arn", since, "tao"), Lock("web", "arn", "2026-01-02T03:03:05.500Z", "tao")], NOW
    )
    assert (oldest.values, dict(oldest.dimensions[0])) == ((59.5,), {})
    assert (web.values, dict(web.dimensions[0])) == ((59.5,), {"pair": "web"})


def test_a_lock_with_a_time_in_the_future_is_new() -> None:
    oldest, *_ = metrics_of([Lock("web", "arn", "2026-01-02T03:04:06Z", "tao")], NOW)
    assert oldest.values == (0,)


def test_an_unreadable_table_fails_the_function_so_that_lambda_counts_an_error(
    table: LockTable, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("LOCK_TABLE", "gone")
    with pytest.raises(ClientError):
        report_locks.handler({}, CONTEXT)
    assert values(capsys.readouterr().out) == {}
