"""The whole execution has a deadline, and it is longer than the sum of what its states may take."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from stacks.configuration import configured_pairs
from stacks.cutover_stack import CutoverStack
from tests.stacks.test_contract import states_of
from tests.workflow.account import definition

PAIR = {
    "production": "eipalloc-1a2b3c4d",
    "staging": "eipalloc-5e6f7a8b",
    "servers": {"one": "i-1a2b3c4d", "two": "i-5e6f7a8b"},
}
LAST_CALL_SECONDS = 35
UNTIL_LOCKED = (
    "DescribeAddresses",
    "AcquireLock",
    "DescribeLock",
    "DescribeLockHolder",
    "WaitForLastCall",
    "TakeOverLock",
)


def longest(state: dict[str, Any]) -> float:
    """The seconds that a state may take: every try of the retrier that tries the most, with its longest delays."""
    if state["Type"] == "Wait":
        return LAST_CALL_SECONDS
    retries = max(state.get("Retry", [{"MaxAttempts": 0}]), key=lambda retry: int(retry["MaxAttempts"]))
    delays = retries["MaxAttempts"] * retries.get("MaxDelaySeconds", 0)
    seconds: float = state.get("TimeoutSeconds", 0) * (1 + retries["MaxAttempts"]) + delays
    return seconds


@pytest.mark.parametrize("name", ["eip-cutover", "eip-cutover-repair"])
@pytest.mark.parametrize("deadline_seconds", [6, 840])
def test_an_execution_may_take_longer_than_all_its_states_together(
    tmp_path: Path, name: str, deadline_seconds: int
) -> None:
    pairs = configured_pairs({"web": {**PAIR, "healthCheck": {"deadlineSeconds": deadline_seconds}}})
    app = cdk.App(outdir=str(tmp_path))
    CutoverStack(app, "EipCutover", pairs=pairs)
    app.synth()
    template = json.loads((tmp_path / "EipCutover.template.json").read_text())
    workflow = json.loads(definition(template, table="locks", topic="outcomes", name=name))
    seconds = {state_name: longest(state) for state_name, state in states_of(workflow)}
    again = sum(seconds.get(state_name, 0) for state_name in UNTIL_LOCKED)  # once for every lock that is taken over
    assert workflow["TimeoutSeconds"] > sum(seconds.values()) + 2 * again


def test_every_task_has_a_timeout(template: dict[str, Any]) -> None:
    for name in ("eip-cutover", "eip-cutover-repair"):
        workflow = json.loads(definition(template, table="locks", topic="outcomes", name=name))
        for state_name, state in states_of(workflow):
            if state["Type"] == "Task":
                assert state["TimeoutSeconds"] > 0, state_name
