"""MeasureGap: measures the gap, which is how long users got no good answer from the production address while it moved,
from outside. A request is sent every 50 ms on a new connection, without waiting for the others, for up to 10 s. So one
slow request is not a gap. The function is called asynchronously: no cutover waits for it or fails with it. It saves the
gap in the item of the lock, where ReleaseLock reads it."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from json import dumps
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from domain.events import read
from domain.pair import Json
from health.check import Answered, Check, CheckEvent, checks_of
from health.deadline import ProbeStopped, Stop
from health.probe import prober
from health.verdict import Finding, judge

LONGEST_SECONDS = 10.0
INTERVAL_SECONDS, SAVE_INTERVAL_SECONDS = 0.05, 1.0
MAX_IN_FLIGHT = 40  # requests that wait for their response; no more are sent meanwhile

logger = Logger()
dynamodb = boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard"}))


@dataclass(frozen=True, kw_only=True)
class MeasureGapEvent(CheckEvent):
    """`lock` is `{"pair", "execution"}`: its key, and who must hold it. `new_server` is what staging answered."""

    lock: dict[str, str]
    new_server: Answered


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, client: Any = dynamodb, seconds: float = LONGEST_SECONDS) -> Json:
    """Measures for `seconds`, while it holds the lock, by the first check. Returns the last gap; `{}` for `dryRun`."""
    if "dryRun" in event:
        return {}  # it only warms the function
    asked, table = read(MeasureGapEvent, event), os.environ["LOCK_TABLE"]

    def save(gap: Json) -> bool:
        try:
            client.update_item(
                TableName=table,
                Key={"pair": {"S": asked.lock["pair"]}},
                UpdateExpression="SET gap = :gap",
                ConditionExpression="execution = :me",
                ExpressionAttributeValues={":gap": {"S": dumps(gap)}, ":me": {"S": asked.lock["execution"]}},
            )
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    gap = measured(checks_of(asked)[0], asked.new_server, save, seconds=seconds)
    logger.info("gap measured", extra=gap)
    return gap


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

    def until(self, now: float) -> Json:
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


def measured(check: Check, new_server: Answered, save: Callable[[Json], bool], *, seconds: float) -> Json:
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
