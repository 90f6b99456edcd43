"""The lock of a pair: an item of the lock table, as the workflow writes it and others read it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.events import read_value
from domain.pair import Json

# When an execution has ended, a function of it may still change an address: after a cold start of at most 10 s (Lambda
# Developer Guide, "Init phase"), until its timeout, and a request then needs some more (docs/decisions/0022).
COLD_START_SECONDS, CHANGE_SECONDS, RESERVE_SECONDS = 10, 12, 3
LAST_CALL_SECONDS = COLD_START_SECONDS + CHANGE_SECONDS + RESERVE_SECONDS
NO_SERVER = "-"  # an item's attribute needs a text, and no server has this name
LONGEST_TEXT = 512  # an ARN of an execution is not longer
NONE_AT_FIRST = [(key, NO_SERVER) for key in ("live", "liveInstanceId", "stagingAssociation")]


@dataclass(frozen=True)
class Lock:
    """Which execution (its ARN) holds the pair, or was interrupted while it did; since when (ISO 8601); which server it
    makes live (maybe NO_SERVER); until when it bakes or waits for approval, with which token; if it is a rollback; its
    last `command`; by server the private addresses between which the two addresses change places; which server was live
    when it began, its instance, and staging's association (None if there was none). Texts may be empty."""

    pair: str = ""
    execution: str = ""
    since: str = ""
    server: str = ""
    bakes_until: str = ""
    approves_until: str = ""
    approval_token: str = ""
    rollback: bool = False
    command: Json | None = None
    private_ips: Mapping[str, str] = field(default_factory=dict)
    live: str | None = None
    live_instance_id: str | None = None
    staging_association: str | None = None

    @staticmethod
    def from_item(item: Json) -> "Lock":
        """The lock of an item that has `execution`, or has had it. A long text is cut."""
        texts = {key: str(value.get("S", "")) for key, value in item.items()}
        short = {key: text[:LONGEST_TEXT] for key, text in texts.items() if (key, text) not in NONE_AT_FIRST}
        objects = {key: object_of(texts.get(key)) or None for key in ("privateIps", "command")}
        token, rollback = texts.get("approvalToken"), texts.get("rollsBack") == "true"
        return read_value(Lock, {**short, **objects, "approvalToken": token, "rollback": rollback})


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
