"""One probe, against real servers on loopback that misbehave. `TIMEOUT` is short; `GRACE` is for a busy machine."""

import re
import threading
import time
import tracemalloc
from contextlib import AbstractContextManager
from typing import Any

import pytest

from health.deadline import ProbeStopped, Stop
from health.probe import Target, prober
from health.result import Probe
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Server,
    answering,
    chunked,
    closing,
    dripping,
    flooding,
    hanging_after,
    not_accepting,
    reading,
    refusing,
    resetting,
    saying,
    serving,
    silent,
    status,
    with_headers,
)

TIMEOUT = 0.2
GRACE = 1.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def ask(server: Server, timeout: float = TIMEOUT, stop: Stop | None = None, **changed: Any) -> Probe:
    """Probes the server, and fails if the probe breaks what it promises whatever the server does."""
    target: dict[str, Any] = {"protocol": "HTTP", "ip": server.ip, "port": server.port, "path": "/health"}
    asked = Target(**{**target, "timeout_seconds": timeout, **changed})
    began = time.monotonic()
    probe = prober([asked])(asked, stop or Stop())
    assert time.monotonic() - began < timeout + GRACE
    assert probe.milliseconds < (timeout + GRACE) * 1000
    assert probe.error is None or re.fullmatch("[ -~]{1,240}", probe.error)
    return probe


def asked_of(behaviour: Behaviour, timeout: float = TIMEOUT, **changed: Any) -> Probe:
    with serving(behaviour) as server:
        return ask(server, timeout, **changed)


# What is asked for


@pytest.mark.parametrize(
    ("protocol", "port", "given", "host", "url"),
    [
        ("HTTP", 80, None, "192.0.2.1", "http://192.0.2.1:80/up"),
        ("HTTPS", 443, None, "192.0.2.1", "https://192.0.2.1:443/up"),
        ("HTTPS", 80, None, "192.0.2.1:80", "https://192.0.2.1:80/up"),
        ("HTTP", 81, "a.example:8000", "a.example:8000", "http://192.0.2.1:81/up (Host: a.example:8000)"),
        ("TCP", 22, None, "192.0.2.1:22", "tcp://192.0.2.1:22"),
    ],
)
def test_the_host_is_the_ip_address_or_the_configured_host(
    protocol: Any, port: int, given: str | None, host: str, url: str
) -> None:
    target = Target(protocol=protocol, ip="192.0.2.1", port=port, path="/up", timeout_seconds=1, host_header=given)
    assert (target.host, target.url, target.short_url) == (host, url, url)


def test_a_long_url_is_shown_in_part_with_both_its_ends() -> None:
    asked: dict[str, Any] = {"protocol": "HTTPS", "port": 65535, "timeout_seconds": 1}
    target = Target(ip="255.255.255.255", path="/p" * 512, host_header="h." * 126, **asked)
    assert len(target.short_url) <= 200
    assert re.fullmatch(r"https://255.255.255.255:65535/[p/]+\.\.\.[h.]+\)", target.short_url)


def request_of(**changed: Any) -> tuple[str, set[str]]:
    """The first line and the others of the request that a server receives, on its only connection."""
    with serving(answering(OK)) as server:
        assert ask(server, timeout=2, **changed).error is None
    [request] = server.requests
    first, *others = request.decode().replace(f"127.0.0.1:{server.port}", "ADDRESS").strip().split("\r\n")
    return first, set(others)


OURS = {"Connection: close", "User-Agent: eip-cutover-health-check", "Accept: */*", "Accept-Encoding: identity"}


def test_a_request_names_the_address_and_asks_for_an_uncompressed_body_and_the_end_of_the_connection() -> None:
    assert request_of() == ("GET /health HTTP/1.1", OURS | {"Host: ADDRESS"})


def test_configured_headers_are_added_and_replace_our_headers_in_any_case() -> None:
    _, lines = request_of(host_header="www.example.com", headers={"X-Probe": "eip cutover", "user-agent": "us"})
    added = {"Host: www.example.com", "X-Probe: eip cutover", "user-agent: us"}
    assert lines == OURS - {"User-Agent: eip-cutover-health-check"} | added


# Complete responses


@pytest.mark.parametrize("code", [200, 204, 301, 304, 404, 500, 503])
def test_the_status_is_what_the_server_answered_and_a_redirect_is_not_followed(code: int) -> None:
    probe = asked_of(answering(status(code)[:-2] + b"Location: /elsewhere\r\n\r\n"), timeout=2)
    assert (probe.status, probe.error) == (code, None)


EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Id: early\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("interim", [CONTINUE, EARLY_HINTS, PROCESSING + CONTINUE + EARLY_HINTS])
@pytest.mark.parametrize(
    "final", [saying(b"well", b"X-Id: tao"), chunked(b"we", b"ll").replace(b"\n", b"\nX-Id: tao\r\n", 1)]
)
def test_interim_responses_are_skipped(interim: bytes, final: bytes) -> None:
    for behaviour in (answering(interim + final), dripping(interim + final, seconds=0.001)):
        probe = asked_of(behaviour, timeout=5)
        assert (probe.status, probe.error, probe.body, probe.headers["x-id"]) == (200, None, b"well", "tao")


BODY = b"x" * 5_119 + b"yz"


@pytest.mark.parametrize(
    ("behaviour", "code", "body"),
    [
        (hanging_after(OK), 200, b"ok"),
        (hanging_after(chunked(b"o", b"k")), 200, b"ok"),
        (hanging_after(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), 101, b""),
        (answering(b"HTTP/1.0 200 OK\r\n\r\nall is well"), 200, b"all is well"),
        (answering(b"HTTP/1.1 200\nContent-Length: 2\n\nok"), 200, b"ok"),
        (answering(saying(BODY)), 200, BODY[:5_120]),
        (answering(chunked(BODY[:3000], BODY[3000:])), 200, BODY[:5_120]),
        (hanging_after(b"HTTP/1.1 200 OK\r\n\r\n" + BODY[:5_120]), 200, BODY[:5_120]),
        (flooding(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000), 200, b"x" * 5_120),
        (flooding(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"x" * 1000), 200, b"x" * 5_120),
        (flooding(CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n"), 200, b"x" * 5_120),
        (answering(with_headers(b"X: " + b"x" * 16_000, b"Y: " + b"y" * 16_000)), 200, b""),
        (answering(with_headers(b"X-Id: a", b" b")), 200, b""),
        (answering(with_headers(b"content-length: 0 ")), 200, b""),
        (answering(with_headers(b"Content-Type: multipart/mixed; boundary=a")), 200, b""),
    ],
    ids=[
        *("kept open after its length", "kept open after its last chunk", "switched protocols", "HTTP/1.0"),
        *("bare line feeds", "long body", "long chunked body", "stalled after 5,120 bytes", "endless body"),
        *("a body of gigabytes", "endless chunks", "headers of 32 KiB", "a header of two lines"),
        *("the same length twice", "a body of many parts"),
    ],
)  # fmt: skip
def test_a_response_ends_at_its_end_or_after_5120_bytes_of_body(behaviour: Behaviour, code: int, body: bytes) -> None:
    probe = asked_of(behaviour, timeout=3)
    assert (probe.status, probe.error, probe.body) == (code, None, body)
    assert probe.milliseconds < 1500


def test_the_first_value_of_a_repeated_header_counts() -> None:
    probe = asked_of(answering(with_headers(b"X-Server-Id: tao", b"x-server-id: kai")), timeout=2)
    assert probe.headers["x-server-id"] == "tao"


# Servers that never finish


SENT = r"\(connected, sent the request, {}\)"


@pytest.mark.parametrize(
    ("behaviour", "code", "received"),
    [
        (hanging_after(), None, "0"),
        (hanging_after(EARLY_HINTS), None, str(len(EARLY_HINTS))),
        (hanging_after(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_119), 200, "5138"),
        (dripping(status(200)), None, r"\d+"),
        (dripping(b"x" * 100, at_once=b"HTTP/1.1 200 OK\r\n\r\n"), 200, r"\d+"),
        (dripping(b"x" * 100, at_once=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), 200, r"\d+"),
        (dripping(b"0" * 100, at_once=CHUNKED), 200, r"\d+"),
        (dripping(b"X: x\r\n" * 20, at_once=CHUNKED + b"0\r\n"), 200, r"\d+"),
        (dripping(CONTINUE * 100, seconds=0.001), None, r"\d+"),
        (dripping(EARLY_HINTS * 100, seconds=0.001), None, r"\d+"),
    ],
    ids=[
        *("hangs", "hangs after an interim response", "stalls in its body", "drips headers", "drips a body"),
        *("drips a body of known length", "drips the length of a chunk", "drips trailers", "drips 100", "drips 103"),
    ],
)  # fmt: skip
def test_no_slow_response_outlasts_the_timeout(behaviour: Behaviour, code: int | None, received: str) -> None:
    probe = asked_of(behaviour)
    assert probe.milliseconds >= 200
    assert (probe.status, probe.failure) == (code, "incomplete" if code else "no answer")
    waits = r"; does this port expect the PROXY protocol\?" if received == "0" else ""
    expected = (
        f"no {'complete ' if code else ''}answer within 0.2 s {SENT.format(received + ' bytes received' + waits)}"
    )
    assert re.fullmatch(expected, str(probe.error))


@pytest.mark.parametrize(
    ("head", "flood"),
    [
        (b"", b"x"), (b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 5000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"), (b"", CONTINUE), (b"", EARLY_HINTS), (CHUNKED, b"x"),
        (CHUNKED + b"-1\r\n", b"x"), (CHUNKED + b"0\r\n", b"X: x\r\n"),
    ],
    ids=[
        *("status line", "header", "large headers", "small headers", "continue", "early hints", "chunk length"),
        *("negative chunk length", "trailers"),
    ],
)  # fmt: skip
def test_an_endless_response_ends_early_and_takes_no_memory(head: bytes, flood: bytes) -> None:
    tracemalloc.start()
    probe = asked_of(flooding(head, flood), timeout=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(probe.error).startswith(("sent more than 65536 bytes when reading ", "sent more than 100 headers"))
    assert probe.milliseconds < 1500
    assert peak < 2_000_000


# Servers that fail


# As one does that expects the PROXY protocol: nginx leaves the request unread, which is a reset.
CLOSED = "closed the connection without an answer (does this port speak HTTPS, or expect the PROXY protocol?)"
RESET = "reset the connection (0 bytes received; does this port expect the PROXY protocol?)"


@pytest.mark.parametrize(
    ("behaviour", "code", "error"),
    [
        (answering(b""), None, CLOSED),
        (answering(EARLY_HINTS), None, "closed the connection without an answer"),
        (resetting, None, RESET),
        (answering(b"HTTP/1.1 200"), None, "closed the connection within its headers"),
        (answering(b"HTTP/1.1 200 OK\r\n"), None, "closed the connection within its headers"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Le"), None, "closed the connection within its headers"),
        (answering(saying(b"ok" * 5)[:-8]), 200, "closed the connection after 2 of 10 bytes of its body"),
        (answering(CHUNKED + b"a\r\nok"), 200, "closed the connection within its body"),
        (answering(CHUNKED + b"2\r\nok\r\n"), 200, "closed the connection within its body"),
        (hanging_after(CHUNKED + b"zz\r\nok"), 200, "sent a chunk of its body without a length"),
        (hanging_after(CHUNKED + b"-5\r\nok"), 200, "sent a chunk of its body without a length"),
    ],
)
def test_an_incomplete_response_is_reported_with_the_reason(behaviour: Behaviour, code: int | None, error: str) -> None:
    probe = asked_of(behaviour, timeout=2)
    assert (probe.status, probe.failure) == (code, "incomplete" if code else "no answer")
    assert probe.error == error


SETTINGS_FRAME = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"
NO_HTTP = "something that is not HTTP:"
NOT_HTTP = {
    b"SSH-2.0-OpenSSH_9.6\r\n": f"{NO_HTTP} a first line of 21 bytes (does this port speak SSH?)",
    b"220 mail.example ESMTP\r\n": f"{NO_HTTP} a first line of 24 bytes (does this port speak SMTP or FTP?)",
    b"-ERR unknown command\r\n": f"{NO_HTTP} a first line of 22 bytes (does this port speak Redis?)",
    b"J\0\0\0\n8.0.36\0": f"{NO_HTTP} a first line of 5 bytes (does this port speak MySQL?)",
    b"HTTP/1.1 2OO OK\r\n\r\n": f"{NO_HTTP} the version or the status in its first line is unknown",
    b"HTTP/2.0 200 OK\r\n\r\n": f"{NO_HTTP} the version or the status in its first line is unknown",
    b"HTTP/1.1 DB_PASSWORD=hunter2\r\n\r\n": f"{NO_HTTP} the version or the status in its first line is unknown",
    b"<html>" * 50: f"{NO_HTTP} a first line of 300 bytes (does this port expect the PROXY protocol?)",
    b"no PROXY header: hunter2\n": f"{NO_HTTP} a first line of 25 bytes (does this port expect the PROXY protocol?)",
    b"\x15\x03\x01\x00\x02\x02\x46": f"{NO_HTTP} a first line of 7 bytes (does this port speak HTTPS?)",
    SETTINGS_FRAME: f"{NO_HTTP} a first line of 15 bytes (does this port speak only HTTP/2?)",
    with_headers(b"\x00\x01 noise"): "headers that are not HTTP",
    with_headers(b"X-Id : a"): "headers that are not HTTP",
    with_headers(b"X-\xe9: a"): "headers that are not HTTP",
    with_headers(b"Content-Length: 5"): 'an invalid Content-Length: "5, 0"',
    with_headers(b"Content-Length: 0, 5"): 'an invalid Content-Length: "0, 5, 0"',
    b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n": 'an invalid Content-Length: "-5"',
}


@pytest.mark.parametrize("sent", NOT_HTTP)
def test_an_answer_that_is_not_http_is_described_without_its_first_line(sent: bytes) -> None:
    probe = asked_of(answering(sent), timeout=2)
    assert (probe.status, probe.failure, probe.error) == (None, "no answer", f"sent {NOT_HTTP[sent]}")


def test_a_connection_that_is_closed_at_once_is_not_an_answer() -> None:
    # Which of the two depends on whether the request was already there when the server closed.
    assert asked_of(closing, timeout=2).error in (CLOSED, RESET)


# The connection


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_a_port_without_a_listener_is_a_refused_connection(protocol: str) -> None:
    with refusing() as server:
        probe = ask(server, protocol=protocol)
    assert (probe.status, probe.error, probe.failure) == (None, "connection refused", "refused")


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_the_probe_of_an_address_that_does_not_react_ends_at_the_timeout(protocol: str) -> None:
    with not_accepting() as server:
        probe = ask(server, protocol=protocol)
    assert (probe.status, probe.error, probe.failure) == (None, "no connection within 0.2 s", "unreachable")
    assert probe.milliseconds >= 200


def test_with_tcp_an_accepted_connection_is_good_and_nothing_is_sent() -> None:
    with serving(reading) as server:
        probe = ask(server, timeout=2, protocol="TCP")
    assert (probe.status, probe.error, probe.failure) == (None, None, None)
    assert server.requests == [b""], "the server sees the end of the connection, and no reset"


# A stop


@pytest.mark.parametrize(
    ("protocol", "server"),
    [
        ("TCP", not_accepting()),
        ("HTTP", serving(silent)),
        ("HTTP", serving(hanging_after(b"HTTP/1.0 200 OK\r\n\r\nall is"))),
        ("HTTP", serving(dripping(status(200) * 100))),
        ("HTTPS", serving(silent)),
    ],
)
def test_a_stop_ends_the_probe_in_flight_at_once(protocol: str, server: AbstractContextManager[Server]) -> None:
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with server as stopping, pytest.raises(ProbeStopped):
        ask(stopping, timeout=5, stop=stop, protocol=protocol)
    assert time.monotonic() - began < 0.1 + GRACE


def test_after_a_stop_no_probe_begins() -> None:
    stop = Stop()
    stop.set()
    with serving(answering(OK)) as server, pytest.raises(ProbeStopped):
        ask(server, stop=stop)
    assert server.connections == 0
