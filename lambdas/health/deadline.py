"""What bounds one probe, and how it ends early: a deadline for all of its waits, a stop from outside, and `NoAnswer`.

A timeout for each read is not enough: a server that sends a byte a second would hold a probe for ever. So every wait
(the connection, the TLS handshake, the request, each read) gets only what is left until one deadline. Python keeps such
a timeout for a whole handshake and a whole TLS record too, however their bytes arrive, so no watchdog thread is needed.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Failure = Literal["refused", "unreachable", "tls", "certificate", "no answer", "incomplete"]


@dataclass(frozen=True)
class Deadline:
    """When a probe must be over: `timeout_seconds` after it began, `at` on the monotonic clock."""

    at: float
    timeout_seconds: float

    @staticmethod
    def after(timeout_seconds: float) -> "Deadline":
        return Deadline(time.monotonic() + timeout_seconds, timeout_seconds)

    def left(self) -> float:
        """The seconds until then; 0 would mean "do not wait" to a socket, so it is the timeout's end here."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self.timeout_seconds:g} s"


class ProbeStopped(Exception):
    """The probe was ended by a stop, and has found nothing."""


class Stop:
    """Ends loops of probes from another thread: their waits, and the probes that they have under way."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def set(self) -> None:
        with self._lock:
            self._event.set()
            for connection in self._connections:
                # One that is not connected yet, or no more.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """True at the stop, false after so many seconds without one."""
        return self._event.wait(seconds)

    @contextlib.contextmanager
    def ends(self, connection: socket.socket) -> Iterator[None]:
        """While this lasts, a stop shuts the connection down, which ends whatever waits for it.

        It keeps a duplicate: TLS takes the descriptor of the connection itself away. Raises ProbeStopped after a stop.
        """
        with connection.dup() as same:
            with self._lock:
                if self._event.is_set():
                    raise ProbeStopped
                self._connections.add(same)
            try:
                yield
            finally:
                with self._lock:
                    self._connections.remove(same)


class NoAnswer(Exception):
    """No complete answer came; the message is a short sentence for an operator.

    `failure` is how far it got, `status` the status code that did come, if any.
    """

    def __init__(self, error: str, failure: Failure, status: int | None = None) -> None:
        super().__init__(error)
        self.failure = failure
        self.status = status


def in_words(failure: OSError) -> str:
    """What the operating system says: "connection refused"."""
    return (failure.strerror or str(failure)).lower()
