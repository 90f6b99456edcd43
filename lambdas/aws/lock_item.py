"""The item of a pair's lock, for the function that runs commands: the command is written into it before it is sent, so
that whoever finds the lock dead knows what may still run on a server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws.records import dynamodb_client
from domain.command import Command
from domain.errors import LockLost, RecordUnavailable
from domain.record import Record
from domain.text import printable

# The execution holds the lock, and nobody is about to take it over.
HELD = "execution = :me AND attribute_not_exists(commandsOver)"


@dataclass
class LockItem:
    """The item of the lock of `pair`, which the execution of this ARN should hold. Every method raises
    RecordUnavailable, and LockLost if it does not hold the lock, or if its commands are over (`end_commands`)."""

    pair: str
    execution: str
    record: Record = field(default_factory=Record, init=False)
    command: Command | None = field(default=None, init=False)
    runs: bool = field(default=False, init=False)

    def read(self) -> None:
        """Reads the record, and the last command of this execution or of the one whose lock it has taken over. `runs`
        says whether that command may still be running."""
        key: Any = {"Key": {"pair": {"S": self.pair}}, "ConsistentRead": True}
        item = self._call("get_item", "read", **key).get("Item", {})
        if item.get("execution", {}).get("S") != self.execution:
            raise self._lost()
        self.record = Record.from_item(item)
        self.command = Command.from_text(item["command"]["S"]) if "command" in item else None
        self.runs = "commandRuns" in item

    def write(self, command: Command, *, runs: bool, more: Mapping[str, str] | None = None) -> None:
        """Writes a command, and whether it may still be running; and `more` attributes."""
        attributes = {"command": command.to_text(), **(more or {}), **({"commandRuns": "true"} if runs else {})}
        self._update(attributes, remove="" if runs else "commandRuns", condition=HELD)
        self.command, self.runs = command, runs

    def end_commands(self) -> None:
        """From now on, this execution begins no command. A call of it that still runs would fail to `write`."""
        self._update({"commandsOver": "true"}, condition="execution = :me")

    def write_end(self, command: Command) -> None:
        self._update({"command": command.to_text()}, remove="commandRuns", condition="execution = :me")

    def _update(self, attributes: Mapping[str, str], *, condition: str, remove: str = "") -> None:
        assigned = ", ".join(f"{name} = :{name}" for name in attributes)
        values = {f":{name}": {"S": text} for name, text in {**attributes, "me": self.execution}.items()}
        try:
            self._call(
                "update_item",
                "written",
                Key={"pair": {"S": self.pair}},
                UpdateExpression=f"SET {assigned}" + (f" REMOVE {remove}" if remove else ""),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except dynamodb_client().exceptions.ConditionalCheckFailedException as error:
            raise self._lost() from error

    def _call(self, operation: str, what: str, **parameters: Any) -> Any:
        client = dynamodb_client()
        try:
            return getattr(client, operation)(TableName=os.environ["LOCK_TABLE"], **parameters)
        except client.exceptions.ConditionalCheckFailedException:
            raise
        except (ClientError, BotoCoreError) as error:
            raise RecordUnavailable(f"The pair's record could not be {what}: {printable(str(error))}") from error

    def _lost(self) -> LockLost:
        return LockLost(f"The execution does not hold the lock of pair {self.pair} any more, so it runs no command.")
