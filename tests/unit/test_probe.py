"""One probe, against real servers on loopback that misbehave. `TIMEOUT` is short; `GRACE` is for a busy machine."""

import re
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from probe import Probe, Request, probe
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Server,
    answering,
    certified,
    closing,
    closing_after_a_read,
    dripping,
    dripping_handshake,
    dripping_record,
    flooding,
    hanging_after,
    not_accepting,
    over_tls,
    refusing,
    resetting,
    serving,
    silent,
    status,
    with_headers,
)

TIMEOUT = 0.2
GRACE = 1.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return certified(tmp_path_factory.mktemp("certificate"))


def ask(server: Server, timeout: float = TIMEOUT, **changed: Any) -> Probe:
    """Probes the server, and fails if the probe breaks what it promises whatever the server does."""
    asked: dict[str, Any] = {"protocol": "HTTP", "ip": server.ip, "port": server.port, "path": "/health"}
    began = time.monotonic()
    found = probe(Request(**{**asked, "timeout_seconds": timeout, **changed}))
    assert time.monotonic() - began < timeout + GRACE
    assert found.milliseconds < (timeout + GRACE) * 1000
    assert found.error is None or re.fullmatch("[ -~]{1,160}", found.error)
    return found


def asked_of(behaviour: Behaviour, timeout: float = TIMEOUT, **changed: Any) -> Probe:
    with serving(behaviour) as server:
        return ask(server, timeout, **changed)


# Servers that answer


@pytest.mark.parametrize("code", [200, 204, 301, 304, 404, 500, 503])
def test_the_status_is_what_the_server_answered(code: int) -> None:
    found = asked_of(answering(status(code)), timeout=2)
    assert (found.status, found.error) == (code, None)


def test_the_request_names_the_address_as_host_and_asks_to_close() -> None:
    with serving(answering(OK)) as server:
        ask(server, timeout=2)
    assert server.requests[0].decode().split("\r\n") == [
        "GET /health HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: eip-cutover-health-check",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("protocol", "port", "host", "url"),
    [
        ("HTTP", 80, "192.0.2.1", "http://192.0.2.1/up"),
        ("HTTPS", 443, "192.0.2.1", "https://192.0.2.1/up"),
        ("HTTPS", 80, "192.0.2.1:80", "https://192.0.2.1:80/up"),
        ("HTTP", 8080, "192.0.2.1:8080", "http://192.0.2.1:8080/up"),
    ],
)
def test_the_port_is_in_the_host_where_it_is_not_the_default(protocol: Any, port: int, host: str, url: str) -> None:
    request = Request(protocol=protocol, ip="192.0.2.1", port=port, path="/up", timeout_seconds=1)
    assert (request.host, request.url) == (host, url)


def test_a_redirect_is_not_followed() -> None:
    with serving(answering(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")) as server:
        found = ask(server, timeout=2)
    assert (found.status, found.error, len(server.requests)) == (302, None, 1)


def test_each_probe_is_a_new_connection() -> None:
    with serving(answering(OK)) as server:
        ask(server, timeout=2)
        ask(server, timeout=2)
        assert server.connections == 2


def test_an_answer_is_complete_at_its_content_length_though_the_server_keeps_the_connection() -> None:
    found = asked_of(hanging_after(OK), timeout=3)
    assert (found.status, found.error) == (200, None)
    assert found.milliseconds < 1500


def test_a_chunked_answer_is_complete_at_its_last_chunk() -> None:
    found = asked_of(hanging_after(CHUNKED + b"2\r\nok\r\n0\r\n\r\n"), timeout=3)
    assert (found.status, found.error) == (200, None)
    assert found.milliseconds < 1500


def test_the_status_after_a_100_continue_is_the_answer() -> None:
    found = asked_of(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + status(503)), timeout=2)
    assert (found.status, found.error) == (503, None)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"])
def test_of_an_endless_body_only_the_beginning_is_read(head: bytes) -> None:
    found = asked_of(flooding(head, b"x" * 1000), timeout=3)
    assert (found.status, found.error) == (200, None)
    assert found.milliseconds < 1500


def test_of_an_endless_chunked_body_only_the_beginning_is_read() -> None:
    found = asked_of(flooding(CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n"), timeout=3)
    assert (found.status, found.error) == (200, None)


def test_of_a_body_that_stalls_after_5120_bytes_nothing_is_missed() -> None:
    found = asked_of(hanging_after(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_120), timeout=3)
    assert (found.status, found.error) == (200, None)


def test_a_body_that_stalls_before_5120_bytes_is_not_a_complete_answer() -> None:
    found = asked_of(hanging_after(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_119))
    assert found.status == 200
    assert found.error == "no complete answer within 0.2 s (connected, sent the request, 5138 bytes received)"


# Servers that do not


def test_a_port_nobody_listens_on_is_a_refused_connection() -> None:
    with refusing() as server:
        found = ask(server)
    assert (found.status, found.error) == (None, "connection refused")


def test_an_address_that_does_not_react_is_given_up_at_the_timeout() -> None:
    with not_accepting() as server:
        found = ask(server)
    assert (found.status, found.error) == (None, "no connection within 0.2 s")


def test_a_server_that_accepts_and_hangs_is_given_up_at_the_timeout() -> None:
    found = asked_of(hanging_after())
    assert found.status is None
    assert found.error == "no answer within 0.2 s (connected, sent the request, 0 bytes received)"
    assert found.milliseconds >= 200


def test_headers_byte_by_byte_do_not_prolong_the_timeout() -> None:
    found = asked_of(dripping(status(200)))
    assert found.status is None
    assert re.fullmatch(r"no answer within 0.2 s \(connected, sent the request, \d+ bytes received\)", str(found.error))


def test_a_body_byte_by_byte_does_not_prolong_the_timeout() -> None:
    found = asked_of(dripping(b"x" * 100, at_once=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"))
    assert found.status == 200
    assert str(found.error).startswith("no complete answer within 0.2 s (connected, sent the request, ")


@pytest.mark.parametrize(
    ("head", "flood"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 5000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (CHUNKED, b"x"),
        (CHUNKED + b"-1\r\n", b"x"),
        (CHUNKED + b"0\r\n", b"X: x\r\n"),
    ],
    ids=[
        "status line",
        "header",
        "large headers",
        "small headers",
        "continue",
        "chunk length",
        "negative chunk length",
        "trailers",
    ],
)
def test_what_never_ends_is_given_up_early(head: bytes, flood: bytes) -> None:
    found = asked_of(flooding(head, flood), timeout=3)
    assert str(found.error).startswith(("sent 65,536 bytes without an end of", "got more than 100 headers"))
    assert found.milliseconds < 1500


def test_headers_of_32_kib_are_read_as_a_load_balancer_reads_them() -> None:
    found = asked_of(answering(with_headers(b"X: " + b"x" * 16_000, b"Y: " + b"y" * 16_000)), timeout=2)
    assert (found.status, found.error) == (200, None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", 'sent what is not HTTP: "SSH-2.0-OpenSSH_9.6"'),
        (b"\x00\x1b[31m\xff\n", 'sent what is not HTTP: "??[31m?"'),
        (b"HTTP/1.1 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 OK"'),
        (b"HTTP/1.1 99999 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/1.1 99999 OK"'),
        (b"HTTP/2.0 200 OK\r\n\r\n", 'sent what is not HTTP: "HTTP/2.0"'),
        (b"\r\n\r\n", 'sent what is not HTTP: ""'),
        (b"<html>" * 50, 'sent what is not HTTP: "<html><html><html><html><html><html><..."'),
        (with_headers(b"\x00\x01 noise"), "sent what is not HTTP: a header without a colon"),
        (CHUNKED + b"zz\r\nok", "sent what is not HTTP: a chunk of its body without a length"),
        (CHUNKED + b"-5\r\nok", "sent what is not HTTP: a chunk of its body without a length"),
    ],
)
def test_what_is_not_http_is_shown_without_its_control_characters(answer: bytes, error: str) -> None:
    assert asked_of(hanging_after(answer) if b"<html>" not in answer else answering(answer)).error == error


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_connection_closed_within_the_headers_is_no_answer(answer: bytes) -> None:
    found = asked_of(answering(answer), timeout=2)
    assert (found.status, found.error) == (None, "closed the connection within its headers")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "closed the connection after 0 of the 10 bytes of its body"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
            "closed the connection after 2 of the 10 bytes of its body",
        ),
        (CHUNKED + b"a\r\nok", "closed the connection within its body"),
        (CHUNKED + b"2\r\nok\r\n", "closed the connection within its body"),
    ],
)
def test_a_connection_closed_within_the_body_is_no_complete_answer(answer: bytes, error: str) -> None:
    found = asked_of(answering(answer), timeout=2)
    assert (found.status, found.error) == (200, error)


def test_a_connection_closed_after_the_request_is_no_answer() -> None:
    assert asked_of(answering(b""), timeout=2).error == "closed the connection without an answer"


def test_a_connection_closed_at_once_is_no_answer() -> None:
    # Which of the two depends on whether the request was already there when the server closed.
    assert asked_of(closing, timeout=2).error in (
        "closed the connection without an answer",
        "reset the connection (0 bytes received)",
    )


def test_a_reset_connection_is_no_answer() -> None:
    assert asked_of(resetting, timeout=2).error == "reset the connection (0 bytes received)"


# Under TLS


@pytest.mark.parametrize("expired", [False, True])
def test_the_certificate_is_not_verified(expired: bool, tmp_path: Path) -> None:
    found = asked_of(over_tls(certified(tmp_path, expired=expired), answering(OK)), timeout=2, protocol="HTTPS")
    assert (found.status, found.error) == (200, None)


def test_a_server_that_accepts_and_never_begins_tls_is_given_up_at_the_timeout() -> None:
    found = asked_of(silent, protocol="HTTPS")
    assert found.error == "TLS: no handshake within 0.2 s (connected)"


def test_a_handshake_byte_by_byte_does_not_prolong_the_timeout(tls: ssl.SSLContext) -> None:
    found = asked_of(dripping_handshake(tls), protocol="HTTPS")
    assert found.error == "TLS: no handshake within 0.2 s (connected)"


def test_a_tls_record_byte_by_byte_does_not_prolong_the_timeout(tls: ssl.SSLContext) -> None:
    found = asked_of(dripping_record(tls, OK * 10), protocol="HTTPS")
    assert found.error == "no answer within 0.2 s (connected, sent the request, 0 bytes received)"


def test_headers_byte_by_byte_under_tls_do_not_prolong_the_timeout(tls: ssl.SSLContext) -> None:
    found = asked_of(over_tls(tls, dripping(status(200))), protocol="HTTPS")
    assert str(found.error).startswith("no answer within 0.2 s (connected, sent the request, ")


def test_of_an_endless_body_under_tls_only_the_beginning_is_read(tls: ssl.SSLContext) -> None:
    found = asked_of(over_tls(tls, flooding(b"HTTP/1.1 200 OK\r\n\r\n", b"x")), timeout=3, protocol="HTTPS")
    assert (found.status, found.error) == (200, None)


def test_a_connection_closed_without_a_close_notify_ends_the_body(tls: ssl.SSLContext) -> None:
    found = asked_of(over_tls(tls, answering(b"HTTP/1.1 200 OK\r\n\r\nok")), timeout=2, protocol="HTTPS")
    assert (found.status, found.error) == (200, None)


def test_http_on_the_port_of_https_says_so() -> None:
    def plain(connection: Any) -> None:
        connection.socket.recv(4096)
        connection.socket.sendall(status(400))
        connection.pause(1)

    found = asked_of(plain, timeout=2, protocol="HTTPS")
    assert re.fullmatch(r"TLS: [a-z ]+ \(does this port speak HTTP\?\)", str(found.error))


def test_a_connection_closed_within_the_handshake_says_so() -> None:
    found = asked_of(closing_after_a_read, timeout=2, protocol="HTTPS")
    assert found.error == "TLS: closed the connection during the handshake"


def test_a_server_that_wants_a_certificate_of_the_client_says_so(tmp_path: Path) -> None:
    context = certified(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    found = asked_of(over_tls(context, answering(OK)), timeout=2, protocol="HTTPS")
    assert found.error == "TLS: tlsv13 alert certificate required"
