"""The handlers that describe and move addresses: how they read an event, and what they return."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import patch_client

import associate_address
import check_servers
import describe_addresses
import describe_restored
import disassociate_address
from describe_addresses import refuse_alarms
from domain.errors import EC2Unavailable, InvalidRequest, PreflightFailed, Redriven, RollbackFailed, RollbackRequested
from domain.pair import Place
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_alarms import put_alarm
from tests.unit.test_rollback_request import REQUEST, LockTable
from tests.unit.test_servers import FakeEc2
from tests.unit.test_time_of_a_change import SlowEc2


@pytest.fixture(scope="module")
def account() -> Iterator[Ec2Account]:
    with mock_aws():
        patch_client(describe_addresses.ec2)  # made at import
        yield Ec2Account()


@pytest.fixture
def ec2(account: Ec2Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ec2Account:
    account.reset()
    monkeypatch.setenv("PAIRS_FILE", str(tmp_path / "pairs.json"))
    configure(account, tmp_path)
    return account


def configure(ec2: Ec2Account, folder: Path, **keys: Any) -> None:
    pair = ec2.pair
    addresses = {"production": pair.production, "staging": pair.staging}
    servers = {server.name: server.instance_id for server in pair.servers}
    checks = {"healthCheck": pair.health_check, "bakeSeconds": 0, "alarms": []}
    (folder / "pairs.json").write_text(json.dumps({"web": {**addresses, "servers": servers, **checks, **keys}}))


# DescribeAddresses.


def describe(request: Any, **event: Any) -> dict[str, Any]:
    return describe_addresses.handler({"execution": "cutover-1", "request": request, **event}, CONTEXT)


def test_an_interrupted_execution_is_finished_where_it_had_staging(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    place = ec2.place(ec2.tao, primary=False)
    plan = describe({}, interrupted={"server": "bittybot", "privateIps": {"tao": place.private_ip}})
    assert (plan["decision"], plan["idle"]) == ("REPAIR", place.to_json())
    assert describe({}, interrupted={"server": "tao", "privateIps": {}}, keepLive=True)["decision"] == "REPAIR"


def test_a_situation_without_a_safe_plan_is_refused_with_a_description(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    refusal = describe({})
    assert (refusal["decision"], refusal["target"]) == ("REFUSED", "-")
    assert "there is no record of an interrupted execution" in refusal["reason"]
    assert refusal["staging"]["server"] is None


def test_a_wrong_request_is_an_error_and_missing_addresses_fail_the_preflight(ec2: Ec2Account) -> None:
    with pytest.raises(InvalidRequest):
        describe({"pair": "api"})
    boto3.client("ec2").release_address(AllocationId=ec2.pair.staging)
    with pytest.raises(PreflightFailed, match=r"InvalidAllocationID\.NotFound"):
        describe({})


# Its alarms.


def test_an_alarm_in_alarm_refuses_a_cutover_but_not_a_repair(ec2: Ec2Account, tmp_path: Path) -> None:
    configure(ec2, tmp_path, alarms=["errors", "latency"])
    cloudwatch = boto3.client("cloudwatch")
    put_alarm(cloudwatch, "errors")
    put_alarm(cloudwatch, "latency")
    assert describe({})["decision"] == "CUT_OVER"
    put_alarm(cloudwatch, "latency", "ALARM")
    refusal = describe({})
    assert refusal["decision"] == "REFUSED"
    assert refusal["reason"].startswith('The alarm "latency" has been in ALARM')
    assert "Nothing was changed. Fix what the alarm reports" in refusal["reason"]
    ec2.take_off("staging")
    assert describe({"serverName": "bittybot"})["decision"] == "REPAIR"


def test_alarms_that_do_not_exist_are_named_in_part_and_printably(ec2: Ec2Account) -> None:
    put_alarm(boto3.client("cloudwatch"), "errors")
    with pytest.raises(PreflightFailed) as refused:
        refuse_alarms(["errors", "a\n", "x" * 255, "c", "d", "e"])
    assert str(refused.value) == (
        f'CloudWatch has no alarm named "a?", "{"x" * 77}...", "c" (and 2 more). Nothing was changed. Correct alarms '
        f"in cdk.json and deploy."
    )


def test_alarms_that_cannot_be_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = saying(b"denied").replace(b"200 OK", b"403 Forbidden")
    with serving(answering(denied)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        with pytest.raises(PreflightFailed, match=r"alarms cannot be read: DescribeAlarms .* Nothing was changed\."):
            refuse_alarms(["errors"])


# The states that change an address.


def associate(ec2: Ec2Account, action: str, place: Place, **keys: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "action": action, "pair": "web", "redriven": False, **keys}
    event |= {"server": place.server.name, "privateIp": place.private_ip}
    answer: dict[str, Any] = associate_address.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)
    return answer


def disassociate(ec2: Ec2Account, **keys: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "pair": "web", **keys}
    answer: dict[str, Any] = disassociate_address.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)
    return answer


def places(ec2: Ec2Account) -> dict[str, Any]:
    return {"live": ec2.place(ec2.bittybot).to_json(), "idle": ec2.place(ec2.tao).to_json()}


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
        disassociate_address.handler({**event, **places(ec2)}, CONTEXT, **in_slow_ec2)
    to_tao = {"action": "move production", "server": "tao", "privateIp": None, "comingFrom": "bittybot"}
    slow.now += 60
    with pytest.raises(EC2Unavailable, match="accepted the association"):
        associate_address.handler({**event, **to_tao}, CONTEXT, **in_slow_ec2)
    assert slow.now == 1000 + 8 + 60 + 8
    assert ec2.holders == ("tao", None)


# A rollback that someone has asked for.

LOCK = {"pair": "web", "execution": REQUEST["execution"]}


def test_a_rollback_that_is_asked_for_before_the_first_change_changes_nothing(
    ec2: Ec2Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(ec2, tmp_path, healthCheck=[{"deadlineSeconds": 60}])
    monkeypatch.setenv("LOCK_TABLE", "Locks")
    LockTable().put(pair="web", **REQUEST)
    with pytest.raises(RollbackRequested):
        disassociate(ec2, **places(ec2), firstTry=True, redriven=False, lock=LOCK)
    assert ec2.changes == []
    assert disassociate(ec2, **places(ec2), firstTry=False, redriven=False, lock=LOCK)["changed"], "may be the second"
    initializing: Any = FakeEc2(statuses=[{"SystemStatus": "initializing"}])
    event = {"execution": "cutover-1", "pair": "web", "server": "tao", "lock": LOCK}
    with pytest.raises(RollbackRequested):
        check_servers.handler(event, CONTEXT, ec2=initializing, sleep=ec2.slept.append)


# CheckServers.


def test_the_named_server_is_checked_as_long_as_the_longest_deadline(ec2: Ec2Account, tmp_path: Path) -> None:
    event = {"execution": "cutover-1", "pair": "web", "server": "tao"}
    passed: Any = FakeEc2()
    assert check_servers.handler(event, CONTEXT, ec2=passed) == {"passed": True}
    assert passed.parameters == {"DescribeInstanceStatus": {"InstanceIds": [ec2.tao.instance_id]}}
    # Shorter than the pause before a second look.
    configure(ec2, tmp_path, healthCheck=[{"deadlineSeconds": seconds} for seconds in (1, 4, 2)])
    initializing: Any = FakeEc2(statuses=[{"SystemStatus": "initializing"}])
    with pytest.raises(PreflightFailed, match="did not complete within 4 s"):
        check_servers.handler(event, CONTEXT, ec2=initializing)


# DescribeRestored.


def test_a_pair_is_restored_when_a_description_shows_it_as_planned(ec2: Ec2Account) -> None:
    event = {"execution": "cutover-1", "pair": "web", **places(ec2)}
    injected: dict[str, Any] = {"ec2": ec2.client, "sleep": ec2.slept.append}
    restored = describe_restored.handler(event, CONTEXT, **injected)
    assert (restored["production"]["server"], restored["staging"]["server"]) == ("bittybot", "tao")
    assert ec2.slept == []
    ec2.take_off("staging")
    with pytest.raises(RollbackFailed) as failed:
        describe_restored.handler(event, CONTEXT, **injected)
    assert sum(ec2.slept) > 9
    message = str(failed.value)
    assert message.startswith("Production is on bittybot (i-")
    assert "staging is on no server; production should be on bittybot" in message
    assert f"A person must act. Run: aws ec2 associate-address --allocation-id {ec2.pair.staging} " in message
