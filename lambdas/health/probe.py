"""One probe: one new connection to an IP address, one GET (with TCP: nothing), and what came of it."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.text import printable, shortened
from health.deadline import Deadline, Failure, NoAnswer, ProbeStopped, Stop, in_words
from health.http_response import Answer, answered
from health.tls import OtherNames, certificate_names, client_context, secured

Protocol = Literal["HTTP", "HTTPS", "TCP"]
ERROR_CHARACTERS = 240
PATH_CHARACTERS = 90
HOST_CHARACTERS = 60
DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}
OURS_ALONE = ("host", "connection")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ask of whom: a GET of `path` at an IPv4 address and port, over within `timeout_seconds`.

    `path` begins with "/" and is printable ASCII without spaces; `host_header` is a DNS name, maybe with a port;
    `headers` are sent in addition. All that as the configuration has validated.
    """

    protocol: Protocol
    ip: str
    port: int
    timeout_seconds: float
    path: str = "/"
    host_header: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify_certificate: bool = False

    @property
    def host(self) -> str:
        """The Host header: as configured, or the address, with the port where it is not the protocol's default."""
        address = self.ip if self.port == DEFAULT_PORTS.get(self.protocol) else f"{self.ip}:{self.port}"
        return self.host_header or address

    @property
    def name(self) -> str | None:
        """Whom TLS is asked for, and whom the certificate must be for if it is verified.

        Without a name, that is the address, which is never sent (RFC 6066 allows no address in SNI).
        """
        if self.host_header:
            return self.host_header.partition(":")[0]
        return self.ip if self.verify_certificate else None

    @property
    def url(self) -> str:
        """For people: "https://203.0.113.7:443/health (Host: www.example.com)", "tcp://203.0.113.7:22"."""
        return self._url(self.path, self.host_header)

    @property
    def short_url(self) -> str:
        """The same in at most 200 characters."""
        host = self.host_header and shortened(self.host_header, HOST_CHARACTERS)
        return self._url(shortened(self.path, PATH_CHARACTERS), host)

    def _url(self, path: str, host: str | None) -> str:
        server = f"{self.protocol.lower()}://{self.ip}:{self.port}"
        return server if self.protocol == "TCP" else f"{server}{path}{f' (Host: {host})' if host else ''}"


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    `status` is the answer's status code, None when no complete headers came. `milliseconds` is how long the whole probe
    took. `error` is None when the headers and the body (or its first 5,120 bytes) came in time, with TCP the
    connection; otherwise a short sentence for an operator, printable ASCII of at most 240 characters whatever the
    server sent, and `failure` is its kind. `headers` has the first value of each header by its name in lower case.
    """

    status: int | None
    milliseconds: int
    error: str | None = None
    failure: Failure | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def probe(request: Request, context: ssl.SSLContext | None = None, stop: Stop | None = None) -> Probe:
    """Asks once, on a new connection, and never raises for what the network or the server does.

    It is over within the request's timeout, takes at most some 64 KiB, and of a body the first 5,120 bytes; then it
    closes the connection. A redirect is not followed: a 3xx is a status like any other. `context` is that of
    `client_context`, for HTTPS; without one it is made, before the timeout begins.

    Raises ProbeStopped at once when `stop` is set meanwhile.
    """
    stop = stop or Stop()
    if request.protocol == "HTTPS" and context is None:
        context = client_context(verified=request.verify_certificate)
    started = time.monotonic()
    deadline = Deadline.after(request.timeout_seconds)
    try:
        answer = _answer(request, context, deadline, stop)
    except NoAnswer as found:
        if stop.is_set():
            raise ProbeStopped from None
        return Probe(found.status, _since(started), printable(str(found), ERROR_CHARACTERS), found.failure)
    if stop.is_set():  # which ends a body as the server does
        raise ProbeStopped
    if answer is None:
        return Probe(None, _since(started))
    return Probe(answer.status, _since(started), headers=answer.headers, body=answer.body)


def _answer(request: Request, context: ssl.SSLContext | None, deadline: Deadline, stop: Stop) -> Answer | None:
    """The answer, with TCP none: the connection is all that is asked for."""
    with _connected(request, deadline, stop) as connection:
        if request.protocol == "TCP":
            return None
        if request.protocol != "HTTPS" or context is None:
            return answered(connection, request_bytes(request), deadline)
        try:
            with secured(connection, context, request.name, deadline) as encrypted:
                return answered(encrypted, request_bytes(request), deadline)
        except OtherNames as other:
            raise NoAnswer(f"{other}{_names_held(request, deadline, stop)}", other.failure) from other


@contextlib.contextmanager
def _connected(request: Request, deadline: Deadline, stop: Stop) -> Iterator[socket.socket]:
    with socket.socket() as connection, stop.ends(connection):
        try:
            connection.settimeout(deadline.left())
            connection.connect((request.ip, request.port))
        except TimeoutError:
            raise NoAnswer(f"no connection within {deadline}", "unreachable") from None
        except ConnectionRefusedError as failure:
            raise NoAnswer(in_words(failure), "refused") from failure
        except OSError as failure:
            raise NoAnswer(in_words(failure), "unreachable") from failure
        yield connection


def _names_held(request: Request, deadline: Deadline, stop: Stop) -> str:
    """What a certificate for other names is for, where there is time left to ask once more."""
    with contextlib.suppress(OSError, NoAnswer), _connected(request, deadline, stop) as connection:
        return f" but for {certificate_names(connection, request.name, deadline)}"
    return ""


def request_bytes(request: Request) -> bytes:
    """The request, with the headers of the configuration in place of ours but for those that are no matter of taste.

    No coding of the body is accepted, for a compressed body cannot be searched.
    """
    headers = {"User-Agent": "eip-cutover-health-check", "Accept": "*/*", "Accept-Encoding": "identity"}
    given = {name: value for name, value in request.headers.items() if name.lower() not in OURS_ALONE}
    replaced = {name.lower() for name in given}
    headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | given
    lines = [f"GET {request.path} HTTP/1.1", f"Host: {request.host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
