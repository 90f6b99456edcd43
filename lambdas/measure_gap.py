"""MeasureGap: sends requests to the production address while the addresses move, for up to 10 s. Called asynchronously:
no cutover waits for it or fails with it. It saves the gap in the item of the lock, where ReleaseLock reads it."""

import os
from dataclasses import dataclass
from json import dumps
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from domain.events import read
from domain.pair import Json
from health.check import Answered, CheckEvent, checks_of
from health.gap import Gap, measured

LONGEST_SECONDS = 10.0

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

    def save(gap: Gap) -> bool:
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
