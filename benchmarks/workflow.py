"""One execution of the workflow, from its start to its end, and to that of its repair if it was stopped.

`python workflow.py STATE_MACHINE_ARN NAME` prints the ARNs of both, or of the one. People use `cutover.py start`,
or CI; this only looks more often.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import boto3

LOOKS_APART_SECONDS = 0.1


def main() -> None:
    state_machine, name = sys.argv[1:]
    states = boto3.client("stepfunctions")
    execution = states.start_execution(stateMachineArn=state_machine, name=name, input="{}")["executionArn"]
    print(execution)
    if _ended(states, execution)["status"] == "ABORTED":
        while (repair := _repair_of(states, state_machine, execution)) is None:
            time.sleep(LOOKS_APART_SECONDS)
        print(_ended(states, repair)["executionArn"])


def _ended(states: Any, execution: str) -> Any:
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(LOOKS_APART_SECONDS)
    return found


def _repair_of(states: Any, state_machine: str, execution: str) -> str | None:
    """EventBridge has started it, or will."""
    for each in states.list_executions(stateMachineArn=f"{state_machine}-repair")["executions"]:
        found = states.describe_execution(executionArn=each["executionArn"])
        if json.loads(found["input"])["execution"] == execution:
            return str(found["executionArn"])
    return None


if __name__ == "__main__":
    main()
