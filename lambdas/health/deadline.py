"""What ends a probe early: its own deadline, or a stop from another thread. Both shut the connection down, which ends
every wait. With a timeout for each read, a server that sends a byte a second could hold a probe."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class ProbeStopped(Exception):
    """The probe was stopped and has no result."""


class Stop(threading.Event):
    """Ends loops of probes from another thread: their waits, and the probes in flight."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def set(self) -> None:
        with self._lock:
            super().set()
            for connection in self._connections:
                with contextlib.suppress(OSError):  # it is not connected yet, or no longer
                    connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def ends(self, connection: socket.socket) -> Iterator[None]:
        """Shuts the connection down if the stop is set in the block; a duplicate, since TLS takes the descriptor."""
        with connection.dup() as duplicate:
            with self._lock:
                self._connections.add(duplicate)
            try:
                yield
            finally:
                with self._lock:
                    self._connections.remove(duplicate)


class Deadline(Stop):
    """A stop that sets itself after so many seconds in the block."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def __enter__(self) -> "Deadline":
        self._timer = threading.Timer(self.seconds, self.set)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def __str__(self) -> str:
        return f"{self.seconds:g} s"
