"""The sockets of probes: they reach the server that holds an address when the connection is made."""

import errno
import os
from dataclasses import dataclass, field
from typing import Any, Self

from tests.simulation.fates import Call
from tests.simulation.seams.present import present
from tests.simulation.seams.threads import Event

PATIENCE = 1.0  # a slow answer takes up to so many seconds; the probe's own deadline may be earlier


@dataclass
class _Connection:
    """What a socket and its duplicates share. `response` is None until one has come."""

    ip: str = ""
    holder: str | None = None
    request: bytes = b""
    response: bytes | None = None
    is_shut: bool = False
    is_asked: bool = False
    change: Event = field(default_factory=Event)


class Socket:
    """As `socket.socket`, as far as a probe without TLS uses it."""

    def __init__(self, connection: _Connection | None = None) -> None:
        self._connection = connection or _Connection()
        self._timeout: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def dup(self) -> "Socket":
        return Socket(self._connection)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def shutdown(self, _how: int) -> None:
        self._connection.is_shut = True
        self._connection.change.set()

    def connect(self, address: tuple[str, int]) -> None:
        """If no running server holds the address, nothing answers until the time is over."""
        connection = self._connection
        connection.ip, _ = address
        connection.holder = present().web.holder(connection.ip)
        if connection.holder is None and not connection.is_shut:
            connection.change.wait(self._timeout)
            if not connection.is_shut:
                raise TimeoutError("timed out")
        if connection.is_shut:
            raise OSError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))

    def sendall(self, request: bytes) -> None:
        self._connection.request += request

    def recv_into(self, buffer: Any) -> int:
        """As much as there is of the response; 0 at its end, and if the connection was shut down."""
        connection = self._connection
        if not connection.is_asked:
            connection.is_asked = True
            self._ask(connection)
        if connection.response is None and not connection.is_shut:
            connection.change.wait()
        part = (connection.response or b"")[: len(buffer)]
        buffer[: len(part)] = part
        connection.response = (connection.response or b"")[len(part) :]
        return len(part)

    @staticmethod
    def _ask(connection: _Connection) -> None:
        outside = present()
        scheduler, web, holder = outside.scheduler, outside.web, connection.holder
        assert holder is not None
        group = scheduler.current.group
        probe = Call(group.path, "web", "GET", group.number("web GET"), "probe", PATIENCE)
        fate = scheduler.schedule.fate(probe)
        scheduler.note(probe.key, fate.kind)
        if fate.effect is None or fate.answer is None:
            return
        answer = fate.answer

        def arrive() -> None:
            response = web.response(connection.ip, connection.request, holder)
            scheduler.at(answer + web.delay(holder), lambda: come(response or b""))

        def come(response: bytes) -> None:
            connection.response = response
            connection.change.set()

        scheduler.at(fate.effect, arrive)
