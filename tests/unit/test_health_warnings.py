"""The handler of the health check: what may soon prevent or spoil a cutover, although the check has passed."""

import socket
import threading
import time
from typing import Any

import pytest

from health.check import Check
from health.messages import slow
from tests.unit.checks import check
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Connection,
    answering,
    in_turn,
    serving,
)

LIVE = {"name": "kai", "instanceId": "i-0aaaaaaaaaaaaaaaa", "publicIp": "127.0.0.2", "privateIp": None}


# Slow answers


def pausing(seconds: float) -> Behaviour:
    def behaviour(connection: Connection) -> None:
        connection.pause(seconds)
        answering(OK)(connection)

    return behaviour


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({"timeoutSeconds": 1}, "1000 ms on (timeoutSeconds), it fails. Find out why, or raise timeoutSeconds."),
        ({"maxLatencyMs": 1100}, "1100 ms on (maxLatencyMs), it fails. Find out why, or raise maxLatencyMs."),
        ({}, None),
        ({"maxLatencyMs": 1900}, None),
    ],
)
def test_a_check_that_passed_in_more_than_half_its_time_is_a_warning_and_no_reason(
    settings: dict[str, Any], limit: str | None
) -> None:
    with serving(pausing(0.6)) as server:
        result = called(check_of(server, **{"timeoutSeconds": 2, "healthyThresholdCount": 1, **settings}))
    milliseconds = result["checks"][0]["probes"][-1]["milliseconds"]
    passed = f"The health check http://127.0.0.1:{server.port}/health of tao passed slowly: {milliseconds} ms"
    assert (result["warnings"], result["soon"]) == ([f"{passed}; from {limit}"] if limit else [], [])


@pytest.mark.parametrize("limited", [check(timeoutSeconds=1), check(maxLatencyMs=1000)])
def test_half_of_the_time_is_not_slow_and_a_millisecond_more_is(limited: Check) -> None:
    assert [len(slow(limited, took)) for took in (400, 500, 501)] == [0, 0, 1]


def test_only_the_last_probe_counts_as_slow() -> None:
    with serving(in_turn(pausing(0.3), answering(OK))) as server:
        assert called(check_of(server, healthyThresholdCount=2))["warnings"] == []


# The name in hostHeader


class Dns:
    """Answers with these IP addresses, or with an error, in place of the system's resolver."""

    def __init__(self, answer: list[str] | Exception) -> None:
        self.answer, self.asked = answer, list[str]()

    def getaddrinfo(self, host: str, _port: None) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(None, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in self.answer]


def asking(dns: Any, monkeypatch: pytest.MonkeyPatch, *hosts: str, live: Any = LIVE, **settings: Any) -> list[str]:
    """The warnings of checks with these names."""
    monkeypatch.setattr(socket, "getaddrinfo", dns.getaddrinfo)
    staging = {"name": "staging", "publicIp": "127.0.0.1", "privateIp": "127.0.0.1"}
    with serving(answering(OK)) as server:
        checks = [check_of(server, hostHeader=host, **settings) for host in hosts]
        result = called(*checks, addressed=staging, live=live)
    assert result["soon"] == []
    warnings: list[str] = result["warnings"]
    return warnings


IPV6 = "www.example.com (hostHeader) has an AAAA record, which a cutover does not move. Remove it."
ELSEWHERE = (
    "www.example.com (hostHeader) does not resolve to the production address 127.0.0.2. "
    "Correct its A record, if it has no proxy."
)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("answer", "warnings"),
    [
        (["127.0.0.2"], []),
        (["198.51.100.7", "127.0.0.2"], []),
        (["127.0.0.2", "2001:db8::7"], [IPV6]),
        (["198.51.100.7"], [ELSEWHERE]),
        (["2001:db8::7"], [ELSEWHERE, IPV6]),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), [ELSEWHERE]),
        (socket.gaierror(socket.EAI_NODATA, "No address associated with hostname"), [ELSEWHERE]),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), []),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), []),
        (UnicodeError("label too long"), []),
    ],
)
def test_a_name_whose_users_do_not_follow_the_production_address_is_a_warning(
    answer: list[str] | Exception, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sorted(asking(Dns(answer), monkeypatch, "www.example.com")) == warnings


def test_each_name_is_resolved_once_without_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = Dns(["198.51.100.7"])
    warnings = asking(dns, monkeypatch, "www.example.com", "WWW.example.com.:8080", "a.example")
    assert sorted(dns.asked) == ["a.example", "www.example.com"]
    assert warnings == [ELSEWHERE.replace("www.example.com", "a.example"), ELSEWHERE]


@pytest.mark.parametrize(
    "host", ["203.0.113.7", "203.0.113.7:8080", "[2001:db8::7]:8080", "3405803783", "localhost", "a.localhost:8080"]
)
def test_an_ip_address_and_localhost_are_not_resolved(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dns = Dns(["198.51.100.7"])
    assert (asking(dns, monkeypatch, host), dns.asked) == ([], [])


@pytest.mark.parametrize(
    "more", [{"live": None}, {"live": {**LIVE, "publicIp": None, "privateIp": "127.0.0.2"}}, {"via": "private"}]
)
def test_nothing_is_resolved_without_a_public_production_address_or_for_a_private_check(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dns = Dns(["198.51.100.7"])
    assert (asking(dns, monkeypatch, "www.example.com", **more), dns.asked) == ([], [])


def test_a_resolver_that_hangs_does_not_delay_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        ends = threading.Event()

        def getaddrinfo(self, _host: str, _port: None) -> list[Any]:
            self.ends.wait(10)
            return []

    began = time.monotonic()
    assert asking(Hanging(), monkeypatch, "www.example.com") == []
    assert time.monotonic() - began < 1.5
    Hanging.ends.set()
