"""The Task state MeasureGap: asks the production address without pause while the addresses change.

Called asynchronously, so that no cutover waits for it or fails with it. What it finds it keeps in the item of the
pair's lock, once a second, and at once when the new server has answered: the state ReleaseLock reads it there. It ends
when the lock is another's or gone, and after 10 s in any case, or with the save that is under way then.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from json import dumps
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from health.check import Check, checks_of
from health.deadline import ProbeStopped, Stop
from health.gap import INTERVAL_SECONDS, Gap, GapRecord
from health.probe import probe
from health.tls import client_context
from health.verdict import judge

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LONGEST_SECONDS = 10.0
SAVED_EVERY_SECONDS = 1.0
AT_ONCE = 40  # requests that wait for their answer; while there are as many, none is sent

logger = Logger()
dynamodb = boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard"}))

Save = Callable[[Gap], bool]


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Measures through the first of the pair's health checks, and returns what it measured last (`Gap.to_json`).

    Event: that of a health check of production, and `lock`, `{"pair", "execution"}`, and `newServer`, what staging
    answered, `{"identity", "release"}`; or `dryRun`, for which nothing is measured.
    """
    if event.get("dryRun"):
        return {}
    check, lock = checks_of(event)[0], event["lock"]
    gap = measured(check, event["newServer"], lambda gap: saved(gap, lock), seconds=LONGEST_SECONDS)
    logger.info("gap measured", extra=gap.to_json())
    return gap.to_json()


def saved(gap: Gap, lock: Mapping[str, str]) -> bool:
    """Keeps it with the lock; False if the lock is another's by now, or released."""
    try:
        dynamodb.update_item(
            TableName=os.environ["LOCK_TABLE"],
            Key={"pair": {"S": lock["pair"]}},
            UpdateExpression="SET gap = :gap",
            ConditionExpression="execution = :me",
            ExpressionAttributeValues={":gap": {"S": dumps(gap.to_json())}, ":me": {"S": lock["execution"]}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def measured(check: Check, new_server: Mapping[str, Any], save: Save, *, seconds: float) -> Gap:
    """Asks until `save` returns False, or for so many seconds; the gap that was given to it last."""
    began = time.monotonic()
    record, stop = GapRecord(began=began, new=new_server), Stop()
    asking = threading.Thread(target=_ask_on, args=(check, record, stop), name="asking", daemon=True)
    asking.start()
    try:
        while True:
            record.news.wait(max(min(SAVED_EVERY_SECONDS, began + seconds - time.monotonic()), 0))
            record.news.clear()
            gap = record.until(time.monotonic())
            if not save(gap) or gap.seconds >= seconds:
                return gap
    finally:
        stop.set()
        asking.join()


def _ask_on(check: Check, record: GapRecord, stop: Stop) -> None:
    """A request at every interval, whatever became of those before it."""
    verified = check.request.verify_certificate
    context = client_context(verified=verified) if check.request.protocol == "HTTPS" else None
    free = threading.BoundedSemaphore(AT_ONCE)

    def ask() -> None:
        try:
            found = judge(check, probe(check.request, context, stop), 0)
            record.add(found, time.monotonic(), datetime.now(UTC))
        except ProbeStopped:
            return  # nobody knows what would have become of it
        finally:
            free.release()

    with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        due = time.monotonic()
        while not stop.wait(max(due - time.monotonic(), 0)):
            if free.acquire(blocking=False):
                threads.submit(ask)
            due += INTERVAL_SECONDS
