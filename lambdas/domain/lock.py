"""The lock of a pair: an item of the lock table, as the workflow writes it and others read it. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime

from domain.events import read
from domain.pair import Json

# When an execution has ended, a function of it may still change an address: after a cold start of at most 10 s (Lambda
# Developer Guide, "Init phase"), until its timeout, and a request then needs some more (docs/decisions/0022).
COLD_START_SECONDS, CHANGE_SECONDS, RESERVE_SECONDS = 10, 12, 3
LAST_CALL_SECONDS = COLD_START_SECONDS + CHANGE_SECONDS + RESERVE_SECONDS
TEXTS = ("pair", "execution", "since", "server", "bakesUntil", "approvesUntil", "approvalToken")


@dataclass(frozen=True)
class Lock:
    """Which execution (its ARN) holds the pair, since when (ISO 8601), which server it is making live, until when it
    bakes or waits for approval, with which token, if it is a rollback. Texts may be empty. `command`: the last."""

    pair: str
    execution: str
    since: str
    server: str
    bakes_until: str = ""
    approves_until: str = ""
    approval_token: str = ""
    rollback: bool = False
    command: Json | None = None

    @staticmethod
    def from_item(item: Json) -> "Lock":
        """The lock of an item that has `execution`; without it, the pair is not locked."""
        texts = {key: str(value.get("S", "")) for key, value in item.items()}
        others = {"rollback": texts.get("rollsBack") == "true", "command": object_of(texts.get("command")) or None}
        return read(Lock, {**{key: texts.get(key, "") for key in TEXTS}, **others})

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
