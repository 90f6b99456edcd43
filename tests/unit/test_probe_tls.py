"""One probe under TLS, against real servers on loopback with good and bad certificates."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domain.text import shortened
from health.probe import Probe, Request, probe
from health.tls import client_context, tls_error
from tests.unit.certificates import Authority, self_signed
from tests.unit.misbehaving_servers import (
    OK,
    answering,
    closing_after_a_read,
    dripping,
    dripping_handshake,
    dripping_record,
    flooding,
    hanging_after,
    in_turn,
    over_tls,
    serving,
    silent,
    status,
)
from tests.unit.test_probe import ask, asked_of

WWW = "www.example.com"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def a_ca() -> Authority:
    return Authority()


@pytest.fixture
def ca(a_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    return a_ca.trusted(tmp_path, monkeypatch)


def verified(context: ssl.SSLContext, **changed: Any) -> Probe:
    """What a probe finds that verifies the certificate for www.example.com."""
    asked: dict[str, Any] = {"protocol": "HTTPS", "host_header": WWW, "verify_certificate": True, **changed}
    return asked_of(over_tls(context, answering(OK)), **{"timeout": 2, **asked})


# The certificate, verified


@pytest.mark.parametrize("names", [[WWW], ["*.example.com"], ["a.example", WWW]])
def test_a_certificate_of_a_known_ca_for_the_name_is_good(ca: Authority, names: list[str]) -> None:
    found = verified(ca.certified(*names))
    assert (found.status, found.error) == (200, None)


def test_the_port_of_the_host_header_is_no_part_of_the_name(ca: Authority) -> None:
    assert verified(ca.certified(WWW), host_header=f"{WWW}:8443").error is None


def test_without_a_name_the_certificate_must_be_for_the_address(ca: Authority) -> None:
    assert verified(ca.certified("127.0.0.1"), host_header=None).error is None
    assert verified(ca.certified(WWW), host_header=None).failure == "certificate"


def test_a_name_counts_only_where_names_belong_and_not_in_the_subject() -> None:
    assert client_context(verified=True).hostname_checks_common_name is False


@pytest.mark.parametrize("verified", [True, False])
def test_http_1_1_is_all_that_is_offered(verified: bool, tls: ssl.SSLContext) -> None:
    tls.set_alpn_protocols(["h2", "http/1.1"])
    chosen: list[str | None] = []

    def tells(connection: Any) -> None:
        chosen.append(connection.socket.selected_alpn_protocol())
        answering(OK)(connection)

    context = client_context(verified=verified)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with serving(over_tls(tls, tells)) as server:
        asked = Request(protocol="HTTPS", ip=server.ip, port=server.port, timeout_seconds=2)
        assert probe(asked, context).error is None
    assert chosen == ["http/1.1"]


UNKNOWN = "its issuer is not known here, or the server does not send the intermediate certificate"


@pytest.mark.parametrize(
    ("context", "error"),
    [
        (lambda ca, _: ca.certified(WWW, begins=-3, ends=-1), "it has expired"),
        (lambda ca, _: ca.certified(WWW, begins=1, ends=3), "it is not yet valid"),
        (lambda _, folder: self_signed(folder, WWW), "it is self-signed"),
        (lambda *_: Authority().certified(WWW), UNKNOWN),
        (lambda ca, _: ca.certified(WWW, chain=False), UNKNOWN),
        (
            lambda ca, _: ca.certified("a.example", "*.b.example"),
            'it is not for "www.example.com" but for "a.example", "*.b.example"',
        ),
        (
            lambda ca, _: ca.certified(*(f"{n}.example" for n in range(9))),
            'it is not for "www.example.com" but for "0.example", "1.example", "2.example" and 6 more',
        ),
        (lambda ca, _: ca.certified("example.com"), 'it is not for "www.example.com" but for "example.com"'),
        (lambda ca, _: ca.certified("192.0.2.1"), 'it is not for "www.example.com" but for "192.0.2.1"'),
    ],
    ids=[
        "expired",
        "not yet valid",
        "self-signed",
        "of an unknown CA",
        "without its intermediate",
        "for other names",
        "for many other names",
        "for the parent",
        "for an address",
    ],
)
def test_a_wrong_certificate_is_refused_in_words(
    context: Callable[[Authority, Path], ssl.SSLContext], error: str, ca: Authority, tmp_path: Path
) -> None:
    with serving(over_tls(context(ca, tmp_path), answering(OK))) as server:
        found = ask(server, timeout=2, protocol="HTTPS", host_header=WWW, verify_certificate=True)
    assert (found.status, found.failure, found.error) == (None, "certificate", f"certificate: {error}")
    assert not any(server.requests), "nothing is sent to a server that is not the right one"


def test_a_server_that_hangs_when_asked_again_for_its_names_does_not_prolong_the_timeout(ca: Authority) -> None:
    other = over_tls(ca.certified("a.example"), answering(OK))
    with serving(in_turn(other, silent)) as server:
        found = ask(server, timeout=0.5, protocol="HTTPS", host_header=WWW, verify_certificate=True)
    assert found.error == 'certificate: it is not for "www.example.com"'


# The certificate, not verified


@pytest.mark.parametrize("days", [(-3, -1), (-1, 1), (1, 3)], ids=["expired", "valid", "not yet valid"])
def test_any_certificate_will_do_where_it_is_not_verified(days: tuple[int, int]) -> None:
    context = Authority().certified("somebody.example", begins=days[0], ends=days[1])
    for host in (None, WWW):
        found = asked_of(over_tls(context, answering(OK)), timeout=2, protocol="HTTPS", host_header=host)
        assert (found.status, found.error) == (200, None)


def test_a_self_signed_certificate_will_do_where_it_is_not_verified(tls: ssl.SSLContext) -> None:
    found = asked_of(over_tls(tls, answering(OK)), timeout=2, protocol="HTTPS")
    assert (found.status, found.error) == (200, None)


# What is asked for


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"host_header": WWW}, WWW),
        ({"host_header": f"{WWW}:8443"}, WWW),
        ({"host_header": WWW, "verify_certificate": False}, WWW),
        ({"host_header": None, "verify_certificate": False}, None),
        ({"host_header": None}, None),
    ],
)
def test_the_server_is_asked_for_the_name_of_the_host_header(
    changed: dict[str, Any], name: str | None, ca: Authority
) -> None:
    context = ca.certified(WWW, "127.0.0.1")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, wanted, _context: asked.append(wanted)
    with serving(over_tls(context, answering(OK))) as server:
        found = ask(server, timeout=2, protocol="HTTPS", **{"verify_certificate": True, **changed})
    assert found.error is None
    assert asked == [name]
    assert f"Host: {changed['host_header'] or f'127.0.0.1:{server.port}'}".encode() in server.requests[0].split(b"\r\n")


@pytest.mark.parametrize("host", [".example.com", "a" * 64 + ".example", "a..b"])
def test_a_name_that_no_server_can_have_is_an_error_of_the_probe(host: str, tls: ssl.SSLContext) -> None:
    found = asked_of(over_tls(tls, answering(OK)), timeout=2, protocol="HTTPS", host_header=host)
    assert found.error == f'TLS: "{shortened(host, 40)}" cannot be the name of a server'


# What goes wrong


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
    context = self_signed(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    found = asked_of(over_tls(context, answering(OK)), timeout=2, protocol="HTTPS")
    assert (found.error, found.failure) == ("TLS: the server asks for a client certificate", "tls")


def test_a_server_that_needs_a_name_says_so(tls: ssl.SSLContext) -> None:
    tls.sni_callback = lambda _socket, name, _context: None if name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    found = asked_of(over_tls(tls, answering(OK)), timeout=2, protocol="HTTPS")
    tls.sni_callback = None
    assert (found.error, found.failure) == (
        "TLS: tlsv1 unrecognized name (if it needs a name, configure hostHeader)",
        "tls",
    )


def test_an_error_of_tls_shows_nothing_of_how_openssl_writes_it() -> None:
    assert tls_error(ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1032)")) == "TLS: record layer failure"
    assert tls_error(ssl.SSLError(1, "[SSL: NO_ALPN] no alpn (_ssl.c:1)")) == "TLS: no alpn"


def test_a_server_that_speaks_http_2_only_says_so(tls: ssl.SSLContext) -> None:
    settings = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"
    found = asked_of(over_tls(tls, hanging_after(settings)), timeout=1, protocol="HTTPS")
    assert found.error == "answers in HTTP/2 only, and the probe speaks HTTP/1.1"
