"""Reports to CloudWatch, every few minutes, how long the locks have been held: a lock held too long blocks its pair."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from aws.records import dynamodb_client
from domain.lock import Lock

logger = Logger()


@logger.inject_lambda_context
def handler(_event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Emits the age of every lock, and of the oldest, in seconds; returns `{"locks": how many}`. The environment
    variable LOCK_TABLE names the table. An error of DynamoDB is raised: the next call comes soon."""
    locks = held_locks(dynamodb_client(), os.environ["LOCK_TABLE"])
    emit(metrics_of(locks, datetime.now(UTC)))
    return {"locks": len(locks)}


def held_locks(dynamodb: Any, table: str) -> list[Lock]:
    """All locks as they are now. The read is consistent, so it shows no released lock. Other items are only records."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [Lock.from_item(item) for page in pages for item in page["Items"] if "execution" in item]


def metrics_of(locks: Iterable[Lock], now: datetime) -> list[Metric]:
    """The age of each lock by its pair, and without dimensions the age of the oldest; 0 if there is no lock."""
    ages = {}
    for lock in locks:
        if lock.held_since:
            ages[lock.pair] = max(0.0, (now - lock.held_since).total_seconds())
        else:  # the other locks are still reported
            logger.error("The time of a lock cannot be read", extra={"lock": asdict(lock)})
    oldest = Metric("LockAge", MetricUnit.Seconds, (max(ages.values(), default=0.0),))
    return [oldest, *(Metric("LockAge", MetricUnit.Seconds, (age,), ({"pair": pair},)) for pair, age in ages.items())]
