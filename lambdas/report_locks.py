"""Tells CloudWatch, every few minutes, how long the locks have been held: a lock held for too long blocks its pair.

A lock is an item of the lock table: `pair`, `execution`, `since` (ISO 8601), `server`, and maybe `gap`.
"""

import functools
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from aws.metrics import Metric, emit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@functools.cache
def dynamodb_client() -> Any:
    """A client whose slowest call ends within some 25 s: 3 attempts of at most 2 + 5 s."""
    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )


@logger.inject_lambda_context
def handler(_event: Mapping[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Emits the age of every lock, and of the oldest, in seconds; returns `{"locks": how many}`.

    The table is the one that the environment names, LOCK_TABLE. Raises what DynamoDB answers: the next look is near.
    """
    locks = held_locks(dynamodb_client(), os.environ["LOCK_TABLE"])
    emit(metrics_of(locks, datetime.now(UTC)))
    return {"locks": len(locks)}


def held_locks(dynamodb: Any, table: str) -> list[dict[str, str]]:
    """All locks, as they are now: a lock that was released is not read any more."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return [{key: str(value.get("S")) for key, value in item.items()} for page in pages for item in page["Items"]]


def metrics_of(locks: Iterable[Mapping[str, str]], now: datetime) -> list[Metric]:
    """The age of each lock by its pair, and without dimensions that of the oldest, 0 if there is none."""
    ages = {}
    for lock in locks:
        try:
            ages[lock["pair"]] = max(0.0, (now - datetime.fromisoformat(lock["since"])).total_seconds())
        except (KeyError, TypeError, ValueError):
            # The others count all the same.
            logger.exception("A lock that cannot be read", extra={"lock": dict(lock)})
    oldest = Metric("LockAge", MetricUnit.Seconds, (max(ages.values(), default=0.0),))
    return [oldest, *(Metric("LockAge", MetricUnit.Seconds, (age,), ({"pair": pair},)) for pair, age in ages.items())]
