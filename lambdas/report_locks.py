"""Reports to CloudWatch, every five minutes, how long the locks have been held, and which pairs are ready."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.calls import aws_client
from aws.metrics import Metric, emit
from domain.lock import Lock, moment
from domain.pair import Pair, deployed_pairs, rate_of
from domain.record import EMPTY, Record

JUST_NOW, MARGIN = timedelta(minutes=6), timedelta(hours=1)
logger = Logger()


@logger.inject_lambda_context
def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Emits `metrics_of` the locks and `readiness_of` the pairs; returns `{"locks": how many}`. Raises AWS errors."""
    scan, now = aws_client("dynamodb").get_paginator("scan"), datetime.now(UTC)
    pages = scan.paginate(TableName=os.environ["LOCK_TABLE"], ConsistentRead=True)  # so it shows no released lock
    records = {item["pair"]["S"]: Record.from_item(item) for page in pages for item in page["Items"]}
    locks = [record.lock for record in records.values() if record.lock]
    emit([*metrics_of(locks, now), *readiness_of(deployed_pairs(), records, now)])
    return {"locks": len(locks)}


def metrics_of(locks: Iterable[Lock], now: datetime) -> list[Metric]:
    """The age of each lock by its pair, and without dimensions the age of the oldest; 0 if there is no lock."""
    ages = {}
    for lock in locks:
        if since := moment(lock.since):
            ages[lock.pair] = max(0.0, (now - since).total_seconds())
        else:  # the other locks are still reported
            logger.error("The time of a lock cannot be read", extra={"lock": asdict(lock)})
    oldest = Metric("LockAge", MetricUnit.Seconds, (max(ages.values(), default=0.0),))
    return [oldest, *(Metric("LockAge", MetricUnit.Seconds, (age,), ({"pair": pair},)) for pair, age in ages.items())]


def readiness_of(pairs: Mapping[str, Pair], records: Mapping[str, Record], now: datetime) -> Iterator[Metric]:
    """1 for a pair that was just found ready, else 0; without dimensions the lowest. Overdue is 0, unless locked."""
    lowest: list[float] = []
    for name, pair in pairs.items():
        record, schedule = records.get(name, EMPTY), pair.schedule_expression
        result, outcome = record.readiness or {}, record.last_outcome or {}
        if schedule and (checked := moment(result.get("checkedAt"))):
            ready, rate, ended = float(result["ready"]), rate_of(schedule), moment(outcome.get("at")) or checked
            if abs(now - checked) <= JUST_NOW:
                yield Metric("Ready", MetricUnit.Count, (ready,), ({"pair": name},), checked)
            if overdue := bool(rate and not record.lock and now - max(checked, ended) > 2 * rate + MARGIN):
                logger.error("A pair was not evaluated in time", extra={"pair": name, "checkedAt": str(checked)})
            lowest.append(0 if overdue else ready)
    yield Metric("Ready", MetricUnit.Count, tuple(sorted(lowest)[:1]))
