"""Asks over a connection, and reads one HTTP answer until a deadline and not beyond its first 64 KiB."""

import http.client
import io
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from domain.text import printable
from health.deadline import Deadline, Failure, NoAnswer
from health.tls import tls_error

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# As much as Route 53 searches: "the string must appear entirely within the first 5,120 bytes of the response body".
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
BODY_BYTES = 5_120
ANSWER_BYTES = 65_536
SHOWN_CHARACTERS = 40
TLS_ALERT = "\x15\x03"
# RFC 9112: a code has three digits, the name of a header is a token before its colon, and no line has a bare CR.
STATUS_LINE = re.compile(rb"HTTP/\d\.\d +\d{3}( [^\r\n]*)?\r?\n")
HEADER_LINE = re.compile(rb"([\w!#$%&'*+.^`|~-]+:|[ \t])[^\r\n]*\r?\n", re.ASCII)
CONTENT_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
# RFC 9113: type, flags and stream of the SETTINGS with which a server begins, after their length.
HTTP_2_SETTINGS = b"\x04\x00\x00\x00\x00\x00"


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
        self.reader = _Reader(self)
        self.received = 0
        self.beginning = b""
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self.received >= ANSWER_BYTES:
            raise http.client.LineTooLong("answer")
        self._connection.settimeout(self._deadline.left())
        count = self._connection.recv_into(buffer)
        self.received += count
        if len(self.beginning) < 3 + len(HTTP_2_SETTINGS):
            self.beginning += bytes(memoryview(buffer)[:count])
        self.ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self.reader


class _Reader(io.BufferedReader):
    """Buffers what belongs to the next answer too, so an interim one that is thrown away must not close it.

    `lines` has the lines of the answer that is read, as they came.
    """

    def __init__(self, stream: io.RawIOBase) -> None:
        super().__init__(stream)
        self.lines: list[bytes] = []

    def readline(self, size: int | None = -1, /) -> bytes:
        self.lines.append(super().readline(size))
        return self.lines[-1]

    def close(self) -> None:
        pass


def answered(connection: socket.socket, request: bytes, deadline: Deadline) -> Answer:
    """What is answered to a GET; raises NoAnswer where no complete answer comes in time."""
    stream = _Stream(connection, deadline)
    status = None
    kind: Failure | None = None
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
        kind = "tls" if isinstance(failure, ssl.SSLError) and status is None else None
    if stream.beginning[3:].startswith(HTTP_2_SETTINGS):
        error = "answers in HTTP/2 only, and the probe speaks HTTP/1.1"
    raise NoAnswer(error, kind or ("no answer" if status is None else "incomplete"), status)


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
        _refuse_lines(stream.reader.lines)
        stream.reader.lines.clear()  # or a server that sends interim answers without end would have us read them again
        _refuse_lengths(answer)
        if answer.status == http.client.SWITCHING_PROTOCOLS or answer.status >= http.client.OK:
            return answer


def _refuse_lines(lines: list[bytes]) -> None:
    """Raises HTTPException for a line that `http.client` takes for the headers' end, or for another than it is."""
    begins = True
    for line in lines:
        if line.strip(b"\r\n") == b"" and not begins:
            begins = True
            continue
        if not (STATUS_LINE if begins else HEADER_LINE).fullmatch(line):
            raise http.client.HTTPException(f"sent what is not HTTP: {_line_shown(line, is_status=begins)}")
        begins = False


def _line_shown(line: bytes, *, is_status: bool) -> str:
    text = line.decode("latin-1").strip()
    shown = f'"{printable(text, SHOWN_CHARACTERS)}"'
    if "\r" in text:
        return f"a bare CR in the line {shown}"
    return shown if is_status else f"the line {shown} among its headers"


def _refuse_lengths(answer: http.client.HTTPResponse) -> None:
    """Raises HTTPException for lengths of which nobody knows which counts, and for one that is none."""
    said = ", ".join(answer.msg.get_all("Content-Length", []))
    values = {value.strip() for value in said.split(",")} if said else set()
    if len(values) > 1 or not all(CONTENT_LENGTH.fullmatch(value) for value in values):
        shown = printable(said, SHOWN_CHARACTERS)
        raise http.client.HTTPException(f'sent what is not HTTP: its Content-Length is "{shown}"')


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
        case _ if str(failure).startswith("got more than"):  # of `http.client`, which reads no more
            return "sent more than 100 headers, and the probe reads no more"
        case _:
            return str(failure)
