"""The lock table, LOCK_TABLE: a pair's item is its record, and its lock while one is held. Every read is consistent."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger

from aws.calls import FAILURES, HURRIED, ONCE, Sleep, Wait, aws_client, read_error
from domain.errors import LockLost, RecordUnavailable, RollbackRequested
from domain.record import Record
from domain.release_commands import Command
from domain.text import printable

MINE = "execution = :me"
HELD = f"{MINE} AND attribute_not_exists(commandsOver)"  # and nobody is about to take it over
READS_APART_SECONDS = 1.0  # users wait for it; a bake of a day reads the item 86,400 times, for 1 cent (on demand)

logger = Logger(child=True)


def read_record(pair: str) -> Record:
    """The record as it is now. Raises RecordUnavailable."""
    return Record.from_item(_read(aws_client("dynamodb"), pair))


@dataclass
class LockItem:
    """The item of the lock of `pair`, which this `execution` should hold. A command is in it before it is sent: who
    finds the lock dead knows what may run. Methods raise RecordUnavailable, and LockLost, also when `commandsOver`."""

    pair: str
    execution: str
    record: Record = field(default_factory=Record, init=False)
    command: Command | None = field(default=None, init=False)  # the last one of this execution
    runs: bool = field(default=False, init=False)  # whether it may still be running
    _text: str | None = field(default=None, init=False)

    def read(self) -> None:
        item = _read(aws_client("dynamodb", ONCE), self.pair)
        if item.get("execution", {}).get("S") != self.execution or "commandsOver" in item:
            raise _lost(self.pair)
        self._found(item)

    def write(self, command: Command, *, runs: bool, more: Mapping[str, str] | None = None) -> None:
        """Writes a command, whether it `runs`, and `more` attributes. Raises RecordUnavailable if another call, which
        Step Functions has given up, has begun a command since this one has read the item: this one begins none."""
        attributes = {"command": command.to_text(), **(more or {}), **({"commandRuns": "true"} if runs else {})}
        before = self.command.mark if self.command else self._text
        unchanged = "contains(command, :before)" if before else "attribute_not_exists(command)"
        try:
            self._update(attributes, f"{HELD} AND {unchanged}", remove="" if runs else "commandRuns", before=before)
        except LockLost as lost:
            self.read()
            raise RecordUnavailable(f"Another call has begun a command for pair {self.pair}.") from lost
        self.command, self.runs = command, runs

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

    def _update(self, values: Mapping[str, str], condition: str, *, remove: str = "", before: str | None = None) -> Any:
        given = {**values, "me": self.execution, **({"before": before} if before else {})}
        assigned = ", ".join(f"{name} = :{name}" for name in values)
        parameters = {
            "UpdateExpression": f"{f'SET {assigned}' if assigned else ''} {f'REMOVE {remove}' if remove else ''}",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {f":{name}": {"S": text} for name, text in given.items()},
        }
        client = aws_client("dynamodb", ONCE)  # one try, so that it is known when a command is sent at the latest
        return _call(client, "update_item", "written", self.pair, ReturnValues="ALL_NEW", **parameters)


class RollbackRequest:
    """Has another execution asked that of `lock`, `{"pair", "execution"}`, to roll back, by its ARN in the item? If the
    item cannot be read, it goes on. Without a lock, or the table (`LOCK_TABLE`), as in a VPC, nobody can ask."""

    def __init__(self, lock: dict[str, str] | None, client: Any = None) -> None:
        self._lock, self._client = lock, client

    def refuse(self) -> None:
        """Raises RollbackRequested if the execution still holds the lock and was asked to roll back."""
        self._holds_lock(refuses=True)

    def refuse_change(self, *, first_try: bool, refuses: bool = False) -> None:
        """LockLost if the execution does not hold the lock any more: a function may start 10 s late, when another try
        has succeeded and its execution has rolled back and ended. A first try must know that (RecordUnavailable), since
        a later one follows it; and if it `refuses`, does what `refuse` does."""
        if self._lock and not self._holds_lock(refuses=first_try and refuses, must_know=first_try):
            raise _lost(self._lock["pair"])

    def _holds_lock(self, *, refuses: bool, must_know: bool = False) -> bool:
        """Whether it does, as far as is known. If it `refuses`, raises RollbackRequested."""
        if self._lock is None or "LOCK_TABLE" not in os.environ:
            return True
        try:
            # A change must not wait, and a loop reads again.
            item = _read(self._client or aws_client("dynamodb", HURRIED), self._lock["pair"])
        except RecordUnavailable as problem:
            if must_know:
                raise
            logger.warning(str(problem))
            return True
        holds = bool(item.get("execution", {}).get("S") == self._lock["execution"])
        asked_by = item.get("rollbackRequestedBy")
        if refuses and holds and asked_by:
            raise RollbackRequested(f"The execution {printable(asked_by['S'])} asked for a rollback.")
        return holds

    def listen(self, wait: Wait) -> None:
        """Asks at once and then every second, until `wait` is true."""
        self.refuse()
        while not wait(READS_APART_SECONDS):
            self.refuse()

    def sleep(self, seconds: float, sleep: Sleep) -> None:
        """Sleeps, and asks before that and every second."""
        while seconds > 0:
            self.refuse()
            sleep(min(seconds, READS_APART_SECONDS))
            seconds -= READS_APART_SECONDS


def _read(client: Any, pair: str) -> Any:
    return _call(client, "get_item", "read", pair, ConsistentRead=True).get("Item", {})


def _lost(pair: str) -> LockLost:
    return LockLost(f"The execution does not hold the lock of pair {pair} any more, so this step does nothing.")


def _call(client: Any, operation: str, what: str, pair: str, **parameters: Any) -> Any:
    try:
        return getattr(client, operation)(TableName=os.environ["LOCK_TABLE"], Key={"pair": {"S": pair}}, **parameters)
    except FAILURES as error:
        if read_error(error)[0] == "ConditionalCheckFailedException":
            raise _lost(pair) from error
        raise RecordUnavailable(f"The pair's record could not be {what}: {printable(str(error))}") from error
