"""The alarms of CloudWatch: read from moto with its real answers, and watched on a clock of the tests."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from botocore.config import Config
from botocore.stub import Stubber
from mypy_boto3_cloudwatch import CloudWatchClient

from aws.alarms import AlarmStates, alarms_in_alarm, watch
from aws.calls import CONFIG, HURRIED, ONCE, aws_client
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_polling import Time

ERRORS = 'the alarm "errors" has been in ALARM since 2026-01-02T03:04:05+00:00: 5 > 1'
RINGING = AlarmStates(in_alarm={"errors": ERRORS})
UNREADABLE = AlarmStates(unreadable="DescribeAlarms failed: Throttling")


def put_alarm(client: CloudWatchClient, name: str, state: str = "OK", reason: str = "because") -> None:
    metric: Any = {"Namespace": "Web", "MetricName": "5xx", "Statistic": "Sum", "Period": 60}
    above_1: Any = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 1, "EvaluationPeriods": 1}
    client.put_metric_alarm(AlarmName=name, **metric, **above_1)
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)  # type: ignore[arg-type]


# One look


def test_a_read_returns_the_alarms_in_alarm_and_the_names_without_an_alarm(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors", "ALARM", "5 errors > 1\n\x1b[2J" + "x" * 500)
    put_alarm(cloudwatch, "latency", "OK")
    put_alarm(cloudwatch, "cold", "INSUFFICIENT_DATA")
    put_alarm(cloudwatch, "nobody asked", "ALARM")

    look = alarms_in_alarm(cloudwatch, ["latency", "errors", "cold", "gone"])

    assert (list(look.in_alarm), look.missing, look.without_data) == (["errors"], ("gone",), ("cold",))
    since, reason = look.in_alarm["errors"].removeprefix('the alarm "errors" has been in ALARM since ').split(": ", 1)
    assert reason.startswith("5 errors > 1??[2Jxxx")
    assert len(reason) == 200
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", since)


def test_a_composite_alarm_is_an_alarm_with_the_age_of_its_state() -> None:
    client = aws_client("cloudwatch")
    changed, updated = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 4, 0, tzinfo=UTC)
    every = {"AlarmName": "all", "StateValue": "ALARM", "StateTransitionedTimestamp": changed}
    with Stubber(client) as stubber:  # moto has no composite alarms
        stubber.add_response("describe_alarms", {"CompositeAlarms": [every | {"StateUpdatedTimestamp": updated}]})
        look = alarms_in_alarm(client, ["all"])
    in_words = 'the alarm "all" has been in ALARM since 2026-01-02T03:04:05+00:00: no reason given'
    assert look == AlarmStates(in_alarm={"all": in_words})


def test_a_read_asks_for_metric_and_composite_alarms_in_one_call(cloudwatch: CloudWatchClient) -> None:
    asked: list[dict[str, Any]] = []
    cloudwatch.meta.events.register("before-parameter-build.cloudwatch.*", lambda params, **_: asked.append(params))
    alarms_in_alarm(cloudwatch, [f"alarm-{n}" for n in range(100)])
    assert [len(params["AlarmNames"]) for params in asked] == [100], "as many as a pair may have"
    assert {params.get("MaxRecords") for params in asked} == {100}, "as many as the names: one page"
    assert {tuple(params["AlarmTypes"]) for params in asked} == {("MetricAlarm", "CompositeAlarm")}


@pytest.mark.parametrize(
    ("status", "config", "requests"),
    [
        ("403 Forbidden", CONFIG, 1), ("500 Broken", CONFIG, 3), ("500 Broken", ONCE, 1), ("500 Broken", HURRIED, 1),
    ],
)  # fmt: skip
def test_a_server_error_is_tried_three_times_or_once_in_a_watch_or_a_hurry_and_any_other_error_once(
    status: str, config: Config, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answering(saying(b"denied").replace(b"200 OK", status.encode()))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        states = alarms_in_alarm(aws_client("cloudwatch", config), ["errors"])
    assert re.match(rf"DescribeAlarms failed: [ -~]*{status[:3]}", states.unreadable)
    assert len(server.requests) == requests


@pytest.mark.parametrize(("config", "seconds"), [(ONCE, (2, 3)), (CONFIG, (2, 5)), (HURRIED, (1, 1))])
def test_the_client_gives_up_after_seconds(config: Config, seconds: tuple[int, int]) -> None:
    used: Any = aws_client("cloudwatch", config).meta.config
    assert (used.connect_timeout, used.read_timeout) == seconds


# The watch


class Watched(NamedTuple):
    """How a watch ended, and after how many seconds."""

    wrong: str | None
    seconds: float


def watched(
    looks: Callable[[int], AlarmStates],
    seconds: float,
    *,
    stops_after: float = float("inf"),
    tolerant: bool = False,
) -> tuple[Watched, list[float]]:
    """How the watch ended, and when it looked, in seconds; `looks` gives look n, which takes a quarter of a second."""
    passing = Time(stops_at=1000 + stops_after)
    at: list[float] = []

    def look() -> AlarmStates:
        seen = looks(len(at))
        at.append(passing.now - 1000)
        passing.now += 0.25
        return seen

    ended = watch(look, seconds, passing.clock, passing.wait, tolerant=tolerant)
    return Watched(ended, passing.now - 1000), at


@pytest.mark.parametrize(
    ("seconds", "at"), [(12, [0, 5, 10, 12]), (10, [0, 5, 10]), (3, [0, 3]), (0.125, [0, 0.25]), (0, [0])]
)
def test_a_watch_reads_the_alarms_at_once_every_5_s_and_at_the_end(seconds: float, at: list[float]) -> None:
    assert watched(lambda _: AlarmStates(), seconds) == (Watched(None, at[-1] + 0.25), at)


@pytest.mark.parametrize(("rings", "at"), [(0, [0]), (1, [0, 5]), (3, [0, 5, 10, 12])])
def test_an_alarm_ends_the_watch_at_once(rings: int, at: list[float]) -> None:
    ended, looked_at = watched(lambda n: RINGING if n == rings else AlarmStates(), 12)
    assert looked_at == at
    assert ended.wrong == ERRORS


def test_alarms_that_cannot_be_read_for_a_while_are_read_again() -> None:
    ended, at = watched(lambda n: AlarmStates() if n == 3 else UNREADABLE, 12)
    assert (ended.wrong, at) == (None, [0, 5, 10, 12])


@pytest.mark.parametrize("unreadable", [1, 2])
def test_a_throttled_last_read_does_not_decide(unreadable: int) -> None:
    ended, at = watched(lambda n: UNREADABLE if 2 <= n < 2 + unreadable else AlarmStates(), 7)
    assert (ended.wrong, at) == (None, [0, 5, 7, 9.25, 11.5][: 3 + unreadable])


def test_an_alarm_in_a_later_last_read_counts() -> None:
    ended, _ = watched(lambda n: (AlarmStates(), AlarmStates(), UNREADABLE, RINGING)[n], 7)
    assert str(ended.wrong).startswith('the alarm "errors" has been in ALARM')


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (UNREADABLE, "DescribeAlarms failed: Throttling"),
        (AlarmStates(missing=("gone", "away")), 'no metric or composite alarm is named "gone", "away"'),
        (AlarmStates(missing=("a\n", *"bcd")), 'no metric or composite alarm is named "a?", "b", "c" (and 1 more)'),
    ],
)
def test_alarms_that_cannot_be_read_three_times_at_the_end_fail_the_watch(last: AlarmStates, why: str) -> None:
    ended, at = watched(lambda n: last if n else AlarmStates(), 7)
    assert (ended.wrong, at) == (f"its alarms cannot be read: {why}", [0, 5, 7, 9.25, 11.5])


def test_alarms_that_cannot_be_read_at_the_end_of_a_part_of_the_bake_are_left_to_the_next_part() -> None:
    assert watched(lambda _: UNREADABLE, 7, tolerant=True)[0].wrong is None
    assert watched(lambda n: RINGING if n == 3 else UNREADABLE, 7, tolerant=True)[0].wrong


def test_the_message_names_one_of_several_alarms_and_counts_the_others_even_if_another_is_missing() -> None:
    ended, at = watched(lambda _: AlarmStates(dict.fromkeys("abc", ERRORS), ("gone",)), 12)
    assert at == [0]
    assert str(ended.wrong).startswith('the alarm "errors" has been in ALARM')
    assert str(ended.wrong).endswith(": 5 > 1 (and 2 more)")


def test_a_stopped_watch_does_not_read_the_alarms_again_even_at_its_end() -> None:
    assert watched(lambda _: AlarmStates(), 600, stops_after=7) == (Watched(None, 7), [0, 5])
    assert watched(lambda n: UNREADABLE if n else AlarmStates(), 7, stops_after=8) == (Watched(None, 8), [0, 5, 7])
