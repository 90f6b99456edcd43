"""The states that change an address: how they read an event, and what they return."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import associate_address
import check_servers
import disassociate_address
from domain.errors import (
    AddressMoved,
    EC2Unavailable,
    LockLost,
    RecordUnavailable,
    Redriven,
    RollbackRequested,
)
from domain.pair import Place
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT
from tests.unit.handlers.given import configure, places
from tests.unit.lock_table import LockTable
from tests.unit.test_rollback_request import REQUEST
from tests.unit.test_servers import FakeEc2
from tests.unit.test_time_of_a_change import SlowEc2


def associate(ec2: Ec2Account, action: str, place: Place, **keys: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "action": action, "pair": "web", "redriven": False, **keys}
    event |= {"server": place.server.name, "privateIp": place.private_ip}
    if keys.get("comingFrom"):
        event["associationId"] = ec2.production_association
    answer: dict[str, Any] = associate_address.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)
    return answer


def disassociate(ec2: Ec2Account, **keys: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "pair": "web", **keys}
    if "rehearse" not in keys:
        event = {"associationId": ec2.association_id, **event}
    answer: dict[str, Any] = disassociate_address.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)
    return answer


def test_a_change_returns_the_id_of_the_request_that_ec2_accepted_and_a_step_without_one_none(ec2: Ec2Account) -> None:
    first = disassociate(ec2, **places(ec2), firstTry=True, redriven=False)
    move = partial(associate, ec2, "move production", ec2.place(ec2.tao), comingFrom="bittybot")
    second, again = move(firstTry=True), move(firstTry=False)
    assert [first["requestId"], second["requestId"], again["requestId"]] == [*ec2.request_ids, None]
    assert len(set(ec2.request_ids)) == 2
    ec2.lose_answer("AssociateAddress", "Resource.AlreadyAssociated")
    lost = associate(ec2, "move staging", ec2.place(ec2.bittybot), productionOn=ec2.place(ec2.tao).to_json(),
                     firstTry=True)  # fmt: skip
    assert (lost["changed"], lost["requestId"]) == (True, None)


def test_the_changes_of_a_cutover_return_the_address_after_the_change(ec2: Ec2Account) -> None:
    bittybot, tao = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    first = disassociate(ec2, **places(ec2), firstTry=True, redriven=False)
    assert (first["address"]["server"], first["changed"]) == (None, True)
    second = associate(ec2, "move production", tao, comingFrom="bittybot", firstTry=True)
    assert (second["address"]["server"], second["changed"]) == ("tao", True)
    third = associate(ec2, "move staging", bittybot, productionOn=tao.to_json(), firstTry=True)
    assert (third["address"]["privateIp"], third["changed"]) == (bittybot.private_ip, True)
    assert ec2.holders == ("tao", "bittybot")
    assert not associate(ec2, "move staging", bittybot, productionOn=tao.to_json(), comingFrom="tao", firstTry=True)[
        "changed"
    ]


def test_the_changes_of_a_cutover_from_no_server_return_the_address_after_the_change(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    bittybot, tao = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    nowhere = {"live": None, "idle": tao.to_json()}
    assert disassociate(ec2, **nowhere, firstTry=True, redriven=False)["changed"]
    first = associate(ec2, "move staging", tao, productionOn=None, comingFrom=None, firstTry=True)
    assert (first["address"]["server"], first["changed"]) == ("tao", True)
    second = associate(ec2, "move production", bittybot, comingFrom=None, firstTry=True)
    assert (second["address"]["server"], second["changed"]) == ("bittybot", True)
    with pytest.raises(AddressMoved, match="the plan expects it on no server"):
        disassociate(ec2, **nowhere, firstTry=True, redriven=False)


def test_staging_that_can_go_nowhere_or_is_not_on_the_idle_server_stays_where_it_is(ec2: Ec2Account) -> None:
    ec2.move("staging", ec2.stranger)
    event = {"execution": "cutover-1", "action": "move staging", "pair": "web", "server": None, "privateIp": None}
    stayed = associate_address.handler(event, CONTEXT, ec2=ec2.client)
    assert (stayed["address"]["instanceId"], stayed["changed"]) == (ec2.stranger, False)
    stayed = disassociate(ec2, **places(ec2), associationId=None, firstTry=True, redriven=False)
    assert (stayed["address"]["instanceId"], stayed["changed"]) == (ec2.stranger, False)
    assert associate_address.handler({**event, "action": "rehearse"}, CONTEXT, ec2=ec2.client)["changed"] is False
    assert disassociate(ec2, rehearse=True, associationId=None) == {"changed": False}
    assert ec2.changes == []
    assert not [call for call in ec2.calls if "dry run" in call]


def test_a_redriven_execution_calls_nothing(ec2: Ec2Account) -> None:
    place = ec2.place(ec2.tao)
    with pytest.raises(Redriven, match="Start a new execution"):
        disassociate(ec2, **places(ec2), firstTry=True, redriven=True)
    for action in ("move production", "move staging", "restore"):
        with pytest.raises(Redriven):
            associate(ec2, action, place, redriven=True)
    assert ec2.calls == []


def test_a_change_whose_calls_are_slow_ends_before_the_functions_timeout(ec2: Ec2Account) -> None:
    slow = SlowEc2(ec2, 4)
    event = {"execution": "cutover-1", "pair": "web", "redriven": False, "firstTry": True}
    in_slow_ec2: dict[str, Any] = {"ec2": slow, "sleep": slow.sleep, "clock": lambda: slow.now}
    with pytest.raises(EC2Unavailable, match="accepted the disassociation"):
        disassociate_address.handler(
            {**event, "associationId": ec2.association_id, **places(ec2)}, CONTEXT, **in_slow_ec2
        )
    to_tao = {"action": "move production", "server": "tao", "privateIp": None, "comingFrom": "bittybot"}
    to_tao["associationId"] = ec2.production_association
    slow.now += 60
    with pytest.raises(EC2Unavailable, match="accepted the association"):
        associate_address.handler({**event, **to_tao}, CONTEXT, **in_slow_ec2)
    assert slow.now == 1000 + 8 + 60 + 8
    assert ec2.holders == ("tao", None)


# A rollback that someone has asked for.

LOCK = {"pair": "web", "execution": REQUEST["execution"]}


def test_a_rollback_that_is_asked_for_before_the_first_change_changes_nothing(
    ec2: Ec2Account, table: LockTable, tmp_path: Path
) -> None:
    configure(ec2, tmp_path, healthCheck=[{"deadlineSeconds": 60}])
    table.put(pair="web", **REQUEST)
    with pytest.raises(RollbackRequested):
        disassociate(ec2, **places(ec2), firstTry=True, redriven=False, lock=LOCK)
    assert ec2.changes == []
    assert disassociate(ec2, **places(ec2), firstTry=False, redriven=False, lock=LOCK)["changed"], "may be the second"
    initializing: Any = FakeEc2(statuses=[{"SystemStatus": "initializing"}])
    event = {"execution": "cutover-1", "pair": "web", "server": "tao", "lock": LOCK}
    with pytest.raises(RollbackRequested):
        check_servers.handler(event, CONTEXT, ec2=initializing, sleep=ec2.slept.append)


def test_production_stays_on_a_first_try_once_a_rollback_was_asked_for_or_has_begun(
    ec2: Ec2Account, table: LockTable
) -> None:
    table.put(pair="web", **REQUEST)
    tries = {"comingFrom": "bittybot", "associationId": ec2.production_association, "redriven": False, "lock": LOCK}
    with pytest.raises(RollbackRequested):
        associate(ec2, "move production", ec2.place(ec2.tao), firstTry=True, **tries)
    assert ec2.changes == []
    ec2.take_off("staging")
    later = associate(ec2, "move production", ec2.place(ec2.tao), firstTry=False, **tries)
    assert later["changed"], "the first try may have moved it, and the rollback has not begun"


# A try that was lost, and starts when its execution has ended.


@pytest.mark.parametrize("first_try", [True, False])
def test_staging_stays_if_the_execution_does_not_hold_the_lock_any_more(
    ec2: Ec2Account, table: LockTable, monkeypatch: pytest.MonkeyPatch, first_try: bool
) -> None:
    event = {**places(ec2), "firstTry": first_try, "redriven": False, "lock": LOCK}
    for record in ({}, {"execution": REQUEST["rollbackRequestedBy"]}):
        table.put(pair="web", **record)
        with pytest.raises(LockLost, match="does not hold the lock of pair web any more, so this step does nothing"):
            disassociate(ec2, **event)
    assert ec2.changes == []
    monkeypatch.setenv("LOCK_TABLE", "unreadable")
    if first_try:  # it may be the late one, and another follows it
        with pytest.raises(RecordUnavailable):
            disassociate(ec2, **event)
    assert disassociate(ec2, **{**event, "firstTry": False})["changed"], "a change does not wait for DynamoDB"


@pytest.mark.parametrize(
    ("action", "keys"),
    [
        ("move production", {"comingFrom": "bittybot", "firstTry": True}),
        ("move production", {"comingFrom": "bittybot", "firstTry": False}),
        ("move staging", {"productionOn": None, "firstTry": True}),
        ("restore", {"address": "staging", "firstTry": True}),
        ("restore", {"address": "staging", "firstTry": False}),
    ],
)
def test_no_address_moves_if_the_execution_does_not_hold_the_lock_any_more(
    ec2: Ec2Account, table: LockTable, action: str, keys: dict[str, Any]
) -> None:
    if action == "restore":
        keys = {**keys, "productionOn": ec2.place(ec2.bittybot).to_json()}
    for record in ({}, {"execution": REQUEST["rollbackRequestedBy"]}):
        table.put(pair="web", **record)
        with pytest.raises(LockLost):
            associate(ec2, action, ec2.place(ec2.tao), lock=LOCK, **keys)
    assert ec2.changes == []


@pytest.mark.usefixtures("table")
def test_a_first_try_needs_the_lock_table_and_a_later_one_does_not_wait_for_it(
    ec2: Ec2Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCK_TABLE", "unreadable")
    ec2.take_off("staging")
    live, idle = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    moves = (
        partial(associate, ec2, "move production", idle, comingFrom="bittybot", lock=LOCK),
        partial(associate, ec2, "restore", live, address="staging", productionOn=idle.to_json(), lock=LOCK),
    )
    for move in moves:
        with pytest.raises(RecordUnavailable):
            move(firstTry=True)
        assert move(firstTry=False)["changed"]
    ec2.take_off("production")
    assert associate(ec2, "restore", idle, address="production", productionOn=idle.to_json())["changed"]


@pytest.mark.parametrize("first_try", [True, False])
def test_production_stays_if_staging_is_back_on_the_idle_server(ec2: Ec2Account, first_try: bool) -> None:
    displaces = r"^The staging address .* is on tao; associating the production address .* would displace it\.$"
    with pytest.raises(EC2Unavailable, match=displaces):
        associate(ec2, "move production", ec2.place(ec2.tao), comingFrom="bittybot", firstTry=first_try)
    assert ec2.holders == ("bittybot", "tao")
    assert ec2.changes == []
