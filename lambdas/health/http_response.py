"""Sends a request and reads the response with `http.client`, up to 64 KiB of it."""

import http.client
import io
import re
import socket
import ssl
from email.errors import MissingHeaderBodySeparatorDefect
from typing import Any, cast

from health.deadline import Deadline
from health.result import NoResponse, Probe, quoted
from health.tls import tls_error

# Route 53 searches "the first 5,120 bytes of the response body" (dns-failover-determining-health-of-endpoints.html).
BODY_BYTES = 5_120
RESPONSE_BYTES = 65_536
# The protocol of a first line that is not HTTP, by how the line begins: a TLS alert record; length, type, flags and
# stream of an HTTP/2 SETTINGS frame; a greeting. The line itself is not shown, because it may contain a secret.
PROTOCOLS = {
    "\x15\x03": "HTTPS", r".{3}\x04\0{5}": "only HTTP/2", "SSH-": "SSH", "220[ -]": "SMTP or FTP", "[+]OK": "POP3",
    "[*] OK": "IMAP", "-ERR": "Redis", "RTSP/": "RTSP", r".\0{3}\n": "MySQL",
}  # fmt: skip


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


def read_response(connection: socket.socket, request: bytes, deadline: Deadline) -> Probe:
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
