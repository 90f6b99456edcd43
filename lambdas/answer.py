"""Asks over a connection, and reads one HTTP answer until a deadline and not beyond its first 64 KiB."""

import email.errors
import http.client
import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from attempt import Deadline, NoAnswer, printable
from tls import tls_error

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# As much as Route 53 searches: "the string must appear entirely within the first 5,120 bytes of the response body".
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
BODY_BYTES = 5_120
ANSWER_BYTES = 65_536
SHOWN_CHARACTERS = 40
TLS_ALERT = "\x15\x03"


@dataclass(frozen=True)
class Answer:
    """A complete answer: its status code, the first value of each header by lower-case name, its body's beginning."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Stream(io.RawIOBase):
    """What a connection brings until a deadline; `http.client` reads it as if from a socket."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._reader = _Reader(self)
        self.received = 0
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self.received >= ANSWER_BYTES:
            raise http.client.LineTooLong("answer")
        self._connection.settimeout(self._deadline.left())
        count = self._connection.recv_into(buffer)
        self.received += count
        self.ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self._reader


class _Reader(io.BufferedReader):
    """Buffers what belongs to the next answer too, so an interim one that is thrown away must not close it."""

    def close(self) -> None:
        pass


def answered(connection: socket.socket, request: bytes, deadline: Deadline) -> Answer:
    """What is answered to a GET; raises NoAnswer where no complete answer comes in time."""
    stream = _Stream(connection, deadline)
    status = None
    try:
        connection.settimeout(deadline.left())
        connection.sendall(request)
        answer = _final(stream)
        status = answer.status
        return Answer(status, _first_values(answer), _body(answer, stream))
    except TimeoutError:
        wanted = "no answer" if status is None else "no complete answer"
        error = f"{wanted} within {deadline} (connected, sent the request, {stream.received} bytes received)"
    except http.client.RemoteDisconnected:
        error = "closed the connection without an answer"
    except http.client.HTTPException as failure:
        error = _http_error(failure)
    except ConnectionError:
        error = f"reset the connection ({stream.received} bytes received)"
    except OSError as failure:
        error = tls_error(failure)
    raise NoAnswer(error, "no answer" if status is None else "incomplete", status)


def _final(stream: _Stream) -> http.client.HTTPResponse:
    """The answer with its headers. `http.client` itself skips a 100, and no other interim answer (103 Early Hints).

    It takes the end of the connection, and a line of noise, for the headers' end.
    """
    while True:
        # Of the socket it is given, HTTPResponse uses makefile() only.
        answer = http.client.HTTPResponse(cast("socket.socket", stream), method="GET")
        answer.begin()
        if stream.ended:
            raise http.client.HTTPException("closed the connection within its headers")
        if any(isinstance(defect, email.errors.MissingHeaderBodySeparatorDefect) for defect in answer.msg.defects):
            raise http.client.HTTPException("sent what is not HTTP: a header without a colon")
        if answer.status == http.client.SWITCHING_PROTOCOLS or answer.status >= http.client.OK:
            return answer


def _first_values(answer: http.client.HTTPResponse) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in answer.msg.items():
        values.setdefault(name.lower(), value)
    return values


def _body(answer: http.client.HTTPResponse, stream: _Stream) -> bytes:
    """Up to 5,120 bytes. `http.client` takes the end of the connection for the end of any body."""
    announced = answer.length
    try:
        body = answer.read(BODY_BYTES)
    except (http.client.IncompleteRead, ValueError) as failure:
        ended = "closed the connection within its body"
        invalid = "sent what is not HTTP: a chunk of its body without a length"
        raise http.client.HTTPException(ended if stream.ended else invalid) from failure
    if announced is not None and len(body) < min(announced, BODY_BYTES):
        raise http.client.HTTPException(f"closed the connection after {len(body)} of the {announced} bytes of its body")
    return body


def _http_error(failure: http.client.HTTPException) -> str:
    match failure:
        case http.client.LineTooLong():
            return f"sent {ANSWER_BYTES:,} bytes without an end of a line, its headers or its body"
        case http.client.BadStatusLine() if str(failure.args[0]).startswith(TLS_ALERT):
            return "sent what is not HTTP: a TLS alert (does this port speak HTTPS?)"
        case http.client.BadStatusLine() | http.client.UnknownProtocol():
            return f'sent what is not HTTP: "{printable(str(failure.args[0]).strip(), SHOWN_CHARACTERS)}"'
        case _:
            return str(failure)
