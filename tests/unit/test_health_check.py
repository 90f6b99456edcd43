"""The handler of the health check against real servers on loopback: its results, errors, logs and times."""

import contextlib
import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import health_check
from domain.errors import ProductionUnhealthy, StagingUnhealthy
from domain.events import InvalidEvent
from tests.unit.certificates import Authority
from tests.unit.emf import Capture, Point, points
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Connection,
    answering,
    closing,
    hanging_after,
    in_turn,
    over_tls,
    reading,
    refusing,
    saying,
    serving,
    status,
    with_headers,
)

Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log() -> Iterator[Log]:
    """The lines the handler has logged so far."""
    lines = io.StringIO()
    to_lines = logging.StreamHandler(lines)
    to_lines.setFormatter(health_check.logger.registered_formatter)
    health_check.logger.addHandler(to_lines)
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    health_check.logger.handlers.remove(to_lines)


def slow(connection: Connection) -> None:
    connection.pause(0.06)
    answering(OK)(connection)


# One check


def test_a_healthy_server_and_its_probes_are_returned_and_logged(log: Log) -> None:
    with serving(answering(OK)) as server:
        result = called(check_of(server))
    [line] = log()
    assert (line["level"], line["message"], line["correlation_id"]) == ("INFO", "health check finished", "cutover-7")
    assert line["checks"] == result["checks"]
    probes = result["checks"][0].pop("probes")
    answered = {"identity": None, "release": None, "shared": None}
    assert result == {
        "healthy": True, "address": "staging", "publicIp": "127.0.0.1", "server": "tao",
        "checks": [{"check": f"http://127.0.0.1:{server.port}/health", "probeCount": 3, **answered}],
        "answered": [answered], "warnings": [], "soon": [],
    }  # fmt: skip
    assert [(probe["status"], probe["error"]) for probe in probes] == [(200, None)] * 3
    assert all(isinstance(probe["milliseconds"], int) for probe in probes)
    assert server.connections == 3


@pytest.mark.parametrize(
    ("behaviour", "settings", "statuses"),
    [
        (answering(status(503), status(503), OK), {}, [503, 503, 200, 200, 200]),
        (answering(*[status(503)] * 5, OK), {"startPeriodSeconds": 10}, [503] * 5 + [200] * 3),
        (reading, {"protocol": "TCP"}, [None] * 3),
        (slow, {"maxLatencyMs": 490}, [200] * 3),
        (answering(with_headers(b"X-Release: 42")), {"releaseHeader": "X-Release"}, [200] * 3),
    ],
)
def test_a_server_that_answers_as_configured_is_healthy(
    behaviour: Behaviour, settings: dict[str, Any], statuses: list[int | None]
) -> None:
    with serving(behaviour) as server:
        result = called(check_of(server, **settings), expectedRelease="42")
    assert result["healthy"]
    assert [probe["status"] for probe in result["checks"][0]["probes"]] == statuses


FLAPPING = in_turn(answering(OK), answering(status(503)))
A_AND_B = in_turn(answering(with_headers(b"X-Id: a")), answering(with_headers(b"X-Id: b")))


@pytest.mark.parametrize(
    ("behaviour", "settings", "message"),
    [
        (answering(status(500)), {}, "3 probes in a row failed: expected status 200, found 500, 500, 500 "),
        (answering(status(302)), {}, "A redirect is not followed"),
        (hanging_after(), {"timeoutSeconds": 0.1}, "no answer within 0.1 s"),
        (FLAPPING, {"timeoutSeconds": 0.1, "deadlineSeconds": 0.6}, "it kept flapping"),
        (closing, {"startPeriodSeconds": 0.1}, "3 probes in a row failed (its start period of 0.1 s is over): "),
        (
            answering(saying(b"maintenance")),
            {"bodyContains": "ok"},
            'lacks "ok": it is 11 bytes without a Content-Type',
        ),
        (slow, {"maxLatencyMs": 50}, "ms, expected at most 50 ms"),
        (answering(with_headers(b"X-Release: 41")), {"releaseHeader": "X-Release"}, 'is "41", expected "42"'),
        (A_AND_B, {"identityHeader": "X-Id"}, 'X-Id varies from one good probe to the next: "a", "b"'),
    ],
)
def test_any_other_server_is_unhealthy_with_a_reason(
    behaviour: Behaviour, settings: dict[str, Any], message: str
) -> None:
    began = time.monotonic()
    with serving(behaviour) as server, pytest.raises(StagingUnhealthy) as raised:
        called(check_of(server, **settings), expectedRelease="42")
    assert message in str(raised.value)
    assert time.monotonic() - began < 0.6 + 1


def test_unhealthy_production_has_its_own_error_and_no_start_period() -> None:
    with refusing() as server, pytest.raises(ProductionUnhealthy) as raised:
        called(check_of(server, startPeriodSeconds=10), address="production")
    assert "through the production address" in str(raised.value)
    assert "3 probes in a row failed: connection refused" in str(raised.value)


def test_an_unhealthy_server_is_logged_in_one_line_with_its_probes_and_without_the_exception(log: Log) -> None:
    with refusing() as server, pytest.raises(StagingUnhealthy):
        called(check_of(server))
    [line] = log()
    assert (line["level"], line["healthy"], len(line["checks"][0]["probes"])) == ("INFO", False, 3)
    assert line["checks"][0]["probes"][0]["error"] == "connection refused"
    assert "exception" not in line


# The event


def test_a_null_key_counts_as_absent() -> None:
    settings = "hostHeader headers verifyCertificate bodyContains maxLatencyMs via identityHeader sharedHeader"
    event = "expectedRelease live answered movingSeconds bakeSeconds baking until urgent lock alarms"
    with serving(answering(OK)) as server:
        check = check_of(server, **dict.fromkeys(f"{settings} releaseHeader".split()))
        for address in ("staging", "production"):
            assert called(check, address=address, **dict.fromkeys(event.split()))["healthy"]


def test_a_key_that_no_state_should_send_is_refused() -> None:
    with refusing() as server, pytest.raises(InvalidEvent, match="HealthCheckEvent has no key expected; "):
        called(check_of(server), expected="42")


def test_every_setting_of_the_request_reaches_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority().trusted(tmp_path, monkeypatch)
    with serving(over_tls(ca.certified("a.example"), answering(OK))) as server:
        https = check_of(server, protocol="HTTPS", timeoutSeconds=2, path="/up", headers={"X-Probe": "1"})
        good = {**https, "hostHeader": "a.example"}
        assert called(good, {**https, "hostHeader": "b.example", "verifyCertificate": False})["healthy"]
        with pytest.raises(StagingUnhealthy, match=r"1 of 2 checks.*not for .b.example. but for .a.example."):
            called(good, {**https, "hostHeader": "b.example", "verifyCertificate": True})
    request = server.requests[0].decode().split("\r\n")
    assert request[0] == "GET /up HTTP/1.1"
    assert "X-Probe: 1" in request


# Several checks


def test_all_checks_must_pass_and_their_results_come_in_order() -> None:
    with serving(answering(OK)) as web, serving(closing) as port, serving(answering(status(301))) as other:
        result = called(check_of(web), check_of(port, protocol="TCP"), check_of(other, matcher="301"))
    assert [check["check"] for check in result["checks"]] == [
        f"http://127.0.0.1:{web.port}/health",
        f"tcp://127.0.0.1:{port.port}",
        f"http://127.0.0.1:{other.port}/health",
    ]
    assert [len(check["probes"]) for check in result["checks"]] == [3, 3, 3]
    assert len(result["answered"]) == 3


def test_a_check_that_fails_is_named_and_ends_the_waits_and_the_probes_of_the_others_at_once() -> None:
    began = time.monotonic()
    with (
        serving(answering(OK)) as good,
        serving(hanging_after()) as hanging,
        refusing() as dead,
        pytest.raises(StagingUnhealthy) as raised,
    ):
        called(
            check_of(good, intervalSeconds=60, deadlineSeconds=600),
            check_of(dead),
            check_of(hanging, timeoutSeconds=5, deadlineSeconds=60),
        )
    assert time.monotonic() - began < 2
    assert f"1 of 3 checks, at http://127.0.0.1:{dead.port}/health: 3 probes in a row failed" in str(raised.value)
    assert good.connections == 1
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPool")] == []


# What servers send


def test_the_result_of_ten_checks_with_the_longest_of_everything_is_far_below_256_kib() -> None:
    headers = [b"%s: %s" % (name, b"\\" * 5000) for name in (b"X-Id", b"X-Release", b"X-Store")]
    bad = saying(b'"' * 500, *headers)
    longest = {
        "path": "/" + "p" * 1023, "hostHeader": "h" * 63 + ".example", "bodyContains": "ok", "identityHeader": "X-Id",
        "releaseHeader": "X-Release", "sharedHeader": "X-Store", "healthyThresholdCount": 1,
    }  # fmt: skip
    with contextlib.ExitStack() as opened:
        turns = [in_turn(answering(bad), answering(saying(b"ok", *headers))) for _ in range(10)]
        servers = [opened.enter_context(serving(behaviour)) for behaviour in turns]
        checks = [check_of(server, **longest) for server in servers]
        result = called(*checks, address="production", baking=True, bakeSeconds=1)
    assert sum(len(check["probes"]) for check in result["checks"]) > 100
    assert len(json.dumps(result)) < 100_000


# The metric


def published(capsys: Capture) -> list[Point]:
    return points(capsys.readouterr().out)


def test_the_latency_of_good_probes_is_published_for_the_check_and_for_the_bake(capsys: Capture) -> None:
    with serving(answering(OK)) as server:
        check = check_of(server, intervalSeconds=0.5)
        events: list[dict[str, Any]] = [{}, {"baking": True, "bakeSeconds": 0.1}]
        results = [called(check, address="production", **event) for event in events]
    of_check, of_bake = published(capsys)
    for point in (of_check, of_bake):
        assert (point.name, point.unit) == ("HealthCheckLatency", "Milliseconds")
        assert point.dimensions == {"address": "production", "server": "tao"}
    probes = [probe for result in results for probe in result["checks"][0]["probes"]]
    assert [*of_check.values, *of_bake.values] == [probe["milliseconds"] for probe in probes]


def test_the_latency_of_probes_that_failed_is_not_published(capsys: Capture) -> None:
    turns = in_turn(answering(OK), answering(OK), *[answering(status(500))] * 3)
    with serving(turns) as server, pytest.raises(StagingUnhealthy):
        called(check_of(server))
    [point] = published(capsys)
    assert len(point.values) == 2


def test_the_latency_of_at_most_the_last_20_probes_of_each_check_is_published(capsys: Capture) -> None:
    with serving(answering(OK)) as server:
        called(*[check_of(server, healthyThresholdCount=25, intervalSeconds=0.01, deadlineSeconds=20)] * 6)
    assert [len(point.values) for point in published(capsys)] == [99, 21]


# The cold start


def test_boto3_is_not_loaded_if_no_alarms_are_configured() -> None:
    loaded = "import sys, health_check; print({'boto3', 'aws.alarms', 'asyncio'} & sys.modules.keys())"
    lambdas = Path(health_check.__file__).parent
    ended = subprocess.run([sys.executable, "-c", loaded], cwd=lambdas, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
