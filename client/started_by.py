"""Who started which execution. Step Functions does not record it; CloudTrail's event history does, for 90 days.

`LookupEvents` needs a permission of its own, shows an event some minutes after the call, answers two requests a second
in an account and Region, and finds by one attribute at most. Source: API reference of CloudTrail, LookupEvents.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from client.account import Account
from client.errors import AWS_ERRORS, sentence
from client.text import JsonObject, parsed, plain

PAGES = 10
SECONDS_APART = 0.5
EARLIER, LATER = timedelta(minutes=1), timedelta(minutes=5)


def starters(
    account: Account, executions: list[JsonObject], *, sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, str], str | None]:
    """Who started these executions, by ARN, those that are known; and why others are not, where CloudTrail refused."""
    wanted = {execution["executionArn"] for execution in executions}
    found: dict[str, str] = {}
    if not wanted:
        return found, None
    began = [execution["startDate"] for execution in executions]
    token: dict[str, str] = {}
    try:
        for page in range(PAGES):
            if page:
                sleep(SECONDS_APART)
            answer = account.client("cloudtrail").lookup_events(
                LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "StartExecution"}],
                StartTime=min(began) - EARLIER,
                EndTime=max(began) + LATER,
                **token,
            )
            for event in answer.get("Events", []):
                arn, who = _started(parsed(event.get("CloudTrailEvent")))
                if arn in wanted and who:
                    found[str(arn)] = who
            if not answer.get("NextToken") or found.keys() == wanted:
                break
            token = {"NextToken": answer["NextToken"]}
    except AWS_ERRORS as error:
        return found, f"Who started them is not known. {sentence(error)}"
    return found, None


def _started(event: object) -> tuple[str | None, str | None]:
    """The ARN of the execution that a StartExecution started, and who called."""
    if not isinstance(event, dict) or event.get("eventSource") != "states.amazonaws.com":
        return None, None
    answer = event.get("responseElements")
    identity = event.get("userIdentity")
    arn = answer.get("executionArn") if isinstance(answer, dict) else None
    return arn, who(identity) if isinstance(identity, dict) else None


def who(identity: Mapping[str, Any]) -> str | None:
    """`alice`, `Deployer/alice` for a role and its session, `root`, and the AWS service that called for them.

    Source: CloudTrail User Guide, userIdentity element.
    """
    service = identity.get("invokedBy")
    kind, arn = identity.get("type"), str(identity.get("arn", ""))
    name: object = identity.get("userName")
    if kind == "AssumedRole":
        name = arn.partition(":assumed-role/")[2] or identity.get("principalId")
    elif kind == "Root":
        name = "root"
    elif not name:
        name = arn.rpartition("/")[2] or identity.get("principalId")
    if not name:
        return plain(service, 200) if service else None
    return plain(f"{name} ({service})" if service else name, 200)
