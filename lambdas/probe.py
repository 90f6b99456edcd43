"""One probe: one new connection to an IP address, one GET, and what came of it.

A timeout for each read is not enough: a server that sends a byte a second would hold a probe for ever. So every wait
(the connection, the TLS handshake, the request, each read) gets only what is left until one deadline. Python keeps such
a timeout for a whole handshake and a whole TLS record too, however their bytes arrive, so no watchdog thread is needed.
"""

import email.errors
import http.client
import io
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BODY_BYTES = 5_120
ANSWER_BYTES = 65_536
ERROR_CHARACTERS = 160
SHOWN_CHARACTERS = 40
DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}
NO_TLS_THERE = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ask of whom: a GET of `path` at an IPv4 address and port, over within `timeout_seconds`.

    `path` begins with "/" and is printable ASCII without spaces, as the configuration has validated.
    """

    protocol: Literal["HTTP", "HTTPS"]
    ip: str
    port: int
    path: str
    timeout_seconds: float

    @property
    def host(self) -> str:
        """The Host header: the address, with the port where it is not the protocol's default."""
        return self.ip if self.port == DEFAULT_PORTS[self.protocol] else f"{self.ip}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.protocol.lower()}://{self.host}{self.path}"


@dataclass(frozen=True)
class Probe:
    """What one probe found.

    `status` is the answer's status code, None when no complete headers came. `milliseconds` is how long the whole probe
    took. `error` is None when the headers and the body (or its first 5,120 bytes) came in time; otherwise a short
    sentence for an operator, printable ASCII of at most 160 characters whatever the server sent.
    """

    status: int | None
    milliseconds: int
    error: str | None


def probe(request: Request) -> Probe:
    """Asks once, on a new connection, and never raises for what the network or the server does.

    It is over within the request's timeout, takes at most some 64 KiB, and of a body the first 5,120 bytes; then it
    closes the connection. A redirect is not followed: a 3xx is a status like any other.

    With HTTPS the certificate is not verified, as a target group does not: "The load balancer does not validate these
    certificates" (Elastic Load Balancing, Target groups for your Application Load Balancers, Routing configuration:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html).
    """
    started = time.monotonic()
    status, error = None, None
    try:
        status = _status(request, started + request.timeout_seconds)
    except _NoAnswer as found:
        status, error = found.status, _printable(str(found), ERROR_CHARACTERS)
    return Probe(status, round((time.monotonic() - started) * 1000), error)


class _NoAnswer(Exception):
    """No complete answer came; the message is the probe's error, `status` the status code that did come, if any."""

    def __init__(self, error: str, status: int | None = None) -> None:
        super().__init__(error)
        self.status = status


class _Stream(io.RawIOBase):
    """What a connection brings until a deadline; `http.client` reads it as if from a socket."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self.received = 0
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self.received >= ANSWER_BYTES:
            raise http.client.LineTooLong("answer")
        self._connection.settimeout(_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self.received += count
        self.ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _status(request: Request, deadline: float) -> int:
    """The status code of a complete answer; otherwise raises _NoAnswer."""
    with _connected(request, deadline) as connection:
        if request.protocol == "HTTP":
            return _answered(connection, request, deadline)
        with _secured(connection, request, deadline) as secured:
            return _answered(secured, request, deadline)


def _connected(request: Request, deadline: float) -> socket.socket:
    try:
        return socket.create_connection((request.ip, request.port), timeout=_left(deadline))
    except TimeoutError:
        raise _NoAnswer(f"no connection within {request.timeout_seconds:g} s") from None
    except OSError as failure:
        raise _NoAnswer((failure.strerror or str(failure)).lower()) from failure


def _secured(connection: socket.socket, request: Request, deadline: float) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    try:
        connection.settimeout(_left(deadline))
        return context.wrap_socket(connection)
    except TimeoutError:
        raise _NoAnswer(f"TLS: no handshake within {request.timeout_seconds:g} s (connected)") from None
    except (ssl.SSLEOFError, ConnectionError) as failure:
        raise _NoAnswer("TLS: closed the connection during the handshake") from failure
    except OSError as failure:
        raise _NoAnswer(_tls_error(failure)) from failure


def _answered(connection: socket.socket, request: Request, deadline: float) -> int:
    stream = _Stream(connection, deadline)
    # Of the socket it is given, HTTPResponse uses makefile() only.
    answer = http.client.HTTPResponse(cast("socket.socket", stream), method="GET")
    asked = _request_bytes(request)
    status = None
    try:
        connection.settimeout(_left(deadline))
        connection.sendall(asked)
        status = _read_headers(answer, stream)
        _read_body(answer, stream)
    except TimeoutError:
        wanted = "no answer" if status is None else "no complete answer"
        progress = f"connected, sent the request, {stream.received} bytes received"
        raise _NoAnswer(f"{wanted} within {request.timeout_seconds:g} s ({progress})", status) from None
    except http.client.RemoteDisconnected as failure:
        raise _NoAnswer("closed the connection without an answer") from failure
    except http.client.HTTPException as failure:
        raise _NoAnswer(_http_error(failure), status) from failure
    except ConnectionError as failure:
        raise _NoAnswer(f"reset the connection ({stream.received} bytes received)", status) from failure
    except OSError as failure:
        raise _NoAnswer(_tls_error(failure), status) from failure
    return status


def _request_bytes(request: Request) -> bytes:
    lines = [
        f"GET {request.path} HTTP/1.1",
        f"Host: {request.host}",
        "User-Agent: eip-cutover-health-check",
        "Accept: */*",
        "Connection: close",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def _read_headers(answer: http.client.HTTPResponse, stream: _Stream) -> int:
    """The status code. `http.client` takes the end of the connection, and a line of noise, for the headers' end."""
    answer.begin()
    if stream.ended:
        raise http.client.HTTPException("closed the connection within its headers")
    if any(isinstance(defect, email.errors.MissingHeaderBodySeparatorDefect) for defect in answer.msg.defects):
        raise http.client.HTTPException("sent what is not HTTP: a header without a colon")
    return answer.status


def _read_body(answer: http.client.HTTPResponse, stream: _Stream) -> None:
    """Reads up to 5,120 bytes. `http.client` takes the end of the connection for the end of any body."""
    announced = answer.length
    try:
        body = answer.read(BODY_BYTES)
    except (http.client.IncompleteRead, ValueError) as failure:
        ended = "closed the connection within its body"
        invalid = "sent what is not HTTP: a chunk of its body without a length"
        raise http.client.HTTPException(ended if stream.ended else invalid) from failure
    if announced is not None and len(body) < min(announced, BODY_BYTES):
        raise http.client.HTTPException(f"closed the connection after {len(body)} of the {announced} bytes of its body")


def _http_error(failure: http.client.HTTPException) -> str:
    match failure:
        case http.client.LineTooLong():
            return f"sent {ANSWER_BYTES:,} bytes without an end of a line, its headers or its body"
        case http.client.BadStatusLine() | http.client.UnknownProtocol():
            return f'sent what is not HTTP: "{_printable(str(failure.args[0]).strip(), SHOWN_CHARACTERS)}"'
        case _:
            return str(failure)


def _tls_error(failure: OSError) -> str:
    if not isinstance(failure, ssl.SSLError):
        return (failure.strerror or str(failure)).lower()
    reason = (failure.reason or str(failure)).replace("_", " ").lower()
    return f"TLS: {reason}{' (does this port speak HTTP?)' if failure.reason in NO_TLS_THERE else ''}"


def _left(deadline: float) -> float:
    """The seconds until the deadline; 0 would mean "do not wait" to a socket, so it is the timeout's end here."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _printable(text: str, characters: int) -> str:
    """The text for logs and notifications: "?" for all that is not printable ASCII, and shortened."""
    text = "".join(character if " " <= character <= "~" else "?" for character in text)
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
