"""The bake: healthy production and the alarms are watched for some time, against real servers and moto."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mypy_boto3_cloudwatch import CloudWatchClient

from domain.errors import ProductionUnhealthy
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    answering,
    following,
    hanging_after,
    serving,
    status,
    with_headers,
)
from tests.unit.test_alarms import put_alarm


def bake(*checks: dict[str, Any], seconds: float, **event: Any) -> dict[str, Any]:
    return called(*checks, address="production", baking=True, bakeSeconds=seconds, **event)


def baked(
    behaviour: Behaviour,
    seconds: float,
    *,
    alarms: list[str] | None = None,
    until: datetime | None = None,
    urgent: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """The handler's result for one check of production and a bake of so many seconds."""
    with serving(behaviour) as server:
        check = check_of(server, **settings)
        return bake(check, seconds=seconds, alarms=alarms, until=until and until.isoformat(), urgent=urgent)


def dying_after(connections: int, death: Behaviour) -> Behaviour:
    """Answers as many connections well, and then none."""
    good = answering(with_headers(b"X-Id: tao"))
    return following(itertools.chain([good] * connections, itertools.repeat(death)))


# The server


def test_a_bake_returns_the_last_20_probes_and_the_number_of_all_probes() -> None:
    began = time.monotonic()
    with serving(answering(OK)) as server:
        result = bake(check_of(server, intervalSeconds=0.005), seconds=1)
    assert 1 <= time.monotonic() - began < 1.01 + 1.5
    [check] = result["checks"]
    assert (result["healthy"], len(check["probes"])) == (True, 20)
    assert check["probeCount"] == server.connections > 20


def test_a_bake_tolerates_a_single_failure_and_goes_on_until_it_is_decided() -> None:
    result = baked(answering(status(503), OK), 0.1, intervalSeconds=0.2)
    [check] = result["checks"]
    assert [probe["status"] for probe in check["probes"]] == [503, 200]
    assert (result["healthy"], check["probeCount"]) == (True, 2)


@pytest.mark.parametrize(
    ("death", "settings", "message"),
    [
        (answering(status(500)), {}, "3 probes in a row failed: expected status 200, found 500, 500, 500 (5 probes in"),
        (hanging_after(), {"timeoutSeconds": 0.1}, "no answer within 0.1 s"),
        (answering(with_headers(b"X-Id: kai")), {"identityHeader": "X-Id"}, 'X-Id is "kai", expected "tao"'),
    ],
)
def test_a_dead_or_other_server_ends_the_bake_at_once(death: Behaviour, settings: dict[str, Any], message: str) -> None:
    began = time.monotonic()
    with serving(dying_after(2, death)) as server, pytest.raises(ProductionUnhealthy) as raised:
        bake(check_of(server, **settings), answered=[{"identity": "tao"}], seconds=60)
    assert time.monotonic() - began < 5
    assert " became unhealthy during the bake through " in str(raised.value)
    assert message in str(raised.value)


def test_a_check_that_fails_in_the_bake_stops_the_others() -> None:
    began = time.monotonic()
    with (
        serving(answering(OK)) as good,
        serving(dying_after(4, answering(status(500)))) as dying,
        pytest.raises(ProductionUnhealthy, match=r"1 of 2 checks, at http://127.0.0.1:\d+/health: 3 probes"),
    ):
        bake(check_of(good, intervalSeconds=30), check_of(dying), seconds=60)
    assert time.monotonic() - began < 5
    assert good.connections == 0


# The alarms


def test_the_bake_passes_if_no_alarm_is_in_alarm(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors")
    put_alarm(cloudwatch, "latency", "INSUFFICIENT_DATA")
    assert baked(answering(OK), 0.2, alarms=["errors", "latency"])["healthy"]


def test_an_alarm_ends_the_bake_at_once_and_is_named(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors", "ALARM", "Threshold Crossed: 7 > 1")
    began = time.monotonic()
    with pytest.raises(ProductionUnhealthy) as raised:
        baked(answering(OK), 60, alarms=["latency", "errors"])
    assert time.monotonic() - began < 5
    assert str(raised.value).startswith("tao (i-0bbbbbbbbbbbbbbbb) is healthy through the production address, at ")
    assert 'the alarm "errors" has been in ALARM since 20' in str(raised.value)
    assert "Threshold Crossed: 7 > 1" in str(raised.value)


@pytest.mark.parametrize(
    ("part", "urgent", "fails"),
    [("last", False, True), ("first", False, False), ("last", True, False), ("first", True, False)],
)
def test_alarms_that_cannot_be_read_fail_only_the_last_part_of_the_bake_and_none_that_is_urgent(
    part: str, urgent: bool, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=0.1 if part == "last" else 600)
    with serving(answering(status(500))) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{endpoint.ip}:{endpoint.port}")
        if fails:
            with pytest.raises(ProductionUnhealthy, match="its alarms cannot be read"):
                baked(answering(OK), 0.1, alarms=["errors"], until=until, urgent=urgent)
        else:
            assert baked(answering(OK), 0.1, alarms=["errors"], until=until, urgent=urgent)["healthy"]
        assert endpoint.requests, "they are read, all the same"


def test_an_urgent_bake_still_fails_for_an_alarm_and_for_an_unhealthy_server(cloudwatch: CloudWatchClient) -> None:
    put_alarm(cloudwatch, "errors", "ALARM")
    with pytest.raises(ProductionUnhealthy, match='the alarm "errors" has been in ALARM'):
        baked(answering(OK), 60, alarms=["errors"], urgent=True)
    with pytest.raises(ProductionUnhealthy, match="3 probes in a row failed"):
        baked(answering(status(500)), 60, urgent=True)


def test_without_a_bake_no_alarms_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(status(500))) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{endpoint.ip}:{endpoint.port}")
        with serving(answering(OK)) as server:
            assert called(check_of(server), address="production", alarms=["errors"])["checks"][0]["probeCount"] == 3
    assert endpoint.requests == []
