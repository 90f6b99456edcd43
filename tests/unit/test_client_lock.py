"""`unlock` starts the repair of a pair, which decides whether the lock is dead, and follows it."""

import json
from typing import Any

import pytest

from client.commands import main
from tests.unit.client_doubles import (
    BEGAN,
    EXECUTION,
    MACHINE,
    PAIR,
    Service,
    address,
    execution,
    parameter_store,
    session,
)

REPAIRED = {"outcome": "REPAIRED", "pair": "web", "production": address("tao"), "staging": address("bittybot"),
            "previous": {"production": address("tao"), "staging": address(None)}}  # fmt: skip
NOTHING = {"outcome": "NOTHING_TO_REPAIR", "cause": "No execution holds the lock of pair web.", "holder": None}
RUNS = {"outcome": "NOTHING_TO_REPAIR", "cause": "It still runs and keeps its lock.", "holder": f"{EXECUTION}:1"}


class Repair(Service):
    """Step Functions with a repair that ends like this."""

    def __init__(self, output: dict[str, Any] = REPAIRED, **ended: Any) -> None:
        def describe(executionArn: str) -> Any:  # noqa: N803
            return execution("x", executionArn=executionArn, **{"output": json.dumps(output), **ended})

        history = {"events": [{"id": 1, "previousEventId": 0, "type": "ExecutionSucceeded", "timestamp": BEGAN}]}
        super().__init__(start_execution={}, describe_execution=describe, get_execution_history=history)


def unlocked(repair: Repair, *words: str) -> int:
    return main(["unlock", *words], session=session(ssm=parameter_store(PAIR), stepfunctions=repair))


def test_the_repair_of_the_pair_is_started_and_followed(capsys: pytest.CaptureFixture[str]) -> None:
    repair = Repair()
    assert unlocked(repair, "--json", "--detailed-exit-code") == 4
    (started,) = (parameters for name, parameters in repair.calls if name == "start_execution")
    assert started["stateMachineArn"] == f"{MACHINE}-repair"
    assert started["name"].startswith("unlock-")
    assert json.loads(started["input"]) == {"pair": "web"}
    document = json.loads(capsys.readouterr().out)
    assert document["execution"].startswith(f"{EXECUTION.replace('eip-cutover', 'eip-cutover-repair')}:")
    assert (document["outcome"], document["wasLive"], document["isLive"]) == ("REPAIRED", "tao", "tao")


@pytest.mark.parametrize(
    ("repair", "code", "detailed"),
    [
        (Repair(), 0, 4),
        (Repair(NOTHING), 0, 3),
        (Repair(RUNS), 20, 20),
        (Repair(status="FAILED", error="RepairFailed", cause="EC2 does not answer."), 19, 19),
    ],
    ids=["repaired", "not locked", "running", "failed"],
)
def test_the_exit_code_says_what_became_of_the_lock(
    repair: Repair, code: int, detailed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unlocked(repair) == code
    if code == 20:
        assert "It still runs and keeps its lock." in capsys.readouterr().out
    assert unlocked(repair, "--detailed-exit-code") == detailed
