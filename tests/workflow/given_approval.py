"""Executions that wait for approval, and their answers."""

import json
from collections.abc import Callable
from typing import Any

import boto3

from tests.workflow.account import Aws
from tests.workflow.engine import REGION

RELEASE = {"release": "7"}
DEPLOY = {"command": "/opt/web/deploy", "timeoutSeconds": 60}
ERIN = "arn:aws:sts::123456789012:assumed-role/Deployer/erin@example.com"
Configured = Callable[..., None]


class Waiting:
    """An execution that waits for approval."""

    def __init__(self, aws: Aws, value: object = RELEASE) -> None:
        self.aws, self.arn = aws, aws.start(value)
        aws.until(lambda: self.lock is not None or aws.status(self.arn) != "RUNNING")
        assert aws.status(self.arn) == "RUNNING", aws.wait(self.arn)
        self.token = str((self.lock or {})["approvalToken"])

    @property
    def lock(self) -> dict[str, Any] | None:
        """What the lock's item has while it waits."""
        for item in self.aws.locks:
            if "approvalToken" in item:
                return {key: value["S"] for key, value in item.items() if "S" in value}
        return None

    def approve(self, output: Any = None) -> Any:
        said = {"approvedBy": ERIN} if output is None else output
        boto3.client("stepfunctions", REGION).send_task_success(taskToken=self.token, output=json.dumps(said))
        return self.aws.wait(self.arn)

    def reject(self, error: str = "Rejected", cause: str = f"rejected by {ERIN}: not on a Friday") -> Any:
        self.aws.sfn.send_task_failure(taskToken=self.token, error=error, cause=cause)
        return self.aws.wait(self.arn)
