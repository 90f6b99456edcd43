"""The lock of a pair: an item of the lock table, as the workflow writes it and others read it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.pair import Json

# After an execution has ended, a function that it called may still change an address: after a cold start, until the
# function's timeout, and a request that is on its way then needs some more. A lock is dead only after this time
# (docs/decisions/0022-a-dead-lock-holds-for-25-s.md). Source: Lambda Developer Guide, "Init phase": at most 10 s.
COLD_START_SECONDS, CHANGE_SECONDS, RESERVE_SECONDS = 10, 12, 3
LAST_CALL_SECONDS = COLD_START_SECONDS + CHANGE_SECONDS + RESERVE_SECONDS


@dataclass(frozen=True)
class Lock:
    """Which execution holds the pair (its ARN), since when (ISO 8601), which server it is making live, whether it rolls
    back, until when it bakes (ISO 8601; empty if it does not bake yet), until when it waits for approval, and the token
    of that wait (empty if it does not wait). `command` is its last command on a server, None before the first. If the
    item lacks an attribute, for example because a person wrote it, the value is an empty string."""

    pair: str
    execution: str
    since: str
    server: str
    rollback: bool = False
    bakes_until: str = ""
    approves_until: str = ""
    approval_token: str = ""
    command: Json | None = None

    @staticmethod
    def from_item(item: Mapping[str, Mapping[str, Any]]) -> "Lock":
        """The lock of an item that has `execution`; without it, the pair is not locked."""
        values = {key: str(value.get("S", "")) for key, value in item.items()}
        pair, execution, since, server = (values.get(key, "") for key in ("pair", "execution", "since", "server"))
        return Lock(
            pair,
            execution,
            since,
            server,
            rollback=values.get("rollsBack") == "true",
            bakes_until=values.get("bakesUntil", ""),
            approves_until=values.get("approvesUntil", ""),
            approval_token=values.get("approvalToken", ""),
            command=object_of(values.get("command")) or None,
        )

    @property
    def held_since(self) -> datetime | None:
        """The moment of `since`; None if it is not a time with a time zone."""
        return moment(self.since)

    def may_be_new(self, now: datetime) -> bool:
        """Whether DescribeExecution, which is eventually consistent, may not know the lock's execution yet."""
        return self.held_since is not None and (now - self.held_since).total_seconds() < LAST_CALL_SECONDS


def moment(text: object) -> datetime | None:
    """The time that this text is in ISO 8601; None if it is anything else, or has no time zone."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None


def object_of(text: str | None) -> Json:
    """The JSON object of this text; an empty object if the text is anything else."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
