"""Calls the function of a hook until it says that it has succeeded or failed, in the form of the Lambda hooks of ECS.
Source: ECS Developer Guide, "Lifecycle hooks for Amazon ECS service deployments"."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from aws.calls import CONFIG, THROTTLED_CODES
from domain.text import printable

ANSWERS = 'it must answer {"hookStatus": "SUCCEEDED", "FAILED" or "IN_PROGRESS"}'
DELAY_SECONDS, LONGEST_DELAY_SECONDS, SHOWN_CHARACTERS = 30, 840, 500
THROTTLED = {*THROTTLED_CODES, "TooManyRequestsException"}


@cache
def lambda_client() -> Any:
    """A call lasts as long as the function runs."""
    return boto3.client("lambda", config=CONFIG.merge(Config(read_timeout=900, retries={"total_max_attempts": 1})))


def answered(
    function: str,
    event: Mapping[str, str],
    *,
    until: float,
    wait: Callable[[float], object],
    clock: Callable[[], float],
    client: Any = None,
) -> tuple[str, str | None]:
    """The last `hookStatus`, and if the hook has failed, why. It fails if it has not ended at `until` (the clock's)."""
    client = client or lambda_client()
    while True:
        status, failure, delay = _called(client, function, event)
        if failure or status == "SUCCEEDED":
            return status, failure
        if clock() + delay > until:
            return status, f"was {status} when its time was up."
        wait(delay)


def _called(client: Any, function: str, event: Mapping[str, str]) -> tuple[str, str | None, float]:
    try:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        text = answer["Payload"].read().decode(errors="replace")
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        why = printable(str(error), SHOWN_CHARACTERS)
        return ("THROTTLED", None, 1.0) if code in THROTTLED else ("FAILED", f"could not be called: {why}.", 0)
    if "FunctionError" in answer:
        return "FAILED", f"raised an error: {printable(text, SHOWN_CHARACTERS)}.", 0
    try:
        answered = json.loads(text)
        status, delay = answered["hookStatus"], float(answered.get("callBackDelay", DELAY_SECONDS))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        status, delay = None, 0.0
    if status == "FAILED":
        return status, f"answered FAILED: {printable(text, SHOWN_CHARACTERS)}.", 0
    if status not in ("SUCCEEDED", "IN_PROGRESS"):
        return "FAILED", f"answered {printable(text, SHOWN_CHARACTERS)}; {ANSWERS}.", 0
    return status, None, min(max(delay, 1.0), LONGEST_DELAY_SECONDS)
