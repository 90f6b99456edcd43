"""The lock table, LOCK_TABLE: a pair's item is its record, and its lock while one is held. Every read is consistent."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from aws.calls import CONFIG, FAILURES, ONCE
from domain.command import Command
from domain.errors import LockLost, RecordUnavailable
from domain.record import Record
from domain.text import printable

MINE = "execution = :me"
HELD = f"{MINE} AND attribute_not_exists(commandsOver)"  # and nobody is about to take it over


@cache
def dynamodb_client(config: Config = CONFIG) -> Any:
    return boto3.client("dynamodb", config=config)


def read_record(pair: str) -> Record:
    """The record as it is now. Raises RecordUnavailable."""
    return Record.from_item(_read(dynamodb_client(), pair))


@dataclass
class LockItem:
    """The item of the lock of `pair`, which the execution of this ARN should hold. A command is written into it before
    it is sent, so that anyone who finds the lock dead knows what may still run. Every method raises RecordUnavailable,
    and LockLost if it does not hold the lock, or its commands are over."""

    pair: str
    execution: str
    record: Record = field(default_factory=Record, init=False)
    command: Command | None = field(default=None, init=False)  # the last one of this execution
    runs: bool = field(default=False, init=False)  # whether it may still be running
    _text: str | None = field(default=None, init=False)

    def read(self) -> None:
        item = _read(dynamodb_client(ONCE), self.pair)
        if item.get("execution", {}).get("S") != self.execution or "commandsOver" in item:
            raise self._lost()
        self._found(item)

    def write(self, command: Command, *, runs: bool, more: Mapping[str, str] | None = None) -> None:
        """Writes a command, whether it `runs`, and `more` attributes. Raises RecordUnavailable if another call, which
        Step Functions has given up, has begun a command since this one has read the item: this one begins none."""
        attributes = {"command": command.to_text(), **(more or {}), **({"commandRuns": "true"} if runs else {})}
        before = self._text
        unchanged = "command = :before" if before else "attribute_not_exists(command)"
        if self.command and self.command.mark == command.mark:
            unchanged, before = "contains(command, :before)", command.mark
        condition = f"{HELD} AND {unchanged}"
        try:
            self._update(attributes, condition, remove="" if runs else "commandRuns", before=before)
        except LockLost as lost:
            self.read()
            raise RecordUnavailable(f"Another call has begun a command for pair {self.pair}.") from lost
        self.command, self.runs, self._text = command, runs, attributes["command"]

    def end_commands(self) -> None:
        """From now on, this execution begins no command: `write` fails. Reads the item, as `read`."""
        self._found(self._update({"commandsOver": "true"}, MINE)["Attributes"])

    def write_end(self, command: Command | None) -> None:
        """None runs any more."""
        self._update({"command": command.to_text()} if command else {}, MINE, remove="commandRuns")

    def _found(self, item: Any) -> None:
        self.record = Record.from_item(item)
        self._text = item.get("command", {}).get("S")
        self.command = Command.from_text(self._text) if self._text else None
        self.runs = "commandRuns" in item

    def _update(
        self, attributes: Mapping[str, str], condition: str, *, remove: str = "", before: str | None = None
    ) -> Any:
        given = {**attributes, "me": self.execution, **({"before": before} if before else {})}
        assigned = ", ".join(f"{name} = :{name}" for name in attributes)
        parameters = {
            "UpdateExpression": f"{f'SET {assigned}' if assigned else ''} {f'REMOVE {remove}' if remove else ''}",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {f":{name}": {"S": text} for name, text in given.items()},
        }
        client = dynamodb_client(ONCE)  # one try, so that it is known when a command is sent at the latest
        try:
            return _call(client, "update_item", "written", self.pair, ReturnValues="ALL_NEW", **parameters)
        except client.exceptions.ConditionalCheckFailedException as error:
            raise self._lost() from error

    def _lost(self) -> LockLost:
        return LockLost(f"The execution does not hold the lock of pair {self.pair} any more, so it runs no command.")


def _read(client: Any, pair: str) -> Any:
    return _call(client, "get_item", "read", pair, ConsistentRead=True).get("Item", {})


def _call(client: Any, operation: str, what: str, pair: str, **parameters: Any) -> Any:
    try:
        return getattr(client, operation)(TableName=os.environ["LOCK_TABLE"], Key={"pair": {"S": pair}}, **parameters)
    except client.exceptions.ConditionalCheckFailedException:
        raise
    except FAILURES as error:
        raise RecordUnavailable(f"The pair's record could not be {what}: {printable(str(error))}") from error
