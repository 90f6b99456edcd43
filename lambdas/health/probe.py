"""One probe: a new connection to an IP address and one GET, or with TCP only the connection."""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from domain.text import printable
from health.deadline import Deadline, ProbeStopped, Stop
from health.http_response import read_response
from health.result import NoResponse, Probe, in_words
from health.tls import certificates_of, client_context, secured

Protocol = Literal["HTTP", "HTTPS", "TCP"]
ERROR_CHARACTERS = 240
DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}


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
            return read_response(connection, request_bytes(target), deadline)
        with secured(connection, context, target.tls_name, deadline) as encrypted:
            certificates = certificates_of(encrypted)
            answer = read_response(encrypted, request_bytes(target), deadline) if target.path else Probe(None)
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
