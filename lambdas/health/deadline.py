"""What ends a probe early: its own deadline, or a stop from another thread. Either one shuts the connection down.

A timeout for each read is not enough, because a server that sends a byte a second would hold a probe forever. Shutting
the connection down ends every wait: for the connection, the TLS handshake, the request and the response.
"""

import contextlib
import functools
import sched
import socket
import threading
import time
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
                with contextlib.suppress(OSError):  # it is not connected yet, or not any more
                    connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def ends(self, connection: socket.socket) -> Iterator[None]:
        """Shuts the connection down if it is set during the block.

        It keeps a duplicate of the socket, because TLS takes the original's file descriptor away.
        """
        with connection.dup() as duplicate:
            with self._lock:
                self._connections.add(duplicate)
            try:
                yield
            finally:
                with self._lock:
                    self._connections.remove(duplicate)


class Deadline(Stop):
    """A stop that sets itself when the block has lasted so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def __enter__(self) -> "Deadline":
        self._timer = _timers.enter(self.seconds, 0, self.set)
        _timers_changed.set()
        _start_timers()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ValueError):  # it was set
            _timers.cancel(self._timer)

    def __str__(self) -> str:
        return f"{self.seconds:g} s"


# One thread for the deadlines of all probes costs less than a `threading.Timer` each.
_timers = sched.scheduler(time.monotonic)
_timers_changed = threading.Event()


@functools.cache
def _start_timers() -> None:
    threading.Thread(target=_run_timers, name="deadlines", daemon=True).start()


def _run_timers() -> None:
    while True:
        _timers_changed.wait(_timers.run(blocking=False))
        _timers_changed.clear()
