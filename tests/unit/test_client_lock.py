"""`unlock` starts the repair for a dead holder, and for no other."""

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
    item,
    lock_table,
    parameter_store,
    refusal,
    session,
)

HOLDER = f"{EXECUTION}:release-1"
REPAIRED = {"outcome": "REPAIRED", "pair": "web", "production": address("tao"), "staging": address("bittybot"),
            "previous": {"production": address("tao"), "staging": address(None)}}  # fmt: skip


class Repair(Service):
    """Step Functions with a holder, or without it, and the repair, which ends like this."""

    def __init__(self, holder: dict[str, Any] | None, **repair: Any) -> None:
        def describe(executionArn: str) -> Any:  # noqa: N803
            if ":eip-cutover-repair:" in executionArn:
                return execution("x", executionArn=executionArn, **{"output": json.dumps(REPAIRED), **repair})
            return holder or refusal("ExecutionDoesNotExist")

        ended = {"id": 1, "previousEventId": 0, "type": "ExecutionSucceeded", "timestamp": BEGAN}
        history = {"events": [ended]}
        super().__init__(start_execution={}, describe_execution=describe, get_execution_history=history)

    @property
    def started(self) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.calls if name == "start_execution"]


def unlocked(repair: Repair, *words: str, table: Service | None = None, **lock: Any) -> int:
    values = {"execution": HOLDER, "since": "2026-02-01T09:30:00.000Z", "server": "tao"} | lock
    table = table or lock_table(item(pair="web", **values))
    services = {"ssm": parameter_store(PAIR), "dynamodb": table, "stepfunctions": repair}
    code = main(["unlock", *words], session=session(**services))
    assert {name for name, _ in table.calls} == {"get_item"}
    return code


@pytest.mark.parametrize(
    ("holder", "status"),
    [(execution("release-1", "TIMED_OUT"), "TIMED_OUT"), (execution("release-1"), "SUCCEEDED"), (None, "ABORTED")],
    ids=["timed out", "succeeded", "unknown"],
)
def test_the_repair_of_a_dead_holder_is_started_and_followed(
    holder: dict[str, Any] | None, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repair = Repair(holder)
    assert unlocked(repair, "--json", "--detailed-exit-code") == 4
    (started,) = repair.started
    assert started["stateMachineArn"] == f"{MACHINE}-repair"
    assert started["name"].startswith("unlock-")
    assert json.loads(started["input"]) == {"execution": HOLDER, "status": status}
    document = json.loads(capsys.readouterr().out)
    assert document["execution"].startswith(f"{EXECUTION.replace('eip-cutover', 'eip-cutover-repair')}:")
    assert (document["outcome"], document["wasLive"], document["isLive"]) == ("REPAIRED", "tao", "tao")


def test_a_repair_that_finds_nothing_to_do_or_fails_says_so_by_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing = json.dumps({"outcome": "NOTHING_TO_REPAIR", "cause": "It held no lock."})
    assert unlocked(Repair(None, output=nothing)) == 0
    assert unlocked(Repair(None, output=nothing), "--detailed-exit-code") == 3
    assert "It held no lock." in capsys.readouterr().out
    assert unlocked(Repair(None, status="FAILED", error="RepairFailed", cause="EC2 refused.")) == 19
    assert "docs/runbook.md#repairfailed-eip-cutover-repair-failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("holder", "lock", "says"),
    [
        (execution("release-1", "RUNNING"), {}, "still runs"),
        (execution("release-1", "PENDING_REDRIVE"), {}, "still runs"),
        # It may have just started, however late this machine's clock says it is.
        (None, {"since": "2026-02-01T09:59:59.000Z"}, "may not know"),
        (None, {"execution": "by\x1bhand"}, "its holder, by hand, is not an execution"),
    ],
    ids=["running", "redriven", "unseen", "by hand"],
)
def test_for_any_other_lock_nothing_is_started(
    holder: dict[str, Any] | None, lock: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repair = Repair(holder)
    assert unlocked(repair, **lock) == 20
    assert repair.started == []
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), says in err) == ("", 1, True)


@pytest.mark.parametrize("items", [[], [item(pair="web", revision=3, rollbackTo={"server": "tao", "why": "x"})]])
def test_a_pair_that_is_not_locked_is_reported_as_such(
    items: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    repair = Repair(None)
    assert unlocked(repair, table=lock_table(*items)) == 0
    assert "The pair is not locked.\n" in capsys.readouterr().out
    assert unlocked(repair, "--json", "--detailed-exit-code", table=lock_table(*items)) == 3
    assert json.loads(capsys.readouterr().out)["outcome"] == "NOTHING_TO_REPAIR"
    assert repair.started == []
