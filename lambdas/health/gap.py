"""The gap: what users met at the production address while the addresses changed. Pure, and measured from outside.

A request is sent every 50 ms, on a new connection, and none waits for the one before it: an address that answers nobody
for a second is seen so, and not as one slow request.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from health.verdict import Finding

INTERVAL_SECONDS = 0.05


@dataclass(frozen=True)
class Gap:
    """What was measured so far.

    `longest_ms` is the longest time without a good answer, in milliseconds: from one to the next, from the beginning to
    the first, and from the last until now. Where nothing went wrong it is the interval of the requests.
    `new_server_at` is when the new server's first answer was complete; None before, and where nothing tells the two
    servers apart.
    """

    requests: int
    failed: int
    longest_ms: int
    new_server_at: datetime | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The shape that an outcome reports."""
        at = self.new_server_at
        return {
            "requests": self.requests,
            "failed": self.failed,
            "longestMs": self.longest_ms,
            "newServerAt": at and at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "seconds": round(self.seconds, 1),
        }


class GapRecord:
    """Keeps what every request came to. `began` is on the monotonic clock, as all times are; threads may share it.

    `new` is what the new server answered before the cutover, its `identity` and `release`. `news` is set when it has
    answered through the production address.
    """

    def __init__(self, *, began: float, new: Mapping[str, Any]) -> None:
        self._began = self._last_good = began
        self._identity: str | None = new.get("identity")
        self._release: str | None = new.get("release")
        self._former_release: str | None = None
        self._requests = self._failed = 0
        self._longest = 0.0
        self._new_server_at: datetime | None = None
        self._lock = threading.Lock()
        self.news = threading.Event()

    def add(self, found: Finding, ended: float, at: datetime) -> None:
        """A request that ended then, by the monotonic clock and the calendar, and what it found."""
        with self._lock:
            self._requests += 1
            if found.problem is None:
                self._former_release = self._former_release or found.release
                self._longest = max(self._longest, ended - self._last_good)
                self._last_good = max(self._last_good, ended)
            else:
                self._failed += 1
            if self._new_server_at is None and self._is_new(found):
                self._new_server_at = at
                self.news.set()

    def _is_new(self, found: Finding) -> bool:
        """An identity is one server's alone; a release may be on both."""
        if self._identity is not None:
            return found.identity == self._identity
        told_apart = self._release is not None and self._former_release not in (None, self._release)
        return told_apart and found.release == self._release

    def until(self, now: float) -> Gap:
        with self._lock:
            longest = max(self._longest, now - self._last_good)
            return Gap(self._requests, self._failed, round(longest * 1000), self._new_server_at, now - self._began)
