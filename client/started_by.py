"""Who started an execution. Step Functions does not record this. CloudTrail's event history does, for 90 days.
`LookupEvents` needs its own permission, shows an event some minutes after the call, allows two requests a second in an
account and Region, and filters by at most one attribute. Source: API reference of CloudTrail, LookupEvents."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from client.account import Account
from client.errors import AWS_ERRORS, sentence
from client.text import JsonObject, as_object, parsed, plain

PAGES, SECONDS_APART = 10, 0.5
EARLIER, LATER = timedelta(minutes=1), timedelta(minutes=5)


def started_by(
    account: Account, executions: list[JsonObject], *, sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, str], str | None]:
    """Who started these executions, by ARN. And if CloudTrail refused, the reason why names are missing."""
    names: dict[str, str] = {}
    if not executions:
        return names, None
    wanted = {execution["executionArn"] for execution in executions}
    moments = [execution["startDate"] for execution in executions]
    calls = [{"AttributeKey": "EventName", "AttributeValue": "StartExecution"}]
    looked_up = {"LookupAttributes": calls, "StartTime": min(moments) - EARLIER, "EndTime": max(moments) + LATER}
    try:
        for page in islice(account.pages("cloudtrail", "lookup_events", **looked_up), PAGES):
            for event in (as_object(parsed(each.get("CloudTrailEvent"))) for each in page.get("Events", [])):
                arn = as_object(event.get("responseElements")).get("executionArn")
                name = caller(as_object(event.get("userIdentity")))
                if event.get("eventSource") == "states.amazonaws.com" and arn in wanted and name:
                    names[str(arn)] = name
            if names.keys() == wanted or not page.get("NextToken"):
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
