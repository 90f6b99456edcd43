"""DescribeAddresses: what the record of a pair says, and a plan made from it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import AddressesMoving, RecordUnavailable
from tests.unit.ec2_account import Ec2Account
from tests.unit.handlers.given import CUTOVER, FROM_TAO, TO_TAO, describe, servers
from tests.unit.lock_table import LockTable


def test_a_rollback_goes_to_the_server_on_record_and_its_plan_carries_the_record(
    ec2: Ec2Account, table: LockTable
) -> None:
    table.put(**FROM_TAO)
    plan = describe({"rollback": True, "dryRun": True, "waitSeconds": 60})
    assert (plan["decision"], plan["target"], plan["rollback"], plan["urgent"]) == ("CUT_OVER", "tao", True, True)
    assert plan["record"] == {"revision": "7", "rollbackTo": TO_TAO, "lastCutover": CUTOVER}
    assert plan["stagingTo"] == ec2.place(ec2.bittybot).to_json()
    assert (plan["dryRun"], plan["waitSeconds"]) == (True, 60)
    ec2.move("production", ec2.tao.instance_id)
    ec2.move("staging", ec2.bittybot.instance_id)
    assert describe({"rollback": True})["decision"] == "ALREADY_LIVE"


def test_a_rollback_with_nothing_on_record_is_an_invalid_request_and_says_how_to_name_a_server(ec2: Ec2Account) -> None:
    refusal = describe({"rollback": True})
    assert (refusal["decision"], refusal["error"]) == ("REFUSED", "InvalidRequest")
    assert refusal["reason"] == (
        f"There is no server to roll back to: no cutover is on record. {ec2.bittybot} is running and holds production. "
        f"{ec2.tao} is running and holds staging. Nothing was changed. Start again with "
        f'{{"pair": "web", "serverName": "tao", "emergency": true}}.'
    )


def test_a_rollback_after_a_cutover_that_failed_is_refused_and_keeps_the_record(
    ec2: Ec2Account, table: LockTable
) -> None:
    ended = {"server": None, "why": "the cutover to tao ended RolledBack: c-8", "instanceId": None, "rejected": ["tao"]}
    table.put(**FROM_TAO | {"rollbackTo": ended})
    refusal = describe({"rollback": True})
    assert (refusal["decision"], refusal["error"]) == ("REFUSED", "PreflightFailed")
    assert refusal["reason"].startswith("There is no server to roll back to: the cutover to tao ended RolledBack: c-8.")
    assert refusal["record"] == {"revision": "7", "rollbackTo": ended, "lastCutover": CUTOVER}


@pytest.mark.parametrize(
    ("outcome", "live", "decision"),
    [("RolledBack", "bittybot", "ALREADY_LIVE"), ("RollbackFailed", "tao", "REFUSED")],
    ids=["", "it failed to"],
)
def test_a_rollback_that_asked_another_execution_depends_on_where_that_execution_left_production(
    ec2: Ec2Account, table: LockTable, outcome: str, live: str, decision: str
) -> None:
    ended = {"server": None, "why": f"the cutover ended {outcome}: c-8"}
    table.put(**FROM_TAO | {"rollbackTo": ended, "lastOutcome": {"outcome": outcome, "execution": "c-8", "at": "now"}})
    plan = describe({"rollback": True}, awaited={"execution": "c-8", "live": live})
    if live == "bittybot":
        assert (plan["decision"], plan["warnings"]) == (decision, ("c-8 was asked to roll back, and has ended.",))
    else:  # production was on tao before, and is on bittybot
        assert (plan["decision"], plan["error"], plan["warnings"]) == (decision, "PreflightFailed", [])
        assert f"the cutover ended {outcome}: c-8" in plan["reason"]


def test_in_a_rollback_staging_that_cannot_be_repaired_is_a_warning_where_production_is_already(
    ec2: Ec2Account, table: LockTable, tmp_path: Path
) -> None:
    bittybot, tao, client = servers(ec2, tmp_path)
    client.terminate_instances(InstanceIds=[tao.instance_id])
    table.put(**FROM_TAO | {"rollbackTo": {"server": "bittybot", "why": "c-8 has rolled back to it"}})
    for request in ({"rollback": True}, {"serverName": "bittybot", "emergency": True}):
        plan = describe(request)
        assert (plan["decision"], plan["target"], plan["steps"]) == ("ALREADY_LIVE", "bittybot", [])
        (warning,) = plan["warnings"]
        assert warning.startswith(f"Staging cannot go to tao. {tao} is terminated and cannot hold an address. Replace")
    refusal = describe({"serverName": "bittybot"})
    assert (refusal["decision"], refusal["warnings"]) == ("REFUSED", [])
    assert ec2.holder("production") == bittybot.instance_id


@pytest.mark.parametrize("held", [False, True], ids=["taken over", "held"])
@pytest.mark.parametrize("keep_live", [False, True], ids=["", "by a repair"])
def test_what_an_interrupted_execution_did_is_in_the_record_once_it_has_lost_the_lock(
    ec2: Ec2Account, table: LockTable, held: bool, keep_live: bool
) -> None:
    begun = {"interrupted": "c-8", "since": "2026-02-01T10:00:00Z", "server": "bittybot", "live": "tao"}
    begun["stagingAssociation"] = "eipassoc-before"
    table.put(**FROM_TAO | begun | ({"execution": "c-8"} if held else {}))
    settled = keep_live or not held
    record = describe({"pair": "web"}, keepLive=keep_live)["record"]
    assert record["lastCutover"]["execution"] == ("c-8" if settled else "c-7")
    assert record["rollbackTo"]["why"] == (
        "c-8, which was interrupted, moved production from it" if settled else TO_TAO["why"]
    )


@pytest.mark.parametrize("moved", [False, True], ids=["", "it had taken staging"])
def test_what_an_interrupted_execution_had_begun_is_seen_by_the_association_of_staging(
    ec2: Ec2Account, table: LockTable, moved: bool
) -> None:
    begun = {"interrupted": "c-8", "server": "tao", "live": "bittybot", "rollsBack": "false"}
    table.put(**FROM_TAO | begun | {"stagingAssociation": describe({})["staging"]["associationId"]})
    if moved:
        ec2.take_off("staging")
        ec2.move("staging", ec2.tao.instance_id)
    plan = describe({"rollback": True})
    assert plan["decision"] == ("REFUSED" if moved else "CUT_OVER")
    assert plan["record"]["rollbackTo"]["rejected"] == (["tao"] if moved else [])
    assert plan["record"]["rollbackTo"]["why"] == (
        "the cutover to tao was interrupted: c-8" if moved else TO_TAO["why"]
    )


def test_without_the_record_nothing_is_planned(ec2: Ec2Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCK_TABLE", "gone")
    with pytest.raises(RecordUnavailable, match=r"record could not be read: .*ResourceNotFoundException"):
        describe({})


# Just after an outcome.


def ended(ec2: Ec2Account, seconds_ago: float, outcome: str = "CUT_OVER") -> dict[str, Any]:
    """A record after an execution that ended so long ago, and left both addresses as they are."""
    at = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    associations = json.dumps([ec2.production_association, ec2.association_id], separators=(",", ":"))
    return FROM_TAO | {"lastOutcome": {"outcome": outcome, "execution": "c-7", "at": at, "associations": associations}}


@pytest.mark.parametrize("request_", [{}, {"dryRun": True}, {"serverName": "tao"}], ids=str)
@pytest.mark.parametrize("outcome", ["CUT_OVER", "RolledBack", "PreflightFailed", "REPAIRED", "StagingUnhealthy"])
def test_for_some_seconds_after_an_outcome_no_plan_is_made(
    ec2: Ec2Account, table: LockTable, request_: dict[str, Any], outcome: str
) -> None:
    table.put(**ended(ec2, 8, outcome))
    with pytest.raises(AddressesMoving) as refused:
        describe(request_, movingSeconds=10)
    assert str(refused.value) == f"The last execution ended {outcome} less than 10 s ago. Nothing was changed."
    assert describe(request_, movingSeconds=0)["decision"] == "CUT_OVER"  # it has waited
    table.put(**ended(ec2, 10.5, outcome))
    assert describe(request_, movingSeconds=10)["decision"] == "CUT_OVER"


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        ({}, "ALREADY_LIVE"), ({}, "DRY_RUN"), ({}, "NOTHING_TO_REPAIR"), ({"rollback": True}, "CUT_OVER"),
        ({"emergency": True}, "CUT_OVER"), ({"emergency": True}, "RolledBack"),
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_that_is_urgent_or_follows_no_change_waits_only_if_ec2_shows_something_else(
    ec2: Ec2Account, table: LockTable, request_: dict[str, Any], outcome: str
) -> None:
    record = ended(ec2, 1, outcome)
    table.put(**record)
    assert describe(request_, movingSeconds=10)["decision"] == "CUT_OVER"
    ec2.move("staging", ec2.bittybot.instance_id)
    ec2.move("staging", ec2.tao.instance_id)  # where it was, by another association
    with pytest.raises(AddressesMoving):
        describe(request_, movingSeconds=10)
    del record["lastOutcome"]["associations"]  # as of an older version
    table.put(**record)
    with pytest.raises(AddressesMoving):
        describe(request_, movingSeconds=10)


def test_a_plan_beside_another_execution_does_not_wait_for_the_one_before(ec2: Ec2Account, table: LockTable) -> None:
    table.put(**ended(ec2, 1), execution="c-9", since=datetime.now(UTC).isoformat())
    assert describe({}, movingSeconds=10)["decision"] == "CUT_OVER"


@pytest.mark.parametrize("at", ["", "yesterday", "2026-02-01T09:30:00", "9999-12-31T23:59:59Z", 7, None], ids=str)
def test_an_outcome_without_a_readable_recent_time_delays_no_plan(
    ec2: Ec2Account, table: LockTable, at: object
) -> None:
    table.put(**FROM_TAO | {"lastOutcome": {"outcome": "CUT_OVER", "execution": "c-7", "at": at}})
    assert describe({}, movingSeconds=10)["decision"] == "CUT_OVER"
