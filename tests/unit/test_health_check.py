"""The handler of the health check against real servers on loopback: what it returns, raises and logs, and how soon."""

import contextlib
import io
import json
import logging
import re
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
from tests.unit.certificates import Authority
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    answering,
    chunked,
    closing,
    hanging_after,
    in_turn,
    over_tls,
    reading,
    refusing,
    saying,
    serving,
    status,
)


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines the handler has logged so far."""
    lines = io.StringIO()
    to_lines = logging.StreamHandler(lines)
    to_lines.setFormatter(health_check.logger.registered_formatter)
    health_check.logger.addHandler(to_lines)
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    health_check.logger.handlers.remove(to_lines)


def statuses(result: dict[str, Any]) -> list[int | None]:
    """What the probes of the only check found."""
    [one] = result["checks"]
    return [found["status"] for found in one["probes"]]


# One check


def test_a_server_that_answers_is_healthy_and_its_probes_are_returned() -> None:
    with serving(answering(OK)) as server:
        result = called(check_of(server))
    probes = result["checks"][0].pop("probes")
    assert result == {
        "healthy": True,
        "address": "staging",
        "publicIp": "127.0.0.1",
        "server": "tao",
        "checks": [
            {
                "check": f"http://127.0.0.1:{server.port}/health",
                "probeCount": 3,
                "identity": None,
                "release": None,
                "shared": None,
            }
        ],
        "answered": [{"identity": None, "release": None, "shared": None}],
        "warnings": [],
    }
    assert [(one["status"], one["error"]) for one in probes] == [(200, None)] * 3
    assert all(isinstance(one["milliseconds"], int) for one in probes)
    assert server.connections == 3


def test_a_server_that_answers_503_and_then_200_is_healthy() -> None:
    with serving(answering(status(503), status(503), OK)) as server:
        assert statuses(called(check_of(server))) == [503, 503, 200, 200, 200]


def test_a_sick_server_is_staging_unhealthy_through_the_staging_address() -> None:
    with serving(answering(status(500))) as server, pytest.raises(StagingUnhealthy) as raised:
        called(check_of(server))
    assert "3 probes in a row failed: expected status 200, found 500, 500, 500" in str(raised.value)


def test_a_dead_server_is_production_unhealthy_through_the_production_address() -> None:
    with refusing() as server, pytest.raises(ProductionUnhealthy) as raised:
        called(check_of(server), address="production")
    assert "through the production address" in str(raised.value)
    assert "3 probes in a row failed: connection refused" in str(raised.value)


def test_a_hanging_server_is_unhealthy_after_its_timeouts() -> None:
    began = time.monotonic()
    with serving(hanging_after()) as server, pytest.raises(StagingUnhealthy) as raised:
        called(check_of(server, timeoutSeconds=0.1))
    assert time.monotonic() - began < 0.3 + 1
    assert "no answer within 0.1 s (connected, sent the request, 0 bytes received)" in str(raised.value)


def test_a_flapping_server_is_unhealthy_by_the_deadline() -> None:
    began = time.monotonic()
    with (
        serving(in_turn(answering(OK), answering(status(503)))) as server,
        pytest.raises(StagingUnhealthy, match="it kept flapping"),
    ):
        called(check_of(server, timeoutSeconds=0.1, deadlineSeconds=0.6))
    assert time.monotonic() - began < 0.6 + 1


def test_a_redirect_is_a_status_that_the_matcher_may_accept() -> None:
    with serving(answering(status(302))) as server:
        assert statuses(called(check_of(server, matcher="200-302"))) == [302] * 3
        with pytest.raises(StagingUnhealthy, match="A redirect is not followed"):
            called(check_of(server))


def test_a_server_that_takes_connections_is_healthy_with_tcp() -> None:
    with serving(reading) as server:
        result = called(check_of(server, protocol="TCP"))
    [one] = result["checks"]
    assert one["check"] == f"tcp://127.0.0.1:{server.port}"
    assert [(found["status"], found["error"]) for found in one["probes"]] == [(None, None)] * 3
    assert server.requests == [b""] * 3


def test_the_body_must_contain_the_text_within_its_first_5120_bytes() -> None:
    within = b"x" * 5_110 + b"all is well"
    for answer, good in [
        (saying(b"all is well"), True),
        (chunked(b"all i", b"s wel", b"l"), True),
        (saying(within[1:]), True),
        (chunked(within[1:], b"more"), True),
        (saying(within), False),
        (chunked(within), False),
        (saying(b"maintenance"), False),
    ]:
        with serving(answering(answer)) as server:
            asked = check_of(server, bodyContains="all is well", healthyThresholdCount=1, unhealthyThresholdCount=1)
            if good:
                assert called(asked)["healthy"]
            else:
                with pytest.raises(
                    StagingUnhealthy, match=r'the body lacks "all is well", it begins "(x+\.\.\.|maint)'
                ):
                    called(asked)


def test_an_answer_that_takes_too_long_is_bad() -> None:
    def slowly(connection: Any) -> None:
        connection.pause(0.06)
        answering(OK)(connection)

    with serving(slowly) as server:
        assert called(check_of(server, maxLatencyMs=490))["healthy"]
        with pytest.raises(StagingUnhealthy, match=r"took \d+ ms, expected at most 50 ms.* raise maxLatencyMs"):
            called(check_of(server, maxLatencyMs=50))


def test_host_and_headers_reach_the_server() -> None:
    with serving(answering(OK)) as server:
        called(check_of(server, hostHeader="www.example.com", headers={"X-Probe": "1"}))
    assert b"\r\nHost: www.example.com\r\n" in server.requests[0]
    assert b"\r\nX-Probe: 1\r\n" in server.requests[0]


def test_a_key_that_is_null_is_one_that_is_left_out() -> None:
    optional = [
        *("path", "matcher", "hostHeader", "headers", "verifyCertificate", "bodyContains", "maxLatencyMs", "via"),
        *("startPeriodSeconds", "identityHeader", "releaseHeader", "sharedHeader"),
    ]
    event: dict[str, Any] = dict.fromkeys(("expectedRelease", "live", "answered", "bakeSeconds", "alarms"))
    with serving(answering(OK)) as server:
        for address in ("staging", "production"):
            assert called(check_of(server, **dict.fromkeys(optional)), address=address, **event)["healthy"]
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:")


# The certificate


def test_a_certificate_is_verified_unless_that_is_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority().trusted(tmp_path, monkeypatch)
    https: dict[str, Any] = {"protocol": "HTTPS", "timeoutSeconds": 2, "hostHeader": "www.example.com"}
    with serving(over_tls(ca.certified("www.example.com"), answering(OK))) as server:
        assert called(check_of(server, **https))["healthy"]
    with serving(over_tls(ca.certified("a.example"), answering(OK))) as server:
        assert called(check_of(server, **https, verifyCertificate=False))["healthy"]
        with pytest.raises(StagingUnhealthy, match=r'it is not for "www.example.com" but for "a.example"'):
            called(check_of(server, **https))


def test_of_two_checks_each_verifies_as_it_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority().trusted(tmp_path, monkeypatch)
    with serving(over_tls(ca.certified("a.example"), answering(OK))) as server:
        https = check_of(server, protocol="HTTPS", timeoutSeconds=2)
        assert called(
            {**https, "hostHeader": "a.example"}, {**https, "hostHeader": "b.example", "verifyCertificate": False}
        )["healthy"]
        with pytest.raises(StagingUnhealthy, match="1 of 2 checks"):
            called({**https, "hostHeader": "b.example"}, {**https, "verifyCertificate": False})


# The start period


def test_a_server_that_needs_long_to_start_is_healthy_within_its_start_period() -> None:
    with serving(answering(*[status(503)] * 5, OK)) as server:
        assert statuses(called(check_of(server, startPeriodSeconds=10))) == [503] * 5 + [200] * 3


def test_a_server_that_needs_longer_than_its_start_period_is_not() -> None:
    with refusing() as server, pytest.raises(StagingUnhealthy) as raised:
        called(check_of(server, startPeriodSeconds=0.1))
    assert "3 probes in a row failed, with its start period of 0.1 s used up: connection refused" in str(raised.value)


def test_a_server_that_fails_again_once_it_has_started_is_not() -> None:
    with (
        serving(answering(status(503), OK, status(500))) as server,
        pytest.raises(StagingUnhealthy, match="3 probes in a row failed: expected status 200, found 500, 500, 500 "),
    ):
        called(check_of(server, startPeriodSeconds=10))


def test_production_has_no_start_period() -> None:
    with refusing() as server, pytest.raises(ProductionUnhealthy, match="3 probes in a row failed: connection refused"):
        called(check_of(server, startPeriodSeconds=10), address="production")


# Several checks


def test_all_checks_must_pass_and_their_results_come_in_order() -> None:
    with serving(answering(OK)) as web, serving(closing) as port, serving(answering(status(301))) as other:
        checks = [check_of(web), check_of(port, protocol="TCP"), check_of(other, matcher="301")]
        result = called(*checks)
    assert [one["check"] for one in result["checks"]] == [
        f"http://127.0.0.1:{web.port}/health",
        f"tcp://127.0.0.1:{port.port}",
        f"http://127.0.0.1:{other.port}/health",
    ]
    assert [len(one["probes"]) for one in result["checks"]] == [3, 3, 3]
    assert len(result["answered"]) == 3


def test_checks_run_at_the_same_time() -> None:
    began = time.monotonic()
    with serving(answering(OK)) as server:
        called(*[check_of(server, intervalSeconds=0.3)] * 10)
    assert time.monotonic() - began < 0.6 + 1


def test_one_check_that_does_not_pass_stops_the_others_and_is_named() -> None:
    began = time.monotonic()
    with serving(answering(OK)) as well, refusing() as dead, pytest.raises(StagingUnhealthy) as raised:
        called(
            check_of(well, intervalSeconds=60, deadlineSeconds=600),
            check_of(dead),
            check_of(well, intervalSeconds=60, deadlineSeconds=600),
        )
    assert time.monotonic() - began < 5
    assert f"1 of 3 checks, at http://127.0.0.1:{dead.port}/health: 3 probes in a row failed" in str(raised.value)
    assert well.connections == 2


def test_not_even_a_probe_that_is_under_way_is_waited_for() -> None:
    began = time.monotonic()
    with serving(hanging_after()) as hangs, refusing() as dead, pytest.raises(StagingUnhealthy, match="1 of 2 checks"):
        called(check_of(hangs, timeoutSeconds=5, unhealthyThresholdCount=1, deadlineSeconds=60), check_of(dead))
    assert time.monotonic() - began < 2
    assert [one.name for one in threading.enumerate() if one.name.startswith("ThreadPool")] == []


# What is said and logged


def test_what_a_server_sends_brings_no_control_characters_into_the_message() -> None:
    with (
        serving(answering(b"\x1b[2J\r\x00\xc2\x85" * 1000 + b"\n")) as server,
        pytest.raises(StagingUnhealthy) as raised,
    ):
        called(check_of(server))
    assert re.fullmatch("[ -~]{1,999}", str(raised.value))


def test_the_result_of_ten_checks_with_the_longest_of_everything_is_far_below_256_kib() -> None:
    headers = [b"%s: %s" % (name, b"\\" * 5000) for name in (b"X-Id", b"X-Release", b"X-Store")]
    bad = saying(b'"' * 500, *headers)
    with contextlib.ExitStack() as servers:
        checks = []
        for _ in range(10):
            server = servers.enter_context(serving(in_turn(answering(bad), answering(saying(b"ok", *headers)))))
            checks.append(
                check_of(
                    server,
                    path="/" + "p" * 1023,
                    hostHeader="h" * 63 + ".example",
                    bodyContains="ok",
                    identityHeader="X-Id",
                    releaseHeader="X-Release",
                    sharedHeader="X-Store",
                    healthyThresholdCount=1,
                )
            )
        result = called(*checks, address="production", bakeSeconds=1)
    assert sum(len(one["probes"]) for one in result["checks"]) > 100
    assert len(json.dumps(result)) < 100_000


def test_one_line_is_logged_for_a_healthy_server(log: Callable[[], list[dict[str, Any]]]) -> None:
    with serving(answering(OK)) as server:
        result = called(check_of(server))
    [line] = log()
    assert (line["level"], line["message"]) == ("INFO", "health check finished")
    assert line["correlation_id"] == "cutover-7"
    assert line["checks"] == result["checks"]


def test_one_line_with_the_probes_and_no_error_is_logged_for_a_sick_server(
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    with refusing() as server, pytest.raises(StagingUnhealthy):
        called(check_of(server))
    [line] = log()
    assert (line["level"], line["healthy"], len(line["checks"][0]["probes"])) == ("INFO", False, 3)
    assert line["checks"][0]["probes"][0]["error"] == "connection refused"
    assert "exception" not in line


def test_boto3_is_not_loaded_where_no_alarms_are_configured() -> None:
    loaded = "import sys, health_check; print('boto3' in sys.modules, 'alarms' in sys.modules)"
    lambdas = Path(health_check.__file__).parent
    ended = subprocess.run([sys.executable, "-c", loaded], cwd=lambdas, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False False"
