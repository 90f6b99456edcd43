"""The lock table in moto, for the code under test and for what a test puts into it. Within `mock_aws`."""

import json
from typing import Any

import boto3

from aws import calls


class LockTable:
    def __init__(self, name: str = "Locks") -> None:
        calls.aws_client.cache_clear()
        self.name, self.client = name, boto3.client("dynamodb")
        if name in self.client.list_tables()["TableNames"]:  # of an earlier test, if a test of a workflow ran before it
            self.client.delete_table(TableName=name)
        key: Any = {"AttributeName": "pair"}
        self.client.create_table(
            TableName=name,
            KeySchema=[key | {"KeyType": "HASH"}],
            AttributeDefinitions=[key | {"AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, **attributes: Any) -> None:
        """Puts an item: integers are numbers, texts are texts, and everything else is the text of its JSON."""
        item: dict[str, Any] = {}
        for key, value in attributes.items():
            text = value if isinstance(value, str) else json.dumps(value)
            item[key] = {"N": text} if isinstance(value, int) else {"S": text}
        self.client.put_item(TableName=self.name, Item=item)

    def clear(self) -> None:
        for item in self.client.scan(TableName=self.name)["Items"]:
            self.client.delete_item(TableName=self.name, Key={"pair": item["pair"]})
