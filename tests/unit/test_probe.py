"""One probe, against real servers on loopback that misbehave. `TIMEOUT` is short; `GRACE` is for a busy machine."""

import gzip
import re
import socket
import time
from typing import Any

import pytest

from health.probe import Probe, Request, probe
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
    status,
    with_headers,
)

TIMEOUT = 0.2
GRACE = 1.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def ask(server: Server, timeout: float = TIMEOUT, **changed: Any) -> Probe:
    """Probes the server, and fails if the probe breaks what it promises whatever the server does."""
    asked: dict[str, Any] = {"protocol": "HTTP", "ip": server.ip, "port": server.port, "path": "/health"}
    began = time.monotonic()
    found = probe(Request(**{**asked, "timeout_seconds": timeout, **changed}))
    assert time.monotonic() - began < timeout + GRACE
    assert found.milliseconds < (timeout + GRACE) * 1000
    assert found.error is None or re.fullmatch("[ -~]{1,240}", found.error)
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
        "Connection: close",
        "User-Agent: eip-cutover-health-check",
        "Accept: */*",
        "Accept-Encoding: identity",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("protocol", "port", "given", "host", "url"),
    [
        ("HTTP", 80, None, "192.0.2.1", "http://192.0.2.1:80/up"),
        ("HTTPS", 443, None, "192.0.2.1", "https://192.0.2.1:443/up"),
        ("HTTPS", 80, None, "192.0.2.1:80", "https://192.0.2.1:80/up"),
        ("HTTP", 8080, None, "192.0.2.1:8080", "http://192.0.2.1:8080/up"),
        ("HTTPS", 443, "www.example.com", "www.example.com", "https://192.0.2.1:443/up (Host: www.example.com)"),
        ("HTTP", 81, "a.example:8000", "a.example:8000", "http://192.0.2.1:81/up (Host: a.example:8000)"),
    ],
)
def test_the_host_is_the_address_or_as_configured(
    protocol: Any, port: int, given: str | None, host: str, url: str
) -> None:
    request = Request(protocol=protocol, ip="192.0.2.1", port=port, path="/up", timeout_seconds=1, host_header=given)
    assert (request.host, request.url, request.short_url) == (host, url, url)


def test_a_url_has_no_path_and_no_host_with_tcp() -> None:
    assert Request(protocol="TCP", ip="192.0.2.1", port=22, timeout_seconds=1).url == "tcp://192.0.2.1:22"


def test_a_long_url_is_shown_in_part_with_both_its_ends() -> None:
    request = Request(
        protocol="HTTPS", ip="255.255.255.255", port=65535, path="/p" * 512, timeout_seconds=1, host_header="h." * 126
    )
    assert len(request.short_url) <= 200
    assert re.fullmatch(r"https://255.255.255.255:65535/[p/]+\.\.\. \(Host: [h.]+\.\.\.\)", request.short_url)


def sent(**changed: Any) -> list[str]:
    """The lines of the request that a server receives."""
    with serving(answering(OK)) as server:
        assert ask(server, timeout=2, **changed).error is None
    return server.requests[0].decode().split("\r\n")


def test_the_configured_host_and_headers_reach_the_server() -> None:
    lines = sent(host_header="www.example.com", headers={"X-Probe": "eip cutover", "Authorization": "Basic YTpi"})
    assert [line for line in lines if line.lower().startswith("host")] == ["Host: www.example.com"]
    assert {"X-Probe: eip cutover", "Authorization: Basic YTpi"} <= set(lines)
    assert {"User-Agent: eip-cutover-health-check", "Accept: */*", "Connection: close"} <= set(lines)


def test_a_configured_header_takes_the_place_of_ours_in_any_case_but_never_that_of_host_and_connection() -> None:
    lines = sent(
        headers={"user-agent": "us", "ACCEPT": "text/plain", "host": "elsewhere.example", "CONNECTION": "keep-alive"}
    )
    assert lines[0] == "GET /health HTTP/1.1"
    assert sorted(lines[2:-2]) == [
        "ACCEPT: text/plain",
        "Accept-Encoding: identity",
        "Connection: close",
        "user-agent: us",
    ]
    assert lines[1].startswith("Host: 127.0.0.1:")


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


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-Server-Id: early\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_the_answer_is_the_one_after_the_interim_answers(interim: bytes) -> None:
    found = asked_of(answering(interim + saying(b"well", b"X-Server-Id: tao")), timeout=2)
    assert (found.status, found.error, found.body, found.headers["x-server-id"]) == (200, None, b"well", "tao")


def test_an_interim_answer_that_comes_byte_by_byte_with_the_rest_is_skipped_too() -> None:
    found = asked_of(dripping(b"HTTP/1.1 103 Early Hints\r\n\r\n" + status(503), seconds=0.001), timeout=5)
    assert (found.status, found.error) == (503, None)


def test_an_interim_answer_alone_is_no_answer() -> None:
    found = asked_of(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"), timeout=2)
    assert (found.status, found.error) == (None, "closed the connection without an answer")


def test_an_answer_that_switches_protocols_is_a_status_like_any_other() -> None:
    found = asked_of(hanging_after(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"), timeout=3)
    assert (found.status, found.error) == (101, None)


def test_of_a_header_that_comes_twice_the_first_value_is_taken() -> None:
    found = asked_of(answering(with_headers(b"X-Server-Id: tao", b"x-server-id: kai")), timeout=2)
    assert found.headers["x-server-id"] == "tao"


def test_the_body_of_an_http_1_0_answer_ends_with_the_connection() -> None:
    found = asked_of(answering(b"HTTP/1.0 200 OK\r\n\r\nall is well"), timeout=2)
    assert (found.status, found.error, found.body) == (200, None, b"all is well")


def test_the_body_is_put_together_from_its_chunks() -> None:
    assert asked_of(answering(chunked(b"all i", b"s w", b"ell")), timeout=2).body == b"all is well"


def test_the_body_ends_with_its_5120th_byte() -> None:
    body = b"x" * 5_119 + b"yz"
    for answer in (saying(body), chunked(body[:3000], body[3000:])):
        assert asked_of(answering(answer), timeout=2).body == body[:5_120]


def test_a_compressed_body_is_left_as_it_is() -> None:
    body = gzip.compress(b"all is well")
    found = asked_of(answering(saying(body, b"Content-Encoding: gzip")), timeout=2)
    assert (found.body, found.headers["content-encoding"]) == (body, "gzip")


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
    assert (found.status, found.error, found.failure) == (None, "connection refused", "refused")


def test_an_address_that_does_not_react_is_given_up_at_the_timeout() -> None:
    with not_accepting() as server:
        found = ask(server)
    assert (found.status, found.error, found.failure) == (None, "no connection within 0.2 s", "unreachable")


def test_a_server_that_accepts_and_hangs_is_given_up_at_the_timeout() -> None:
    found = asked_of(hanging_after())
    assert (found.status, found.failure) == (None, "no answer")
    assert found.error == "no answer within 0.2 s (connected, sent the request, 0 bytes received)"
    assert found.milliseconds >= 200


def test_headers_byte_by_byte_do_not_prolong_the_timeout() -> None:
    found = asked_of(dripping(status(200)))
    assert found.status is None
    assert re.fullmatch(r"no answer within 0.2 s \(connected, sent the request, \d+ bytes received\)", str(found.error))


def test_a_body_byte_by_byte_does_not_prolong_the_timeout() -> None:
    found = asked_of(dripping(b"x" * 100, at_once=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"))
    assert (found.status, found.failure) == (200, "incomplete")
    assert str(found.error).startswith("no complete answer within 0.2 s (connected, sent the request, ")


@pytest.mark.parametrize(
    ("head", "flood"),
    [
        (b"", b"x"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * 5000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
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
        "early hints",
        "chunk length",
        "negative chunk length",
        "trailers",
    ],
)
def test_what_never_ends_is_given_up_early(head: bytes, flood: bytes) -> None:
    found = asked_of(flooding(head, flood), timeout=3)
    assert str(found.error).startswith(("sent 65,536 bytes without an end of", "sent more than 100 headers"))
    assert found.milliseconds < 1500


def test_headers_of_32_kib_are_read_as_a_load_balancer_reads_them() -> None:
    found = asked_of(answering(with_headers(b"X: " + b"x" * 16_000, b"Y: " + b"y" * 16_000)), timeout=2)
    assert (found.status, found.error) == (200, None)


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


def test_tls_on_the_port_of_http_says_so() -> None:
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    found = asked_of(answering(alert), timeout=2)
    assert found.error == "sent what is not HTTP: a TLS alert (does this port speak HTTPS?)"


# With TCP


def test_an_accepted_connection_is_good_and_nothing_is_sent() -> None:
    with serving(reading) as server:
        found = ask(server, timeout=2, protocol="TCP")
    assert (found.status, found.error, found.failure) == (None, None, None)
    assert server.requests == [b""], "the server sees the end of the connection, and no reset"


def test_a_server_that_hangs_with_free_places_in_its_queue_is_good_for_it_is_the_system_that_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = ask(Server(*listener.getsockname()), protocol="TCP")
    assert (found.status, found.error) == (None, None)


def test_a_refused_connection_is_bad() -> None:
    with refusing() as server:
        found = ask(server, protocol="TCP")
    assert (found.error, found.failure) == ("connection refused", "refused")


def test_a_connection_that_hangs_in_a_full_queue_is_given_up_at_the_timeout() -> None:
    with not_accepting() as server:
        found = ask(server, protocol="TCP")
    assert (found.error, found.failure) == ("no connection within 0.2 s", "unreachable")
    assert found.milliseconds >= 200
