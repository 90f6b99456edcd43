"""The alarms of CloudWatch: read from moto's, with its real answers, and watched on a clock of its own."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_cloudwatch import CloudWatchClient

from aws.alarms import Alarm, AlarmsUnreadable, Look, Watched, alarms_in_alarm, cloudwatch_client, watch
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_polling import Time

RINGING = Look(in_alarm=(Alarm("errors", "5 > 1", "2026-01-02T03:04:05+00:00"),))
UNREADABLE = AlarmsUnreadable("DescribeAlarms failed: Throttling")


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatchClient]:
    with mock_aws():
        yield boto3.client("cloudwatch")


def put_alarm(client: CloudWatchClient, name: str, state: str = "OK", reason: str = "because") -> None:
    client.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="5xx",
        Namespace="Web",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)  # type: ignore[arg-type]


# One look


def test_a_look_shows_the_alarms_in_alarm_and_the_names_of_no_alarm(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors", "ALARM", "5 errors > 1\n\x1b[2J" + "x" * 500)
    put_alarm(cloudwatch, "latency", "OK")
    put_alarm(cloudwatch, "cold", "INSUFFICIENT_DATA")
    put_alarm(cloudwatch, "nobody asked", "ALARM")

    look = alarms_in_alarm(cloudwatch, ["latency", "errors", "cold", "gone"])

    [errors] = look.in_alarm
    assert (errors.name, look.missing) == ("errors", ("gone",))
    assert errors.reason.startswith("5 errors > 1??[2Jxxx")
    assert len(errors.reason) == 200
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", errors.since)


def test_a_composite_alarm_is_an_alarm_and_its_age_is_that_of_its_state() -> None:
    client = cloudwatch_client()
    changed, updated = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
    every = {"AlarmName": "all", "StateValue": "ALARM", "StateTransitionedTimestamp": changed}
    with Stubber(client) as stubber:  # moto has no composite alarms
        stubber.add_response("describe_alarms", {"CompositeAlarms": [every | {"StateUpdatedTimestamp": updated}]})
        look = alarms_in_alarm(client, ["all"])
    assert look == Look(in_alarm=(Alarm("all", "no reason given", "2026-01-02T03:04:05+00:00"),))


def test_a_look_asks_for_metric_and_composite_alarms_a_hundred_names_a_call(cloudwatch: CloudWatchClient) -> None:
    asked: list[dict[str, Any]] = []
    cloudwatch.meta.events.register("before-parameter-build.cloudwatch.*", lambda params, **_: asked.append(params))
    alarms_in_alarm(cloudwatch, [f"alarm-{n}" for n in range(150)])
    assert [len(params["AlarmNames"]) for params in asked] == [100, 50]
    assert {params.get("MaxRecords") for params in asked} == {100}, "as many as the names: one page"
    assert {tuple(params["AlarmTypes"]) for params in asked} == {("MetricAlarm", "CompositeAlarm")}


def test_an_answer_that_is_an_error_says_so_and_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = saying(b"denied").replace(b"200 OK", b"403 Forbidden")
    with serving(answering(denied)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        with pytest.raises(AlarmsUnreadable, match=r"^DescribeAlarms failed: [ -~]*403"):
            alarms_in_alarm(cloudwatch_client(), ["errors"])
    assert len(server.requests) == 1


def test_a_server_error_is_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = saying(b"").replace(b"200 OK", b"500 Broken")
    with serving(answering(broken)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        with pytest.raises(AlarmsUnreadable):
            alarms_in_alarm(cloudwatch_client(), ["errors"])
    assert len(server.requests) == 3


def test_the_client_of_a_watch_asks_once_and_gives_up_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    config = cloudwatch_client(watching=True).meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 3)  # type: ignore[attr-defined]
    broken = saying(b"").replace(b"200 OK", b"500 Broken")
    with serving(answering(broken)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        with pytest.raises(AlarmsUnreadable):
            alarms_in_alarm(cloudwatch_client(watching=True), ["errors"])
    assert len(server.requests) == 1


def test_the_client_waits_for_no_connection_longer_than_2_s_and_for_no_answer_longer_than_5() -> None:
    config = cloudwatch_client().meta.config
    assert (config.connect_timeout, config.read_timeout) == (2, 5)  # type: ignore[attr-defined]


# The watch


def watched(
    looks: Callable[[int], Look | AlarmsUnreadable], seconds: float, *, stops_after: float = float("inf")
) -> tuple[Watched, list[float]]:
    """How the watch ended, and when it looked, in seconds; `looks` gives look n, which takes a quarter of a second."""
    passing = Time(stops_at=1000 + stops_after)
    at: list[float] = []

    def look() -> Look:
        seen = looks(len(at))
        at.append(passing.now - 1000)
        passing.now += 0.25
        if isinstance(seen, AlarmsUnreadable):
            raise seen
        return seen

    ended = watch(look, seconds, passing.clock, passing.wait)
    assert ended.seconds == passing.now - 1000
    return ended, at


@pytest.mark.parametrize(
    ("seconds", "at"), [(12, [0, 5, 10, 12]), (10, [0, 5, 10]), (3, [0, 3]), (0.125, [0, 0.25]), (0, [0])]
)
def test_a_watch_looks_at_once_every_5_s_and_at_the_end(seconds: float, at: list[float]) -> None:
    assert watched(lambda _: Look(), seconds) == (Watched(None, at[-1] + 0.25), at)


@pytest.mark.parametrize(("rings", "at"), [(0, [0]), (1, [0, 5]), (3, [0, 5, 10, 12])])
def test_an_alarm_ends_the_watch_at_once(rings: int, at: list[float]) -> None:
    ended, looked_at = watched(lambda n: RINGING if n == rings else Look(), 12)
    assert looked_at == at
    assert ended.wrong == 'the alarm "errors" is in ALARM since 2026-01-02T03:04:05+00:00: 5 > 1'


def test_of_several_alarms_one_is_named_and_the_others_counted() -> None:
    ended, _ = watched(lambda _: Look(in_alarm=RINGING.in_alarm * 3), 12)
    assert str(ended.wrong).endswith(": 5 > 1 (and 2 more)")


def test_what_cannot_be_read_for_a_while_is_read_again() -> None:
    ended, at = watched(lambda n: Look() if n == 3 else UNREADABLE, 12)
    assert (ended.wrong, at) == (None, [0, 5, 10, 12])


@pytest.mark.parametrize("unreadable", [1, 2])
def test_one_last_look_that_is_throttled_is_no_verdict(unreadable: int) -> None:
    ended, at = watched(lambda n: UNREADABLE if 2 <= n < 2 + unreadable else Look(), 7)
    assert (ended.wrong, at) == (None, [0, 5, 7, 9.25, 11.5][: 3 + unreadable])


def test_an_alarm_that_a_later_last_look_shows_is_seen() -> None:
    ended, _ = watched(lambda n: (Look(), Look(), UNREADABLE, RINGING)[n], 7)
    assert str(ended.wrong).startswith('the alarm "errors" is in ALARM')


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (UNREADABLE, "DescribeAlarms failed: Throttling"),
        (Look(missing=("gone", "away")), 'no metric or composite alarm is named "gone", "away"'),
        (
            Look(missing=("a\n", "x" * 90, "c", "d", "e")),
            f'no metric or composite alarm is named "a?", "{"x" * 77}...", "c" (and 2 more)',
        ),
    ],
)
def test_alarms_that_cannot_be_read_three_times_at_the_end_are_wrong(last: Look | AlarmsUnreadable, why: str) -> None:
    ended, at = watched(lambda n: last if n else Look(), 7)
    assert (ended.wrong, at) == (f"its alarms cannot be read: {why}", [0, 5, 7, 9.25, 11.5])


def test_a_watch_that_is_stopped_at_the_end_does_not_look_again() -> None:
    ended, at = watched(lambda n: UNREADABLE if n else Look(), 7, stops_after=8)
    assert (ended.wrong, at) == (None, [0, 5, 7])


def test_an_alarm_counts_though_another_is_missing() -> None:
    ended, at = watched(lambda _: Look(RINGING.in_alarm, ("gone",)), 12)
    assert (str(ended.wrong)[:18], at) == ('the alarm "errors"', [0])


def test_a_watch_that_is_stopped_does_not_look_again() -> None:
    ended, at = watched(lambda _: Look(), 600, stops_after=7)
    assert (ended, at) == (Watched(None, 7), [0, 5])
