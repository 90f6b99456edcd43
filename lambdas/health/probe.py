"""One probe: a new connection to an IP address and one GET, or with TCP only the connection. The response is read with
`http.client`, up to 64 KiB of it."""

import contextlib
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.errors import MissingHeaderBodySeparatorDefect
from typing import Any, Literal, cast

from domain.text import printable
from health.deadline import Deadline, ProbeStopped, Stop
from health.result import BODY_BYTES, NoResponse, Probe, in_words, quoted
from health.tls import certificates_of, client_context, secured, tls_error

Protocol = Literal["HTTP", "HTTPS", "TCP"]
ERROR_CHARACTERS = 240
DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}
RESPONSE_BYTES = 65_536
# The protocol of a first line that is not HTTP, by how the line begins: a TLS alert record; length, type, flags and
# stream of an HTTP/2 SETTINGS frame; a greeting. The line itself is not shown, because it may contain a secret.
PROTOCOLS = {
    "\x15\x03": "HTTPS", r".{3}\x04\0{5}": "only HTTP/2", "SSH-": "SSH", "220[ -]": "SMTP or FTP", "[+]OK": "POP3",
    "[*] OK": "IMAP", "-ERR": "Redis", "RTSP/": "RTSP", r".\0{3}\n": "MySQL",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a probe requests: a GET of `path` at an IPv4 address (empty in settings, which are for any) and port, within
    `timeout_seconds`. The configuration has validated `path`, `host_header` (maybe with a port) and `headers`."""

    protocol: Protocol
    ip: str = ""
    port: int
    timeout_seconds: float
    path: str | None = None  # without it, HTTPS ends after the handshake
    host_header: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify_certificate: bool = True  # always there with HTTPS

    @property
    def host(self) -> str:
        """The Host header: as configured, or the address, with the port if it is not the protocol's default."""
        address = self.ip if self.port == DEFAULT_PORTS.get(self.protocol) else f"{self.ip}:{self.port}"
        return self.host_header or address

    @property
    def tls_name(self) -> str | None:
        """The name that TLS asks for; a verified certificate must be for this name. Without a host name, it is the
        address, which is never sent (RFC 6066 allows no address in SNI, and no dot at the end of a name)."""
        if self.host_header:
            return re.sub(r":\d+$", "", self.host_header).strip("[]").removesuffix(".")
        return self.ip if self.verify_certificate else None

    @property
    def url(self) -> str:
        """For people: "https://203.0.113.7:443/health (Host: www.example.com)", "tcp://203.0.113.7:22"."""
        server = f"{self.protocol.lower()}://{self.ip}:{self.port}"
        host = f" (Host: {self.host_header})" if self.host_header else ""
        return server if self.protocol == "TCP" else f"{server}{self.path}{host}"

    @property
    def short_url(self) -> str:
        """The URL in at most 200 characters, without its middle."""
        return self.url if len(self.url) <= 200 else f"{self.url[:120]}...{self.url[-77:]}"


Prober = Callable[[Target, Stop], Probe]


def prober(targets: Iterable[Target]) -> Prober:
    """A function that probes one of these targets once. The system's CAs are loaded here, so that no probe waits. A
    probe raises only ProbeStopped, once `stop` is set. It ends by its timeout, after some 64 KiB, or at a redirect."""
    verified = {target.verify_certificate for target in targets if target.protocol == "HTTPS"}
    contexts = {each: client_context(verified=each) for each in verified}

    def probe(target: Target, stop: Stop) -> Probe:
        context = contexts[target.verify_certificate] if target.protocol == "HTTPS" else None
        started = time.monotonic()
        try:
            with Deadline(target.timeout_seconds) as deadline:
                result = _response(target, context, deadline, stop)
        except NoResponse as failure:
            result = Probe(**vars(failure), error=printable(str(failure), ERROR_CHARACTERS))
        if stop.is_set():  # the result then only shows that the connection ended
            raise ProbeStopped
        return replace(result, milliseconds=round((time.monotonic() - started) * 1000))

    return probe


def _response(target: Target, context: ssl.SSLContext | None, deadline: Deadline, stop: Stop) -> Probe:
    with _connected(target, deadline, stop) as connection:
        if target.protocol == "TCP":
            return Probe(None)
        if context is None:
            return _read_response(connection, request_bytes(target), deadline)
        with secured(connection, context, target.tls_name, deadline) as encrypted:
            certificates = certificates_of(encrypted)
            answer = _read_response(encrypted, request_bytes(target), deadline) if target.path else Probe(None)
            return replace(answer, certificates=certificates)


@contextlib.contextmanager
def _connected(target: Target, deadline: Deadline, stop: Stop) -> Iterator[socket.socket]:
    with socket.socket() as connection, stop.ends(connection), deadline.ends(connection):
        try:
            if stop.is_set():
                raise ProbeStopped
            connection.settimeout(deadline.seconds)  # not every system ends connect() at a shutdown
            connection.connect((target.ip, target.port))
            connection.settimeout(None)
            if deadline.is_set():
                raise TimeoutError
        except ConnectionRefusedError as failure:
            raise NoResponse(in_words(failure), "refused") from failure
        except OSError as failure:
            late = deadline.is_set() or isinstance(failure, TimeoutError)
            error = f"no connection within {deadline}" if late else in_words(failure)
            raise NoResponse(error, "unreachable") from failure
        yield connection


def request_bytes(target: Target) -> bytes:
    """A configured header replaces ours. The probe accepts no encoding: a compressed body cannot be searched."""
    ours = {"User-Agent": "eip-cutover-health-check", "Accept": "*/*", "Accept-Encoding": "identity"}
    headers = {"Host": target.host, "Connection": "close", **ours, **target.headers}
    lines = {name.lower(): f"{name}: {value}\r\n" for name, value in headers.items()}
    return f"GET {target.path} HTTP/1.1\r\n{''.join(lines.values())}\r\n".encode()


class _Source(io.RawIOBase):
    """The first 64 KiB that a connection delivers. `http.client` reads it as it would read a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self.received, self.ended = connection, 0, False

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.received >= RESPONSE_BYTES:
            raise http.client.LineTooLong("response")
        count = self._connection.recv_into(buffer)
        self.received += count
        self.ended = count == 0
        return count


def _read_response(connection: socket.socket, request: bytes, deadline: Deadline) -> Probe:
    """The response to a GET. Raises NoResponse if there is none, or if it is incomplete when the deadline is set."""
    source = _Source(connection)
    response = http.client.HTTPResponse(cast("socket.socket", source), method="GET")
    status, error, is_tls = None, "", False
    # The header of the PROXY protocol comes before TLS.
    proxy = "" if isinstance(connection, ssl.SSLSocket) else "does this port expect the PROXY protocol?"
    try:
        connection.sendall(request)
        _read_head(response, source)
        status = response.status
        headers = {name.lower(): value for name, value in reversed(response.getheaders())}
        body = _read_body(response, source)
        if not deadline.is_set():
            return Probe(status, headers=headers, body=body)
    except http.client.RemoteDisconnected:
        hint = "" if source.received else " (does this port speak HTTPS, or expect the PROXY protocol?)"
        error = f"closed the connection without an answer{hint}"
    except (http.client.BadStatusLine, http.client.UnknownProtocol) as failure:
        error = f"sent something that is not HTTP: {_first_line(str(failure), proxy)}"
    except http.client.HTTPException as failure:
        error = str(failure).replace("got more than", "sent more than")
    except ConnectionError:
        error = f"reset the connection ({_received(source, proxy)})"
    except OSError as failure:
        error, is_tls = tls_error(failure), isinstance(failure, ssl.SSLError)
    if deadline.is_set():
        expected = "no answer" if status is None else "no complete answer"
        error = f"{expected} within {deadline} (connected, sent the request, {_received(source, proxy)})"
    raise NoResponse(error, "incomplete" if status else "tls" if is_tls else "no answer", status=status)


def _received(source: _Source, question: str) -> str:
    return f"{source.received} bytes received{f'; {question}' if question and not source.received else ''}"


def _first_line(line: str, question: str) -> str:
    if line.startswith("HTTP/"):
        return "the version or the status in its first line is unknown"
    speaks = (f"does this port speak {PROTOCOLS[start]}?" for start in PROTOCOLS if re.match(start, line, re.DOTALL))
    question = next(speaks, question)
    return f"a first line of {len(line)} bytes{question and f' ({question})'}"


def _read_head(response: http.client.HTTPResponse, source: _Source) -> None:
    """Reads to the end of the headers of the final response. `http.client` accepts headers that break off."""
    response.begin()
    while response.status < http.client.OK and response.status != http.client.SWITCHING_PROTOCOLS:
        response.headers = None  # type: ignore[assignment]  # for begin() to skip an interim response
        response.begin()
    if source.ended:
        raise http.client.HTTPException("closed the connection within its headers")
    if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in response.msg.defects):
        raise http.client.HTTPException("sent headers that are not HTTP")
    given = ", ".join(response.msg.get_all("Content-Length", []))
    lengths = {length.strip() for length in given.split(",")}
    if given and (len(lengths) > 1 or not lengths.pop().isdecimal()):
        raise http.client.HTTPException(f"sent an invalid Content-Length: {quoted(given)}")


def _read_body(response: http.client.HTTPResponse, source: _Source) -> bytes:
    """The first 5,120 bytes. `http.client` accepts a body that is shorter than its Content-Length."""
    expected = min(response.length or 0, BODY_BYTES)
    try:
        body = response.read(BODY_BYTES)
    except (http.client.IncompleteRead, ValueError) as failure:
        ended, invalid = "closed the connection within its body", "sent a chunk of its body without a length"
        raise http.client.HTTPException(ended if source.ended else invalid) from failure
    if len(body) < expected:
        raise http.client.HTTPException(f"closed the connection after {len(body)} of {expected} bytes of its body")
    return body
