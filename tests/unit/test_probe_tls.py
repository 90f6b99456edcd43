"""One probe under TLS, against real servers on loopback with good and bad certificates."""

import re
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from health.result import Probe
from health.tls import certificates_of, client_context, lacking, tls_error
from tests.unit.certificates import Authority, self_signed
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    answering,
    closing,
    closing_after_a_read,
    dripping,
    dripping_tls,
    flooding,
    over_tls,
    reacting,
    server_hello,
    serving,
    silent,
    status,
    tls_alert,
)
from tests.unit.test_probe import ask, asked_of

WWW = "www.example.com"
DAY = 86_400


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    return Authority().trusted(tmp_path, monkeypatch)


def unverified(behaviour: Behaviour, timeout: float = 2) -> Probe:
    return asked_of(behaviour, timeout, protocol="HTTPS", verify_certificate=False)


# The certificate


@pytest.mark.parametrize(
    ("names", "host"),
    [([WWW], WWW), (["*.example.com"], WWW), (["a.example", WWW], WWW), ([WWW], f"{WWW}:8443"), (["127.0.0.1"], None)],
)
def test_a_certificate_of_a_known_ca_for_the_host_is_good(ca: Authority, names: list[str], host: str | None) -> None:
    probe = asked_of(over_tls(ca.certified(*names), answering(OK)), 2, protocol="HTTPS", host_header=host)
    assert (probe.status, probe.error) == (200, None)


def test_a_name_counts_only_as_an_alternative_name_and_not_in_the_subject() -> None:
    assert client_context(verified=True).hostname_checks_common_name is False


OTHER = 'it is not for "www.example.com" but for "a.example", "*.b.example", "192.0.2.1"'
MANY = 'it is not for "www.example.com" but for "example.com", "0.example", "1.example" and 6 more'
UNKNOWN = "its issuer is unknown, or the server does not send the intermediate certificate"


@pytest.mark.parametrize(
    ("context", "error"),
    [
        (lambda ca: ca.certified(WWW, begins=-3, ends=-1), "it has expired"),
        (lambda ca: ca.certified(WWW, begins=1, ends=3), "it is not yet valid"),
        (lambda ca: ca.certified_below((-9, -1), WWW, ends=-1), "it has expired"),
        (lambda _: self_signed(), "it is self-signed"),
        (lambda _: Authority().certified(WWW), UNKNOWN),
        (lambda ca: ca.certified(WWW, chain=False), UNKNOWN),
        (lambda ca: ca.certified("a.example", "*.b.example", "192.0.2.1"), OTHER),
        (lambda ca: ca.certified("example.com", *(f"{n}.example" for n in range(8))), MANY),
    ],
    ids=[
        *("expired", "not yet valid", "expired with its intermediate", "self-signed", "of an unknown CA"),
        *("without its intermediate", "other", "many"),
    ],
)  # fmt: skip
def test_a_wrong_certificate_is_refused_in_words_unless_it_is_not_verified(
    context: Callable[[Authority], ssl.SSLContext], error: str, ca: Authority
) -> None:
    with serving(over_tls(context(ca), answering(OK))) as server:
        probe = ask(server, timeout=2, protocol="HTTPS", host_header=WWW)
        assert (probe.status, probe.failure, probe.error) == (None, "certificate", f"certificate: {error}")
        assert not any(server.requests), "nothing is sent to a server that is not the right one"
        for host in (None, WWW):
            probe = ask(server, timeout=2, protocol="HTTPS", host_header=host, verify_certificate=False)
            assert (probe.status, probe.error) == (200, None)


@pytest.mark.parametrize(("times", "wrong"), [((-9, -1), "has expired"), ((1, 3), "is not yet valid")])
def test_the_probe_says_if_an_outdated_certificate_is_not_the_servers_own(
    times: tuple[float, float], wrong: str, ca: Authority
) -> None:
    probe = asked_of(over_tls(ca.certified_below(times, WWW), answering(OK)), 2, protocol="HTTPS", host_header=WWW)
    above = f"the one above the server's (an intermediate or a CA) {wrong}; the server's own is valid"
    assert (probe.status, probe.failure, probe.error) == (None, "issuer", f"certificate: {above}")


def test_what_a_refused_certificate_says_is_read_without_a_second_connection(ca: Authority) -> None:
    with serving(over_tls(ca.certified("a.example"), answering(OK))) as server:
        assert "but for" in str(ask(server, timeout=2, protocol="HTTPS", host_header=WWW).error)
    assert server.connections == 1


@pytest.mark.parametrize("verified", [True, False])
def test_a_probe_carries_the_servers_certificate_and_the_first_above_it_that_expires(
    verified: bool, ca: Authority
) -> None:
    behaviour = over_tls(ca.certified_below((-9, 9), WWW, "a.example", ends=3), answering(OK))
    probe = asked_of(behaviour, 2, protocol="HTTPS", host_header=WWW, verify_certificate=verified)
    certificates = [(ends // DAY, begins // DAY, names) for ends, begins, names in probe.certificates]
    today = time.time() // DAY
    assert certificates == [
        (today + 3, today - 9, '"www.example.com", "a.example"'),
        (today + 9, today - 9, '"R11"'),
    ]


class Shown:
    """An `SSLSocket` to which a server sent this chain. A name in place of a certificate cannot be read."""

    def __init__(self, *chain: dict[str, Any] | str) -> None:
        self._sslobj, self._chain, self.context = self, chain, client_context(verified=False)

    def get_unverified_chain(self) -> list[Any]:
        return [SimpleNamespace(get_info=partial(dict, each)) for each in self._chain]


def decoded(name: str, year: int) -> dict[str, Any]:
    begins, ends = (f"Dec  2 12:00:00 {each} GMT" for each in (2020, year))
    return {"subject": ((("countryName", "US"),), (("commonName", name),)), "notBefore": begins, "notAfter": ends}


@pytest.mark.parametrize(
    ("connection", "names"),
    [
        (Shown(decoded("own", 2027), decoded("b", 2029), decoded("c", 2026)), ['"own"', '"c"']),
        (Shown(decoded("own", 2027), "unreadable"), ['"own"']),
        (Shown(), []),
        (SimpleNamespace(_sslobj=None, context=client_context(verified=False)), []),
        (SimpleNamespace(), []),
    ],
    ids=["three", "one that cannot be read", "none", "closed", "another Python"],
)
def test_a_probe_carries_what_can_be_read(connection: Any, names: list[str]) -> None:
    assert [each for *_, each in certificates_of(connection)] == names


# What is asked for


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize(
    ("host", "name"), [(WWW, WWW), (f"{WWW}:8443", WWW), (f"{WWW}.", WWW), (f"{WWW}.:8443", WWW), (None, None)]
)
def test_the_server_is_asked_for_the_name_of_the_host_header_and_for_http_1_1(
    host: str | None, name: str | None, verified: bool, ca: Authority
) -> None:
    context = ca.certified(WWW, "127.0.0.1")
    context.set_alpn_protocols(["h2", "http/1.1"])
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, wanted, _context: asked.append(wanted)

    def notes(connection: Any) -> None:
        asked.append(connection.socket.selected_alpn_protocol())
        answering(OK)(connection)

    with serving(over_tls(context, notes)) as server:
        probe = ask(server, timeout=2, protocol="HTTPS", host_header=host, verify_certificate=verified)
    assert probe.error is None
    assert asked == [name, "http/1.1"]
    assert f"Host: {host or f'127.0.0.1:{server.port}'}".encode() in server.requests[0].split(b"\r\n")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("my_app", "my_app"), ("-a-.example:8443", "-a-.example"), ("a~b", "a~b"), ("3405803783", "3405803783"),
        ("203.0.113.7", None), ("203.0.113.7:8443", None), ("[2001:db8::1]", None), ("[2001:db8::1]:8443", None),
    ],
)  # fmt: skip
def test_without_verification_any_host_header_can_be_sent_and_an_ip_address_is_not_sent_as_sni(
    host: str, name: str | None
) -> None:
    context, asked = self_signed(), list[str | None]()
    context.sni_callback = lambda _socket, wanted, _context: asked.append(wanted)
    with serving(over_tls(context, answering(OK))) as server:
        probe = ask(server, timeout=2, protocol="HTTPS", host_header=host, verify_certificate=False)
    assert (probe.error, asked) == (None, [name])
    assert f"Host: {host}".encode() in server.requests[0].split(b"\r\n")


@pytest.mark.parametrize("host", [".example.com", "a" * 64 + ".example", "a..b"])
def test_a_name_that_no_server_can_have_is_an_error_of_the_probe(host: str) -> None:
    probe = asked_of(over_tls(self_signed(), answering(OK)), timeout=2, protocol="HTTPS", host_header=host)
    assert re.fullmatch(r'TLS: "[^"]+" cannot be the name of a server', str(probe.error))


# Servers that never finish

PROXY = r"does this port expect the PROXY protocol\?"


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (silent, rf"TLS: no handshake within 0.2 s \(connected; {PROXY}\)"),
        (dripping_tls(self_signed()), rf"TLS: no handshake within 0.2 s \(connected; {PROXY}\)"),
        (dripping_tls(self_signed(), OK * 10), r"no answer within 0.2 s \(.*, 0 bytes received\)"),
        (over_tls(self_signed(), dripping(status(200))), r"no answer within 0.2 s \(.*, \d+ bytes received\)"),
    ],
    ids=["silence", "a handshake byte by byte", "a record byte by byte", "headers byte by byte"],
)
def test_nothing_under_tls_prolongs_the_timeout(behaviour: Behaviour, error: str) -> None:
    assert re.fullmatch(error, str(unverified(behaviour, timeout=0.2).error))


@pytest.mark.parametrize("body", [flooding(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), answering(b"HTTP/1.1 200 OK\r\n\r\nok")])
def test_a_body_ends_with_its_5120th_byte_or_with_the_connection(body: Behaviour) -> None:
    probe = unverified(over_tls(self_signed(), body))
    assert (probe.status, probe.error) == (200, None)


# Servers that fail


def plain(connection: Any) -> None:
    connection.socket.recv(4096)
    connection.socket.sendall(status(400))
    connection.pause(1)


CLOSED = r"closed the connection .* \(does this port expect the PROXY protocol, or offer no TLS 1\.2\?\)"
ASKS, NAMED = self_signed(), self_signed()
ASKS.verify_mode = ssl.CERT_REQUIRED
NAMED.sni_callback = lambda _socket, name, _context: None if name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (plain, r"[a-z ]+ \(does this port speak HTTP, or expect the PROXY protocol\?\)"),
        (closing_after_a_read, CLOSED),
        (closing, CLOSED),
        (over_tls(ASKS, answering(OK)), "the server asks for a client certificate"),
        (over_tls(NAMED, answering(OK)), r"tlsv1 unrecognized name \(if it needs a name, configure hostHeader\)"),
    ],
    ids=["no TLS", "closes", "closes at once", "asks for a client certificate", "needs a name"],
)
def test_a_handshake_that_fails_is_described(behaviour: Behaviour, error: str) -> None:
    probe = unverified(behaviour)
    assert probe.failure == "tls"
    assert re.fullmatch(f"TLS: {error}", str(probe.error))


NO_TLS_1_2 = "the server offers no TLS 1.2 or 1.3"
NO_CIPHER = "the server shares no TLS version or cipher with the probe, or wants a client certificate"


@pytest.mark.parametrize(
    ("sent", "host", "error"),
    [
        (server_hello(b"\x03\x00"), WWW, NO_TLS_1_2),
        (server_hello(b"\x03\x01"), WWW, NO_TLS_1_2),
        (server_hello(b"\x03\x02"), None, NO_TLS_1_2),
        (tls_alert(ssl.ALERT_DESCRIPTION_PROTOCOL_VERSION), WWW, NO_TLS_1_2),
        (server_hello(b"\x03\x03"), WWW, "the server does not support secure renegotiation (RFC 5746)"),
        (tls_alert(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE), WWW, NO_CIPHER),
        (tls_alert(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE), None,
         f"{NO_CIPHER} (if it needs a name, configure hostHeader)"),
        (tls_alert(ssl.ALERT_DESCRIPTION_INSUFFICIENT_SECURITY), WWW, "the server shares no cipher with the probe"),
    ],
)  # fmt: skip
def test_a_server_that_is_too_old_for_the_probe_is_reported_with_what_it_lacks(
    sent: bytes, host: str | None, error: str
) -> None:
    probe = asked_of(reacting(sent), 2, protocol="HTTPS", host_header=host, verify_certificate=False)
    assert (probe.status, probe.failure, probe.error) == (None, "old tls", f"TLS: {error}")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("DH_KEY_TOO_SMALL", "too short"), ("EE_KEY_TOO_SMALL", "too short"), ("WRONG_SIGNATURE_TYPE", "SHA-1"),
        ("LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED", "SHA-1"),
        ("SSL/TLS_ALERT_HANDSHAKE_FAILURE", "shares no TLS version"),
    ],
)  # fmt: skip
def test_a_server_with_old_keys_and_signatures_is_reported_with_what_it_lacks(reason: str, words: str) -> None:
    failure = ssl.SSLError(1, "[SSL] (_ssl.c:1)")
    assert lacking(failure) is None
    failure.reason = reason
    assert words in str(lacking(failure))


def test_a_tls_error_is_described_without_the_words_of_openssl() -> None:
    assert tls_error(ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1032)")) == "TLS: record layer failure"
    assert tls_error(ssl.SSLError(1, "[SSL: NO_ALPN] no alpn (_ssl.c:1)")) == "TLS: no alpn"
