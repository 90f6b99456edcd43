"""A release is deployed to the idle server, and becomes live there."""

from dataclasses import replace
from typing import Any

import pytest

from domain.errors import InvalidRequest
from domain.lock import Lock
from domain.pair import Pair, Server
from domain.plan import Plan, plan
from domain.record import EMPTY, Record
from domain.request import Request
from tests.unit.example_pair import BITTYBOT, TAO, WEB, address

HEADER = replace(WEB, health_check=[{"port": 80, "releaseHeader": "X-Release"}])


def released(pair: Pair = HEADER, *, record: Record = EMPTY, on: Server = BITTYBOT, **request: Any) -> Plan:
    return plan(
        Request(pair, release="7", **request), address("production", on), address("staging", WEB.other(on)),
        record=record,
    )  # fmt: skip


def test_a_release_goes_to_the_idle_server_first_and_is_expected_there() -> None:
    result = released()
    shown = result.to_json()
    assert result.steps[0] == "deploy release 7 to tao"
    assert (shown["decision"], shown["deploys"], shown["asksLive"], shown["expectedRelease"]) == (
        "CUT_OVER",
        True,
        True,
        "7",
    )
    assert released(WEB).to_json()["asksLive"] is False
    assert released(WEB).expected_release is None


def test_a_dry_run_deploys_nothing_so_it_expects_no_release() -> None:
    shown = released(dry_run=True).to_json()
    assert (shown["deploys"], shown["expectedRelease"], shown["steps"][0]) == (False, None, "deploy release 7 to tao")


def test_the_live_server_cannot_be_named_for_a_release() -> None:
    with pytest.raises(InvalidRequest, match="serverName = bittybot, which is live") as refused:
        released(server=BITTYBOT)
    assert "Leave serverName out, or name tao." in str(refused.value)
    assert released(server=TAO).decision == "CUT_OVER"


@pytest.mark.parametrize(
    ("deployed", "begun", "decision", "idle"),
    [("7", TAO, "ALREADY_LIVE", BITTYBOT), ("6", TAO, "CUT_OVER", BITTYBOT), ("7", BITTYBOT, "CUT_OVER", BITTYBOT),
     (None, TAO, "CUT_OVER", BITTYBOT)],
)  # fmt: skip
def test_after_an_interruption_a_release_stays_where_it_was_made_live(
    deployed: str | None, begun: Server, decision: str, idle: Server
) -> None:
    """Production is on tao; the interrupted execution was making `begun` live."""
    releases = {"tao": {"release": deployed, "execution": "arn", "deployed": True}} if deployed else {}
    record = Record(interrupted=Lock(server=begun.name, execution="arn"), releases=releases)
    result = released(on=TAO, record=record)
    assert (result.decision, result.idle.server) == (decision, idle)
