"""The record of a pair in the lock table, whose name is in the environment variable LOCK_TABLE."""

import json
import os
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from aws.calls import CONFIG
from domain.errors import RecordUnavailable
from domain.record import Record
from domain.text import printable

UNCHANGED = "(attribute_not_exists(revision) OR revision = :revision)"


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


def nothing_to_roll_back_to(pair: str, server: str, why: str) -> bool:
    """Writes into the record that a rollback has no server to go back to after a deployment to this server, and why, if
    no execution holds the lock. Without `live`, what an interrupted execution moved does not count either. Returns
    whether it was written. Raises RecordUnavailable."""
    record, client = read_record(pair), dynamodb_client()
    none = json.dumps(record.after_deployment(server, why).to_json())
    try:
        client.update_item(
            TableName=os.environ["LOCK_TABLE"],
            Key={"pair": {"S": pair}},
            UpdateExpression="SET rollbackTo = :none REMOVE live ADD revision :one",
            ConditionExpression=f"attribute_not_exists(execution) AND {UNCHANGED}",
            ExpressionAttributeValues={
                ":none": {"S": none},
                ":one": {"N": "1"},
                ":revision": {"N": record.revision},
            },
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    except (ClientError, BotoCoreError) as error:
        raise RecordUnavailable(f"The pair's record could not be written: {printable(str(error))}") from error
    return True
