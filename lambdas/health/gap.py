"""The gap: how long users got no good answer from the production address while it moved, measured from outside. A
request is sent every 50 ms on a new connection, without waiting for the others. So one slow request is not a gap."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any

from health.check import Answered, Check
from health.deadline import ProbeStopped, Stop
from health.probe import prober
from health.verdict import Finding, judge

INTERVAL_SECONDS, SAVE_INTERVAL_SECONDS = 0.05, 1.0
MAX_IN_FLIGHT = 40  # requests that wait for their response; no more are sent meanwhile

Gap = dict[str, Any]


class GapRecord:
    """The results of all requests, from several threads, in monotonic time. `news`: the new server has answered."""

    def __init__(self, *, began: float, new_server: Answered) -> None:
        self._good_at, self._new_server = [began], new_server
        self._former_release: str | None = None
        self._requests = 0
        self._new_server_at: datetime | None = None
        self._lock = threading.Lock()
        self.news = threading.Event()

    def add(self, finding: Finding, ended: float, at: datetime) -> None:
        """`at` is when the request ended, by the calendar."""
        with self._lock:
            self._requests += 1
            if finding.is_good:
                self._former_release = self._former_release or finding.answered.release
                self._good_at.append(ended)
            if self._new_server_at is None and self._is_new(finding.answered):
                self._new_server_at = at
                self.news.set()

    def _is_new(self, answered: Answered) -> bool:
        identity, release = self._new_server.identity, self._new_server.release
        if identity is not None:  # it belongs to one server, but both servers may have the same release
            return answered.identity == identity
        return release == answered.release and release is not None and self._former_release not in (None, release)

    def until(self, now: float) -> Gap:
        """What was measured so far. `longestMs` is the longest time without a good answer, also before the first and
        since the last. `newServerAt` is when the new server's first answer was complete; None if none is known."""
        with self._lock:
            at, began, good = self._new_server_at, self._good_at[0], len(self._good_at) - 1
            good_answers = pairwise(accumulate([*self._good_at, now], max))  # they may come in any order
            return {
                "requests": self._requests,
                "failed": self._requests - good,
                "longestMs": round(max(after - before for before, after in good_answers) * 1000),
                "newServerAt": at and at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "seconds": round(now - began, 1),
            }


def measured(check: Check, new_server: Answered, save: Callable[[Gap], bool], *, seconds: float) -> Gap:
    """Sends requests until `save` returns False, or for so many seconds; returns the gap that was saved last. It saves
    once a second, and as soon as the new server has answered."""
    began = time.monotonic()
    record, stop = GapRecord(began=began, new_server=new_server), Stop()
    sending = threading.Thread(target=_send_requests, args=(check, record, stop), name="gap", daemon=True)
    sending.start()
    try:
        while True:
            record.news.wait(max(min(SAVE_INTERVAL_SECONDS, began + seconds - time.monotonic()), 0))
            record.news.clear()
            now = time.monotonic()
            gap = record.until(now)
            if not save(gap) or now - began >= seconds:
                return gap
    finally:
        stop.set()
        sending.join()


def _send_requests(check: Check, record: GapRecord, stop: Stop) -> None:
    probe = prober([check])
    free = threading.BoundedSemaphore(MAX_IN_FLIGHT)

    def send() -> None:
        try:
            record.add(judge(check, probe(check, stop), 0), time.monotonic(), datetime.now(UTC))
        except ProbeStopped:
            return  # its result is unknown
        finally:
            free.release()

    with ThreadPoolExecutor(max_workers=MAX_IN_FLIGHT) as threads:
        due = time.monotonic()
        while not stop.wait(max(due - time.monotonic(), 0)):
            if free.acquire(blocking=False):
                threads.submit(send)
            due += INTERVAL_SECONDS
