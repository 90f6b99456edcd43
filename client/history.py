"""`history`: the last executions of the workflow, how they ended, and who started them. Step Functions does not record
who did. CloudTrail's event history does, for 90 days: LookupEvents needs its own permission, shows an event some
minutes after the call, allows two requests a second, and filters by at most one attribute (API reference)."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from client.account import Account
from client.errors import AWS_ERRORS, sentence
from client.progress import Progress
from client.result import result_of
from client.text import JsonObject, as_object, duration, plain
from domain.lock import object_of

# Step Functions does not list executions by pair, so each execution is described.
MOST_EXECUTIONS = 500
KEYS = ("execution", "name", "status", "outcome", "pair", "wasLive", "isLive", "seconds")
PAGES, SECONDS_APART = 10, 0.5
EARLIER, LATER = timedelta(minutes=1), timedelta(minutes=5)


def entries(account: Account, *, pair: str | None, limit: int) -> tuple[list[JsonObject], str | None]:
    """The last executions of the pair, or of all pairs, newest first. And if their starters are unknown, the reason. If
    the stack has only one pair, an execution whose input, plan and output do not name a pair belongs to that pair."""
    only_pair = next(iter(account.pairs)) if pair is not None and len(account.pairs) == 1 else None
    chosen: list[tuple[JsonObject, JsonObject]] = []
    for listed in islice(account.executions(), MOST_EXECUTIONS):
        described, progress = account.describe(listed["executionArn"]), Progress()
        # If the execution did not succeed, its history has the plan: the pair, and which server was live.
        for event in account.events(listed["executionArn"]) if described["status"] != "SUCCEEDED" else ():
            progress.read(event)
        result = result_of(described, progress)
        if pair is None or (result.pair or only_pair) == pair:
            chosen.append((listed, result.to_json()))
        if len(chosen) == limit:
            break
    by, why_unknown = started_by(account, [listed for listed, _ in chosen])
    return [
        {key: result[key] for key in KEYS}
        | {"began": listed["startDate"].isoformat(), "by": by.get(result["execution"])}
        for listed, result in chosen
    ], why_unknown


def row(entry: JsonObject) -> dict[str, str]:
    """An execution for people."""
    before, now, seconds = entry["wasLive"], entry["isLive"], entry["seconds"]
    moved = f"{before} stays" if before == now else f"{before} → {now or '?'}"
    return {
        "when": f"{datetime.fromisoformat(entry['began']).astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
        "outcome": plain(entry["outcome"], 40),
        "pair": plain(entry["pair"] or "", 64),
        "from → to": plain(moved if before else "", 140),
        "took": "" if seconds is None else duration(seconds),
        "by": plain(entry["by"] or "unknown", 100),
        "execution": entry["name"],
    }


def started_by(
    account: Account, executions: list[JsonObject], *, sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, str], str | None]:
    """Who started these executions, by ARN. And if CloudTrail refused, the reason why names are missing."""
    names: dict[str, str] = {}
    if not executions:
        return names, None
    wanted = {execution["executionArn"]: execution["startDate"] for execution in executions}
    times = {"StartTime": min(wanted.values()) - EARLIER, "EndTime": max(wanted.values()) + LATER}
    looked_up = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "StartExecution"}], **times}
    try:
        for page in islice(account.pages("cloudtrail", "lookup_events", **looked_up), PAGES):
            for event in (object_of(each.get("CloudTrailEvent")) for each in page.get("Events", [])):
                arn = as_object(event.get("responseElements")).get("executionArn")
                name = caller(as_object(event.get("userIdentity")))
                if event.get("eventSource") == "states.amazonaws.com" and arn in wanted and name:
                    names[str(arn)] = name
            if names.keys() == wanted.keys() or not page.get("NextToken"):
                break
            sleep(SECONDS_APART)
    except AWS_ERRORS as error:
        return names, f"It is unknown who started the executions. {sentence(error)}"
    return names, None


def caller(identity: Mapping[str, Any]) -> str | None:
    """`alice`, `Deployer/alice` for a role and its session, or `root`; and the AWS service that made the call for them.
    Source: CloudTrail User Guide, userIdentity element."""
    arn, service = str(identity.get("arn", "")), identity.get("invokedBy")
    by_type = {"AssumedRole": arn.partition(":assumed-role/")[2], "Root": "root"}
    name = by_type.get(str(identity.get("type")), identity.get("userName") or arn.rpartition("/")[2])
    name = name or identity.get("principalId")
    text = f"{name} ({service})" if name and service else name or service
    return plain(text, 200) if text else None
