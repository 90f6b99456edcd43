"""The age of the locks, and whether pairs are ready: read from moto's DynamoDB, and reported to CloudWatch."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import report_locks
from aws import calls
from domain.lock import Lock
from domain.pair import Pair
from domain.record import Record
from report_locks import metrics_of, readiness_of
from tests.unit.emf import Capture, points, values
from tests.unit.handler_calls import CONTEXT
from tests.unit.lock_table import LockTable
from tests.unit.test_report_outcome import PAIR

TABLE = "locks-of-these-tests"  # the account of other tests in this process may have one called `locks`
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def configured(**schedules: str | None) -> dict[str, Any]:
    """Pairs with these schedules, as in pairs.json; a pair with None is not evaluated."""
    pair = PAIR | {"healthCheck": [], "bakeSeconds": 0, "alarms": []}
    given = {name: schedule and {"scheduleExpression": schedule} for name, schedule in schedules.items()}
    return {name: pair | {"readiness": readiness or False} for name, readiness in given.items()}


def deploy(monkeypatch: pytest.MonkeyPatch, folder: Path, **schedules: str | None) -> None:
    (folder / "pairs.json").write_text(json.dumps(configured(**schedules)))
    monkeypatch.setenv("PAIRS_FILE", str(folder / "pairs.json"))


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LockTable]:
    monkeypatch.setenv("LOCK_TABLE", TABLE)
    deploy(monkeypatch, tmp_path)
    calls.aws_client.cache_clear()
    with mock_aws():
        table = LockTable(TABLE)
        yield table
        table.client.delete_table(TableName=TABLE)
    calls.aws_client.cache_clear()


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
    events, event = calls.aws_client("dynamodb").meta.events, "before-parameter-build.dynamodb.Scan"
    events.register(event, lambda params, **_: asked.append(params))
    assert report_locks.handler({}, CONTEXT) == {"locks": 5}
    assert len(asked) > 1
    assert all(params["ConsistentRead"] for params in asked)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-02T03:04:05"])
def test_a_lock_without_a_time_is_logged_and_does_not_hide_the_others(
    since: str, caplog: pytest.LogCaptureFixture
) -> None:
    oldest, web = metrics_of(
        [Lock("api", "arn", since, "tao"), Lock("web", "arn", "2026-01-02T03:03:05.500Z", "tao")], NOW
    )
    assert (oldest.values, dict(oldest.dimensions[0])) == ((59.5,), {})
    assert (web.values, dict(web.dimensions[0])) == ((59.5,), {"pair": "web"})
    (logged,) = caplog.records
    assert (logged.levelname, vars(logged)["lock"]["pair"]) == ("ERROR", "api")


def test_a_lock_with_a_time_in_the_future_is_new() -> None:
    oldest, *_ = metrics_of([Lock("web", "arn", "2026-01-02T03:04:06Z", "tao")], NOW)
    assert oldest.values == (0,)


def test_an_item_that_a_person_has_written_hides_no_pair(
    table: LockTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    deploy(monkeypatch, tmp_path, web="rate(1 day)", api="rate(1 day)")
    checked = {"ready": True, "checkedAt": datetime.now(UTC).isoformat()}
    table.put(pair="web", readiness=checked)
    table.put(pair="api", readiness="{", lastOutcome="[]", rollbackTo="7", releases="[", revision=3)
    table.put(pair="gone", readiness={"ready": "yes", "checkedAt": 7}, lastOutcome={"at": 7})
    report_locks.handler({}, CONTEXT)
    assert values(capsys.readouterr().out) == {("LockAge", ()): (0,), ("Ready", ("web",)): (1,), ("Ready", ()): (1,)}


def test_an_unreadable_table_fails_the_function_so_that_lambda_counts_an_error(
    table: LockTable, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("LOCK_TABLE", "gone")
    with pytest.raises(ClientError):
        report_locks.handler({}, CONTEXT)
    assert values(capsys.readouterr().out) == {}


def result(ready: object, **ago: float) -> Record:
    """What an evaluation writes, so long ago."""
    return Record(readiness={"ready": ready, "checkedAt": (NOW - timedelta(**ago)).isoformat(), "reasons": ["x"]})


def ready(records: dict[str, Record], **schedules: str | None) -> dict[str | None, tuple[float, ...]]:
    """The values of `Ready` by pair; by None, the lowest."""
    pairs = {name: Pair.from_json(name, pair) for name, pair in configured(**schedules).items()}
    metrics = readiness_of(pairs, records, NOW)
    return {dict(metric.dimensions[0]).get("pair"): metric.values for metric in metrics if metric.values}


def test_a_pair_that_was_just_evaluated_is_reported_with_that_time_and_the_lowest_of_all_pairs(
    table: LockTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    deploy(monkeypatch, tmp_path, web="rate(1 day)", api="cron(0 6 * * ? *)")
    now = datetime.now(UTC)
    checked_at = {"web": now - timedelta(minutes=4), "api": now - timedelta(hours=3)}
    for pair, at in checked_at.items():
        table.put(pair=pair, readiness={"ready": pair == "web", "checkedAt": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"})
    report_locks.handler({}, CONTEXT)
    printed = capsys.readouterr().out
    assert values(printed) == {("LockAge", ()): (0,), ("Ready", ("web",)): (1,), ("Ready", ()): (0,)}
    (web,) = (point for point in points(printed) if point.dimensions)
    assert web.at == pytest.approx(checked_at["web"].timestamp() * 1000, abs=1)


def test_a_result_is_reported_by_pair_for_longer_than_five_minutes_and_then_not_again() -> None:
    schedules = {"web": "rate(1 day)", "api": "rate(1 day)"}
    assert ready({"web": result(True, minutes=6), "api": result(False, minutes=6.1)}, **schedules) == {
        "web": (1,), None: (0,)
    }  # fmt: skip


def test_the_lowest_is_1_only_if_all_evaluated_pairs_are_ready() -> None:
    schedules = dict.fromkeys(("web", "api"), "rate(1 day)")
    good, bad = result(True, hours=1), result(False, hours=1)
    assert ready({"web": good, "api": good}, **schedules) == {None: (1,)}
    assert ready({"web": good, "api": bad}, **schedules) == {None: (0,)}


@pytest.mark.parametrize(
    ("schedule", "hours", "lowest"),
    [
        ("rate(1 day)", 49, 1), ("rate(1 day)", 49.01, 0), ("rate(5 minutes)", 1.1, 1), ("rate(5 minutes)", 1.2, 0),
        ("cron(0 6 ? * MON *)", 9000, 1),
    ],
)  # fmt: skip
def test_a_ready_pair_counts_as_not_ready_if_two_evaluations_at_its_rate_were_missed(
    schedule: str, hours: float, lowest: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert ready({"web": result(True, hours=hours)}, web=schedule) == {None: (lowest,)}
    logged = [(each.levelname, each.message, vars(each)["pair"], vars(each)["checkedAt"]) for each in caplog.records]
    checked_at = str(NOW - timedelta(hours=hours))
    assert logged == [("ERROR", "A pair was not evaluated in time", "web", checked_at)] * (1 - lowest)


LOCK = Lock("web", "arn", "2026-01-01T03:04:05Z", "tao")


@pytest.mark.parametrize(
    ("lock", "checked_hours_ago", "ended_hours_ago", "lowest"),
    [
        (LOCK, 48, 48, 1), (LOCK, 48, None, 1),
        (None, 48, 1.1, 1), (None, 48, 1.2, 0), (None, 48, 72, 0), (None, 48, None, 0), (None, 1.1, 48, 1),
    ],
)  # fmt: skip
def test_a_pair_that_an_execution_has_held_since_its_evaluation_is_not_overdue(
    lock: Lock | None, checked_hours_ago: float, ended_hours_ago: float | None, lowest: int
) -> None:
    """During a bake of hours, or an approval of days, no evaluation is made."""
    at = (NOW - timedelta(hours=ended_hours_ago)).isoformat() if ended_hours_ago else "unknown"
    record = replace(result(True, hours=checked_hours_ago), lock=lock, last_outcome={"outcome": "CUT_OVER", "at": at})
    assert ready({"web": record}, web="rate(5 minutes)") == {None: (lowest,)}


def test_a_locked_pair_that_was_not_ready_is_still_not_ready() -> None:
    assert ready({"web": replace(result(False, hours=48), lock=LOCK)}, web="rate(5 minutes)") == {None: (0,)}


def test_without_a_result_of_a_pair_that_is_evaluated_nothing_is_reported() -> None:
    assert ready({"web": result(False, minutes=1)}, web=None) == {}
    assert ready({"gone": result(False, minutes=1)}, web="rate(1 day)") == {}
    assert ready({"web": Record()}, web="rate(1 day)") == {}
    assert ready({"web": Record(readiness={"ready": True, "checkedAt": "yesterday"})}, web="rate(1 day)") == {}
    assert ready({"web": Record(readiness={"ready": True, "checkedAt": ""})}, web="rate(1 day)") == {}


def test_a_time_far_in_the_future_is_not_sent_to_cloudwatch() -> None:
    assert ready({"web": result(True, hours=-9000)}, web="rate(1 day)") == {None: (1,)}
