"""Calls a hook's function until it has ended, as ECS does ("Lifecycle hooks for Amazon ECS service deployments")."""

import json
import threading
from collections.abc import Callable
from typing import Any

from botocore.config import Config

from aws.calls import CONFIG, FAILURES, THROTTLED_CODES, Clock, Sleep, aws_client, read_error
from aws.records import RollbackRequest
from domain.pair import Json
from domain.text import printable

ANSWERS = 'it must answer {"hookStatus": "SUCCEEDED", "FAILED" or "IN_PROGRESS"}'
DELAY_SECONDS, LONGEST_DELAY_SECONDS, SHOWN_CHARACTERS = 30, 840, 500
# ResourceConflictException: the function is being created or updated. Source: Lambda API Reference, "Invoke".
PASSING = {*THROTTLED_CODES, "TooManyRequestsException", "ResourceConflictException"}
# The last `hookStatus`, why the hook has failed (if it has not another time), and the seconds until that, 0 for never.
Answer = tuple[str, str | None, float]
# A call lasts as long as the function runs.
CONFIG_OF_A_CALL = CONFIG.merge(Config(read_timeout=900, retries={"total_max_attempts": 1}))


def answered(
    name: str, event: Json, *, until: float, listener: RollbackRequest, sleep: Sleep, clock: Clock, client: Any = None
) -> tuple[str, str | None]:
    """The last `hookStatus`, and if the hook has failed, why. It fails if it has not ended at `until` (the clock's).
    Raises RollbackRequested a second after it was asked for; the function goes on, because Lambda cannot stop it."""
    client = client or aws_client("lambda", CONFIG_OF_A_CALL)
    while True:
        status, failure, delay = _waited_for(lambda: _called(client, name, event), until, listener, clock)
        if not delay or clock() + delay > until:
            return status, failure
        listener.sleep(delay, sleep)


def _waited_for(call: Callable[[], Answer], until: float, listener: RollbackRequest, clock: Clock) -> Answer:
    """The answer of a call; at `until`, that there is none."""
    answers: list[Answer] = []
    over = threading.Event()

    def run() -> None:
        try:
            answers.append(call())
        finally:
            over.set()

    threading.Thread(target=run, daemon=True).start()
    listener.listen(lambda seconds: over.wait(max(min(seconds, until - clock()), 0)) or clock() >= until)
    return answers[0] if answers else ("IN_PROGRESS", "did not answer in time. It may still run.", 0)


def _called(client: Any, function: str, event: Json) -> Answer:
    try:
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        text = answer["Payload"].read().decode(errors="replace")
    except FAILURES as error:
        code, _, http_status = read_error(error)
        seconds = 1 if code in PASSING or http_status >= 500 else 0
        return "UNAVAILABLE", f"could not be called: {_shown(str(error))}.", seconds
    if "FunctionError" in answer:
        return "FAILED", f"raised an error: {_shown(text)}.", 0
    try:
        answered = json.loads(text)
        status, delay = answered["hookStatus"], float(answered.get("callBackDelay", DELAY_SECONDS))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        status, delay = None, 0.0
    if status == "SUCCEEDED":
        return status, None, 0
    if status == "IN_PROGRESS":  # a delay that is not a number becomes 1
        return status, "was still IN_PROGRESS when its time was up.", min(max(1, delay), LONGEST_DELAY_SECONDS)
    failed = f"FAILED: {_shown(text)}" if status == "FAILED" else f"{_shown(text)}; {ANSWERS}"
    return "FAILED", f"answered {failed}.", 0


def _shown(text: str) -> str:
    return printable(text, SHOWN_CHARACTERS).removesuffix(".")
