"""Step Functions as `report_outcome` sees it: a real client whose DescribeExecution is answered from a table."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3

# Later than any test: an event counts only until some minutes after the end, and a run of all tests takes longer.
ENDED = datetime.now(UTC).replace(microsecond=123_000) + timedelta(hours=1)
STARTED = ENDED - timedelta(seconds=3.5)
ARNS = "arn:aws:states:eu-west-1:123456789012"
WORKFLOWS = f"{ARNS}:stateMachine:eip-cutover {ARNS}:stateMachine:eip-cutover-repair"
ARN = f"{ARNS}:execution:eip-cutover:release-7"
MISSING = "ExecutionDoesNotExist"

Execution = dict[str, Any]


def succeeded(**output: Any) -> Execution:
    return ended("SUCCEEDED", output=json.dumps(output))


def failed(error: str, request: object = None) -> Execution:
    return ended("FAILED", error=error, cause="...", input=json.dumps(request or {}))


def ended(status: str, **known: Any) -> Execution:
    return {"status": status, "startDate": STARTED, "stopDate": ENDED, "input": "{}", **known}


class Executions:
    """The executions by ARN; `at_first` are the statuses of the first answers. `asked` has the ARN of each call."""

    def __init__(self, executions: dict[str, Execution], *, at_first: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self._executions, self._at_first = executions, list(at_first)
        self.client: Any = boto3.client("stepfunctions", "eu-west-1")  # type: ignore[call-overload,unused-ignore]
        self.client.meta.events.register("before-call.sfn.DescribeExecution", self._answer)

    def _answer(self, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        arn = json.loads(params["body"])["executionArn"]
        self.asked.append(arn)
        status = self._at_first.pop(0) if self._at_first else ""
        if '"' in arn or status == MISSING or arn not in self._executions:
            code = "InvalidArn" if '"' in arn else MISSING
            return SimpleNamespace(status_code=400), {"Error": {"Code": code, "Message": "..."}}
        running = {"status": status, "startDate": STARTED, "input": "{}"}
        return SimpleNamespace(status_code=200), running if status else self._executions[arn]
