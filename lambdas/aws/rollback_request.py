"""Has someone asked this execution to roll back? Another execution writes its ARN into the item of the pair's lock. An
execution that cannot read the item goes on: nothing was asked, as far as it knows."""

import os
from typing import Any

from aws_lambda_powertools import Logger

from aws.calls import FAILURES, HURRIED, Sleep, Wait
from aws.records import dynamodb_client
from domain.errors import RollbackRequested
from domain.text import printable

READS_APART_SECONDS = 1.0  # users wait for it; a bake of a day reads the item 86,400 times, for 1 cent (on demand)

logger = Logger(child=True)


class RollbackRequest:
    """A request to the execution of `lock`, `{"pair", "execution"}`: the pair's name and the execution's ARN. Without a
    lock, or without the lock table (`LOCK_TABLE`), as for a function in a VPC, nobody can ask."""

    def __init__(self, lock: dict[str, str] | None, client: Any = None) -> None:
        self._lock, self._table, self._client = lock, os.environ.get("LOCK_TABLE"), client

    def refuse(self) -> None:
        """Raises RollbackRequested if the execution still holds the lock and was asked to roll back."""
        if self._lock is None or self._table is None:
            return
        key = {"pair": {"S": self._lock["pair"]}}
        try:
            client = self._client or dynamodb_client(HURRIED)  # a change must not wait, and a loop reads again
            item = client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})
        except FAILURES as failure:
            logger.warning("lock not read", extra={"reason": printable(str(failure), 200)})
            return
        asked_by = item.get("rollbackRequestedBy", {}).get("S")
        if asked_by and item.get("execution", {}).get("S") == self._lock["execution"]:
            raise RollbackRequested(f"The execution {printable(asked_by)} asked for a rollback.")

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
