"""Verifies the executions of the local AWS, as `cutover.py verify` does."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from client.account import Account
from client.result import RUNNING
from client.verify import verified
from local.aws import LocalAws
from local.ec2 import REGION

# The wait for the last call of a stopped execution is shorter here (`TIME_SCALE`).
SHORTER = {"takeovers-wait"}


def ended_since(aws: LocalAws, began: datetime) -> list[str]:
    """The ARNs of the executions of a cutover and of a repair that have begun since then, and have ended."""
    machines = (aws.state_machine_arn, f"{aws.state_machine_arn}-repair")
    pages = (
        page
        for machine in machines
        for page in aws.client("stepfunctions").get_paginator("list_executions").paginate(stateMachineArn=machine)
    )
    executions = (each for page in pages for each in page["executions"])
    return [each["executionArn"] for each in executions if each["startDate"] >= began and each["status"] not in RUNNING]


def broken_by(aws: LocalAws, arn: str) -> list[str]:
    """The guarantees that an execution has broken, and what was seen of that."""
    session: Any = SimpleNamespace(client=lambda service, **_: aws.client(service), region_name=REGION)
    evidence, _ = verified(Account(session), arn)
    broken = (each for each in evidence["guarantees"] if each["result"] == "broken")
    texts = {each["guarantee"]: each["seen"] for each in broken if each["guarantee"] not in SHORTER}
    return [f"{arn} {evidence['outcome']}: {guarantee}: {seen}" for guarantee, seen in texts.items()]
