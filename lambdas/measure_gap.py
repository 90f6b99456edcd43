"""MeasureGap: measures the gap, which is how long users got no good answer from the production address while it moved,
from outside. A request is sent every 50 ms on a new connection, without waiting for the others, for up to 10 s. So one
slow request is not a gap. The function is called asynchronously: no cutover waits for it or fails with it. It saves the
gap in the item of the lock, where ReleaseLock reads it."""

import os
import threading
import time
from collections.abc import Callable, Sequence
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

Result = tuple[Finding, float, datetime]  # of a request; and when it ended, in monotonic time and by the calendar

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


def measured(check: Check, new_server: Answered, save: Callable[[Json], bool], *, seconds: float) -> Json:
    """Sends requests until `save` returns False, or for so many seconds; returns the gap that was saved last. It saves
    once a second, and as soon as the new server has answered."""
    began = saved_at = time.monotonic()
    results, stop, known = list[Result](), Stop(), None
    sending = threading.Thread(target=_send_requests, args=(check, results, stop), name="gap", daemon=True)
    sending.start()
    try:
        while True:
            stop.wait(max(min(INTERVAL_SECONDS, began + seconds - time.monotonic()), 0))
            now = time.monotonic()
            gap, is_over = gap_of([*results], new_server, began=began, now=now), now - began >= seconds
            if is_over or now - saved_at >= SAVE_INTERVAL_SECONDS or gap["newServerAt"] != known:
                saved_at, known = now, gap["newServerAt"]
                if not save(gap) or is_over:
                    return gap
    finally:
        stop.set()
        sending.join()


def _send_requests(check: Check, results: list[Result], stop: Stop) -> None:
    probe = prober([check])
    free = threading.BoundedSemaphore(MAX_IN_FLIGHT)

    def send() -> None:
        try:
            results.append((judge(check, probe(check, stop), 0), time.monotonic(), datetime.now(UTC)))
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


def gap_of(results: Sequence[Result], new_server: Answered, *, began: float, now: float) -> Json:
    """What was measured until `now`. `longestMs` is the longest time without a good answer, also before the first and
    since the last. `newServerAt` is when the new server's first answer was complete; None if none is known."""
    good_at = [ended for finding, ended, _ in results if finding.is_good]
    good_answers = pairwise(accumulate([began, *good_at, now], max))  # they may come in any order
    former_release, new_server_at = None, None
    for finding, _, at in results:
        former_release = former_release or (finding.answered.release if finding.is_good else None)
        if new_server_at is None and _is_new(finding.answered, new_server, former_release):
            new_server_at = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "requests": len(results),
        "failed": len(results) - len(good_at),
        "longestMs": round(max(after - before for before, after in good_answers) * 1000),
        "newServerAt": new_server_at,
        "seconds": round(now - began, 1),
    }


def _is_new(answered: Answered, new_server: Answered, former_release: str | None) -> bool:
    identity, release = new_server.identity, new_server.release
    if identity is not None:  # it belongs to one server, but both servers may have the same release
        return answered.identity == identity
    return release == answered.release and release is not None and former_release not in (None, release)
