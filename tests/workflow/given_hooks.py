"""The hooks that tests of this folder configure, and what ran of them."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from aws.calls import aws_client
from aws.hook_function import CONFIG_OF_A_CALL
from local.systems_manager_runs import Result
from tests.workflow.account import Aws

BEFORE, AFTER, UNDO = MOMENTS = "beforeCutover", "afterCutover", "afterRollback"
FAILS = Result(3, output="cannot drain\n")
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:drain"
Configured = Callable[..., None]


def hook(server: str = "idle", **more: Any) -> dict[str, Any]:
    return {"server": server, "command": "/opt/web/hook", "timeoutSeconds": 60, "onFailure": "FAIL", **more}


def function(server: str = "idle", **more: Any) -> dict[str, Any]:
    return {"server": server, "function": FUNCTION, "timeoutSeconds": 60, "onFailure": "FAIL", **more}


def each(entry: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """This hook at each moment."""
    return {moment: [entry] for moment in MOMENTS}


def ran(aws: Aws) -> list[tuple[str, str]]:
    """What was sent to which server, in order."""
    return [(command.parameters["Step"], command.parameters["Server"]) for command in aws.systems_manager.commands]


def steps_of(aws: Aws) -> list[str]:
    return [step for step, _server in ran(aws)]


@contextmanager
def functions(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The functions of hooks answer this to their event meanwhile. The events, in order."""
    asked: list[dict[str, Any]] = []

    def invoke(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        assert "drain" in params["url_path"]
        asked.append(json.loads(params["body"]))
        payload = io.BytesIO(json.dumps(answer(asked[-1])).encode())
        return SimpleNamespace(status_code=200), {"StatusCode": 200, "Payload": payload}

    events = aws_client("lambda", CONFIG_OF_A_CALL).meta.events
    events.register("before-call.lambda.Invoke", invoke, unique_id="functions")
    try:
        yield asked
    finally:
        events.unregister("before-call.lambda.Invoke", unique_id="functions")
