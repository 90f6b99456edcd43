"""Starts an execution of the workflow and waits until it ends. If it was stopped, waits until its repair ends.

`python workflow.py STATE_MACHINE_ARN NAME` prints the ARN of the execution, and of its repair if there is one. People
use `cutover.py start`, or CI. This program polls more often.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import boto3

SECONDS_APART = 0.1


def main() -> None:
    state_machine, name = sys.argv[1:]
    states = boto3.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=state_machine, name=name, input="{}")["executionArn"]
    print(execution)
    if _ended(states, execution)["status"] == "ABORTED":
        while (repair := _repair_of(states, state_machine, execution)) is None:
            time.sleep(SECONDS_APART)
        print(_ended(states, repair)["executionArn"])


def _ended(states: Any, execution: str) -> Any:
    while (described := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(SECONDS_APART)
    return described


def _repair_of(states: Any, state_machine: str, execution: str) -> str | None:
    """The execution of the repair; None until EventBridge has started it."""
    for each in states.list_executions(stateMachineArn=f"{state_machine}-repair")["executions"]:
        repair = states.describe_execution(executionArn=each["executionArn"])
        if json.loads(repair["input"])["execution"] == execution:
            return str(repair["executionArn"])
    return None


if __name__ == "__main__":
    main()
