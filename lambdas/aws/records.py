"""The record of a pair in the lock table, whose name is in the environment variable LOCK_TABLE."""

import os
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from aws.calls import CONFIG
from domain.errors import RecordUnavailable
from domain.record import Record
from domain.text import printable


@cache
def dynamodb_client() -> Any:
    return boto3.client("dynamodb", config=CONFIG)


def read_record(pair: str) -> Record:
    """The record as it is now: the read is consistent. Raises RecordUnavailable."""
    of_pair: Any = {"Key": {"pair": {"S": pair}}, "ConsistentRead": True}
    try:
        answer = dynamodb_client().get_item(TableName=os.environ["LOCK_TABLE"], **of_pair)
    except (ClientError, BotoCoreError) as error:
        raise RecordUnavailable(f"The pair's record could not be read: {printable(str(error))}") from error
    return Record.from_item(answer.get("Item", {}))
