"""The handler of the health check: what may soon prevent or spoil a cutover, although the check has passed."""

import socket
import threading
import time
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import StagingUnhealthy
from tests.unit.certificates import Authority, self_signed
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Connection,
    Server,
    answering,
    by_address,
    closing,
    hanging_after,
    in_turn,
    over_tls,
    reading,
    serving,
    silent,
    status,
)

WWW = "localhost"
LIVE = {"name": "kai", "instanceId": "i-0aaaaaaaaaaaaaaaa", "publicIp": "127.0.0.2", "privateIp": None}


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    return Authority().trusted(tmp_path, monkeypatch)


def both(idle: Behaviour, live: Behaviour) -> AbstractContextManager[Server]:
    """Staging on 127.0.0.1, and production on 127.0.0.2."""
    return serving(by_address({"127.0.0.1": idle, "127.0.0.2": live}), "0.0.0.0")


def https(server: Server, **settings: Any) -> dict[str, Any]:
    return check_of(server, **{"protocol": "HTTPS", "hostHeader": WWW, "timeoutSeconds": 2, **settings})


def day(days: float) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


# Certificates


@pytest.mark.parametrize("verified", [True, False])
def test_certificates_of_both_servers_that_expire_soon_are_a_warning_and_a_reason(
    verified: bool, ca: Authority
) -> None:
    idle = over_tls(ca.certified_below((-9, 3), WWW, ends=1), answering(OK))
    live = over_tls(ca.certified(WWW, begins=-9, ends=-2), answering(OK))
    with both(idle, live) as server:
        result = called(https(server, verifyCertificate=verified), live=LIVE)
    at = [f"https://127.0.0.{number}:{server.port}" for number in (1, 2)]
    assert result["soon"] == [
        f"The certificate of tao (localhost) at {at[0]} expires in 1 day, on {day(1)}. "
        "Renew it, and reload the web server.",
        f"A certificate above that of tao (R11), which the server sends, at {at[0]} expires in 3 days, on {day(3)}. "
        "Replace what it sends after its own certificate.",
        f"The certificate of kai (localhost) at {at[1]} expired on {day(-2)}. Renew it, and reload the web server.",
    ]
    assert result["warnings"] == result["soon"]


@pytest.mark.parametrize(("days", "warned"), [(None, 1), (14, 1), (13, 0), (0, 0)])
def test_a_certificate_counts_within_the_configured_days(days: int | None, warned: int, ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW, ends=13.5), answering(OK))) as server:
        result = called(https(server), certificateExpiryDays=days)
    assert len(result["soon"]) == warned


def test_a_certificate_that_several_checks_see_is_reported_once(ca: Authority) -> None:
    certified = over_tls(ca.certified(WWW), answering(OK))
    with both(certified, certified) as server:
        result = called(https(server), https(server, path="/"), check_of(server, protocol="TCP"), live=LIVE)
    assert len(result["soon"]) == 2


def test_without_a_live_server_nobody_else_is_asked(ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW, ends=99), answering(OK))) as server:
        assert called(https(server))["warnings"] == []
    assert server.connections == 3


def test_the_live_server_gets_one_handshake_at_the_address_that_its_check_uses(ca: Authority) -> None:
    live = {**LIVE, "publicIp": "192.0.2.1", "privateIp": "127.0.0.2"}
    staging = {"name": "staging", "publicIp": "192.0.2.2", "privateIp": "127.0.0.1"}
    certified = over_tls(ca.certified(WWW), answering(OK))
    with both(certified, certified) as server:
        result = called(https(server, via="private"), addressed=staging, live=live)
        assert ["kai" in sentence for sentence in result["soon"]] == [False, True]
        assert (server.connections, len(list(filter(None, server.requests)))) == (4, 3)
        result = called(https(server, via="private"), addressed=staging, live={**live, "privateIp": None})
    assert ["kai" in sentence for sentence in result["soon"]] == [False]


@pytest.mark.parametrize("live", [closing, silent, hanging_after(), answering(status(500))])
def test_a_live_server_without_tls_neither_delays_nor_fails_the_check(live: Behaviour, ca: Authority) -> None:
    began = time.monotonic()
    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), live) as server:
        result = called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        assert time.monotonic() - began < 1.5
    assert (result["healthy"], result["warnings"], result["soon"]) == (True, [], [])


def test_a_live_server_that_is_slower_than_a_quick_check_is_waited_for(ca: Authority) -> None:
    def late(connection: Connection) -> None:
        connection.pause(0.25)
        over_tls(ca.certified(WWW), answering(OK))(connection)

    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), late) as server:
        result = called(https(server, healthyThresholdCount=1), live=LIVE)
    assert ["kai" in sentence for sentence in result["soon"]] == [True]


def test_the_end_of_the_check_ends_the_handshake_with_the_live_server(ca: Authority) -> None:
    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), reading) as server:
        called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        ended = time.monotonic()
        while len(server.requests) < 4 and time.monotonic() - ended < 2:
            time.sleep(0.02)
        assert len(server.requests) == 4, "the live server has read to the end of its connection"


def test_a_failed_check_does_not_wait_for_the_live_server(ca: Authority) -> None:
    began = time.monotonic()
    with both(over_tls(ca.certified(WWW), answering(status(500))), silent) as server:
        with pytest.raises(StagingUnhealthy, match="found 500, 500, 500"):
            called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        assert time.monotonic() - began < 2


def test_the_names_that_a_server_sends_are_printable_and_short(ca: Authority) -> None:
    issuer = "\x1b]0;<!here>\u202e" + "R" * 50
    with serving(over_tls(ca.certified_below((-9, 3), WWW, ends=99, issuer=issuer), answering(OK))) as server:
        (sentence,) = called(https(server))["soon"]
    assert "(?]0;\\x3c!here>?RRRR" in sentence
    assert "R...)" in sentence


def test_a_self_signed_certificate_is_reported_if_any_certificate_is_accepted() -> None:
    with serving(over_tls(self_signed(), answering(OK))) as server:
        result = called(https(server, verifyCertificate=False), certificateExpiryDays=365_000)
    assert [sentence[:24] for sentence in result["soon"]] == ["The certificate of tao ("]


def test_production_has_no_such_warnings(ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW), answering(OK))) as server:
        result = called(https(server), address="production")
    assert (result["warnings"], "soon" in result) == ([], False)


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
