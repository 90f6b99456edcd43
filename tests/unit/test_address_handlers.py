"""The handlers that describe and move addresses: how they read an event, and what they return."""

import json
from collections.abc import Iterator
from functools import partial
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
from aws.alarms import refuse_alarms
from domain.errors import (
    AddressMoved,
    EC2Unavailable,
    InvalidRequest,
    LockLost,
    PreflightFailed,
    RecordUnavailable,
    Redriven,
    RollbackFailed,
    RollbackRequested,
)
from domain.pair import NOT_SHOWN, Place, Server
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT
from tests.unit.lock_table import LockTable
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_alarms import put_alarm
from tests.unit.test_rollback_request import REQUEST
from tests.unit.test_servers import RETIREMENT, FakeEc2, error
from tests.unit.test_time_of_a_change import SlowEc2


@pytest.fixture(scope="module")
def account() -> Iterator[Ec2Account]:
    with mock_aws():
        patch_client(describe_addresses.ec2)  # made at import
        yield Ec2Account()


@pytest.fixture(scope="module")
def table(account: Ec2Account) -> LockTable:
    return LockTable()


@pytest.fixture
def ec2(account: Ec2Account, table: LockTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ec2Account:
    account.reset()
    table.clear()
    monkeypatch.setenv("LOCK_TABLE", table.name)
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


def test_an_interrupted_execution_is_finished_where_it_had_staging(ec2: Ec2Account, table: LockTable) -> None:
    ec2.take_off("staging")
    place = ec2.place(ec2.tao, primary=False)
    table.put(pair="web", interrupted="arn", server="bittybot", privateIps={"tao": place.private_ip})
    plan = describe({})
    assert (plan["decision"], plan["idle"]) == ("REPAIR", place.to_json())
    table.put(pair="web", execution="the repair", interrupted="arn", server="tao", privateIps={"tao": "10.0.0.99"})
    plan = describe({}, keepLive=True)
    assert (plan["decision"], plan["idle"]) == ("REPAIR", ec2.place(ec2.tao).to_json())


def test_a_situation_without_a_safe_plan_is_refused_with_a_description(ec2: Ec2Account) -> None:
    ec2.take_off("staging")
    refusal = describe({})
    assert (refusal["decision"], refusal["error"], refusal["target"]) == ("REFUSED", "PreflightFailed", "-")
    assert "there is no record of an interrupted execution" in refusal["reason"]
    assert refusal["staging"]["server"] is None


def test_a_wrong_request_is_an_error_and_missing_addresses_fail_the_preflight(ec2: Ec2Account) -> None:
    with pytest.raises(InvalidRequest):
        describe({"pair": "api"})
    boto3.client("ec2").release_address(AllocationId=ec2.pair.staging)
    with pytest.raises(PreflightFailed, match=r"InvalidAllocationID\.NotFound"):
        describe({})


# A rollback, and the record of the pair.

CUTOVER = {"from": "tao", "to": "bittybot", "at": "2026-02-01T09:30:00Z", "execution": "c-7", "rollback": False}
TO_TAO: dict[str, Any] = {"server": "tao", "why": "it was live before c-7", "instanceId": None, "rejected": []}
FROM_TAO = {"pair": "web", "rollbackTo": TO_TAO, "lastCutover": CUTOVER, "revision": 7}


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


# Production on no server.


def servers(ec2: Ec2Account, folder: Path) -> tuple[Server, Server, Any]:
    """Two new instances as bittybot and tao, for a test that terminates one of them; and a client for that."""
    client = boto3.client("ec2")
    launched = client.run_instances(ImageId="ami-12c6146b", MinCount=2, MaxCount=2)["Instances"]
    bittybot, tao = (Server(name, each["InstanceId"]) for name, each in zip(("bittybot", "tao"), launched, strict=True))
    configure(ec2, folder, servers={each.name: each.instance_id for each in (bittybot, tao)})
    ec2.move("production", bittybot.instance_id)
    ec2.move("staging", tao.instance_id)
    return bittybot, tao, client


def test_production_on_no_server_goes_to_the_server_that_is_named(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    for request in ({"serverName": "tao"}, {"serverName": "tao", "emergency": True}):
        plan = describe(request)
        assert (plan["decision"], plan["live"], plan["idle"]) == ("CUT_OVER", None, ec2.place(ec2.tao).to_json())
        assert (plan["stagingTo"], plan["canRollBack"]) == (ec2.place(ec2.bittybot).to_json(), False)
        assert plan["warnings"] == ()


def test_production_on_no_server_is_refused_without_a_name_and_the_names_are_suggested(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    refusal = describe({})
    assert (refusal["decision"], refusal["error"]) == ("REFUSED", "PreflightFailed")
    assert refusal["reason"] == (
        f"The production address 198.51.100.1 ({ec2.pair.production}) is on no server, so no server is live. "
        f"{ec2.bittybot} is running and holds no address. {ec2.tao} is running and holds staging. Nothing was changed. "
        f'Start again with {{"pair": "web", "serverName": "bittybot"}} or {{"pair": "web", "serverName": "tao"}}.'
    )


@pytest.mark.parametrize("request_", [{}, {"rollback": True}], ids=str)
def test_only_servers_that_can_take_the_address_are_suggested(
    ec2: Ec2Account, tmp_path: Path, request_: dict[str, Any]
) -> None:
    bittybot, tao, client = servers(ec2, tmp_path)
    client.terminate_instances(InstanceIds=[bittybot.instance_id])
    reason = describe(request_)["reason"]
    assert f"{bittybot} is terminated and holds no address. {tao} is running and holds staging." in reason
    assert reason.endswith('Nothing was changed. Start again with {"pair": "web", "serverName": "tao"}.')
    client.stop_instances(InstanceIds=[tao.instance_id])
    reason = describe(request_)["reason"]
    assert reason.endswith("Nothing was changed. No server can be made live: see the runbook.")


def test_if_the_servers_cannot_be_described_the_reason_for_the_refusal_is_still_there(ec2: Ec2Account) -> None:
    denied: Any = Denied(ec2.client)
    event = {"execution": "cutover-1", "request": {"rollback": True}}
    refusal = describe_addresses.handler(event, CONTEXT, ec2=denied)
    assert refusal["error"] == "InvalidRequest"
    assert refusal["reason"].startswith(
        "There is no server to roll back to: no cutover is on record. DescribeInstances"
    )
    assert refusal["reason"].count("Nothing was changed.") == 1


class Denied:
    """EC2 for a role that may only describe addresses."""

    def __init__(self, client: Any) -> None:
        self.describe_addresses = client.describe_addresses

    def describe_instances(self, **_: Any) -> None:
        raise error("UnauthorizedOperation")


def test_a_live_server_that_is_terminated_or_unknown_does_not_prevent_a_cutover(
    ec2: Ec2Account, tmp_path: Path
) -> None:
    bittybot, tao, client = servers(ec2, tmp_path)
    client.terminate_instances(InstanceIds=[bittybot.instance_id])
    plan = describe({"serverName": "tao"})
    assert (plan["decision"], plan["stagingTo"], plan["canRollBack"]) == ("CUT_OVER", None, False)
    assert f"{bittybot} is terminated and cannot hold an address." in plan["warnings"][0]
    assert plan["restore"].count("\n") == 1
    configure(ec2, tmp_path, servers={"bittybot": "i-0123456789abcdef0", "tao": tao.instance_id})
    plan = describe({"serverName": "tao"})
    assert plan["decision"] == "CUT_OVER"
    assert f"bittybot (i-0123456789abcdef0) is {NOT_SHOWN} and cannot hold an address." in plan["warnings"][0]


def test_a_stopped_live_server_does_not_prevent_a_cutover_and_gets_staging(ec2: Ec2Account, tmp_path: Path) -> None:
    bittybot, _, client = servers(ec2, tmp_path)
    client.stop_instances(InstanceIds=[bittybot.instance_id])
    plan = describe({})
    assert (plan["decision"], plan["target"], plan["stagingTo"]["name"]) == ("CUT_OVER", "tao", "bittybot")
    assert (plan["canRollBack"], plan["urgent"], plan["compared"], plan["warnings"]) == (True, True, False, ())


def test_from_no_server_the_border_groups_of_both_servers_are_known_before_the_first_change(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    describe_addresses.handler({"execution": "c-1", "request": {"serverName": "tao"}}, CONTEXT, ec2=ec2.client)
    assert "DescribeAvailabilityZones" in ec2.calls


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
    assert 'start again with "emergency": true. Nothing was changed.' in refusal["reason"]
    ec2.take_off("staging")
    assert describe({"serverName": "bittybot"})["decision"] == "REPAIR"


def test_an_alarm_in_alarm_does_not_refuse_a_rollback_an_emergency_or_a_cutover_from_a_server_that_does_not_serve(
    ec2: Ec2Account, table: LockTable, tmp_path: Path
) -> None:
    bittybot, _, client = servers(ec2, tmp_path)
    two_servers = json.loads((tmp_path / "pairs.json").read_text())["web"]["servers"]
    configure(ec2, tmp_path, servers=two_servers, alarms=["errors", "missing"])
    put_alarm(boto3.client("cloudwatch"), "errors", "ALARM")
    table.put(**FROM_TAO)
    assert describe({})["decision"] == "REFUSED"
    for request in ({"rollback": True}, {"emergency": True}, {"serverName": "tao", "emergency": True}):
        plan = describe(request)
        assert (plan["decision"], plan["urgent"], plan["alarms"]) == ("CUT_OVER", True, ["errors", "missing"])
    client.stop_instances(InstanceIds=[bittybot.instance_id])
    assert describe({})["decision"] == "CUT_OVER", "a stopped live server raises alarms"
    ec2.take_off("production")
    assert describe({"serverName": "tao"})["decision"] == "CUT_OVER"


def test_alarms_without_data_are_a_warning_of_a_cutover_that_is_not_urgent(ec2: Ec2Account, tmp_path: Path) -> None:
    configure(ec2, tmp_path, alarms=["errors", "latency", "cold\n"])
    cloudwatch = boto3.client("cloudwatch")
    put_alarm(cloudwatch, "errors")
    for name in ("latency", "cold\n"):
        put_alarm(cloudwatch, name, "INSUFFICIENT_DATA")
    assert describe({})["warnings"] == (
        'Alarms in INSUFFICIENT_DATA guard nothing: "latency", "cold?". Check that their metrics get data, or remove '
        "them from alarms in cdk.json and deploy.",
    )
    for request in ({"emergency": True}, {"serverName": "bittybot"}):
        assert describe(request)["warnings"] == (), request


# Who else may change the pair.


def launch_as(market: str, ec2: Ec2Account, folder: Path) -> tuple[str, Server]:
    """A new instance as tao, bought so; and the other server."""
    bought = {"InstanceMarketOptions": {"MarketType": market}} if market else {}
    launched = boto3.client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **bought)  # type: ignore[arg-type]
    tao = launched["Instances"][0]["InstanceId"]
    configure(ec2, folder, servers={"bittybot": ec2.bittybot.instance_id, "tao": tao})
    ec2.move("staging", tao)
    return tao, ec2.bittybot


def tag(resource: str, **tags: str) -> None:
    """Tags that AWS gives: `autoscaling_groupName` is `aws:autoscaling:groupName`."""
    named = [
        {"Key": f"aws:{key.replace('_', ':', 1).replace('_', '-')}", "Value": value} for key, value in tags.items()
    ]
    boto3.client("ec2").create_tags(Resources=[resource], Tags=named)  # type: ignore[arg-type]


def test_servers_that_aws_may_replace_are_warnings_unless_the_request_is_urgent(
    ec2: Ec2Account, tmp_path: Path
) -> None:
    tao, _ = launch_as("spot", ec2, tmp_path)
    tag(tao, autoscaling_groupName="web <!here>")
    group = "is in the Auto Scaling group web \\x3c!here>, which may terminate it. Detach it."
    spot = "is a Spot Instance, which EC2 may interrupt. Use an On-Demand Instance."
    expected = (f"tao ({tao}) {group}", f"tao ({tao}) {spot}")
    assert describe({})["warnings"] == expected
    ec2.take_off("staging")
    repair = describe({"serverName": "bittybot"})
    assert (repair["decision"], repair["warnings"]) == ("REPAIR", expected)
    assert describe({"serverName": "tao", "emergency": True})["warnings"] == ()


def test_a_stack_that_may_move_an_address_back_is_a_warning_unless_the_request_is_urgent(
    ec2: Ec2Account, tmp_path: Path
) -> None:
    launch_as("", ec2, tmp_path)
    tag(ec2.pair.production, cloudformation_stack_name="base", cloudformation_logical_id="Production")
    resources = {"Back": {"Type": "AWS::EC2::EIPAssociation", "Properties": {"EIP": {"Ref": "Production"}}}}
    with pytest.warns(UserWarning, match="not supported by moto"):
        boto3.client("cloudformation").create_stack(StackName="base", TemplateBody=json.dumps({"Resources": resources}))
    (warning,) = describe({})["warnings"]
    assert warning == (
        "The CloudFormation stack base may move an address back when it is updated, because of its resource Back. "
        "Take it out of the stack as docs/limits.md says."
    )
    assert describe({"emergency": True})["warnings"] == ()


def test_alarms_that_do_not_exist_are_named_in_part_and_printably(ec2: Ec2Account) -> None:
    put_alarm(boto3.client("cloudwatch"), "errors")
    with pytest.raises(PreflightFailed) as refused:
        refuse_alarms(["errors", "a\n", "x" * 255, "c", "d", "e"])
    assert str(refused.value) == (
        f'CloudWatch has no alarm named "a?", "{"x" * 77}...", "c" (and 2 more). Correct alarms in cdk.json and deploy.'
    )


def test_alarms_that_cannot_be_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = saying(b"denied").replace(b"200 OK", b"403 Forbidden")
    with serving(answering(denied)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{server.ip}:{server.port}")
        with pytest.raises(PreflightFailed, match=r"alarms cannot be read: DescribeAlarms .*\."):
            refuse_alarms(["errors"])


# The states that change an address.


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


def places(ec2: Ec2Account) -> dict[str, Any]:
    return {"live": ec2.place(ec2.bittybot).to_json(), "idle": ec2.place(ec2.tao).to_json()}


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


# CheckServers.


def test_the_named_server_is_checked_as_long_as_the_longest_deadline(ec2: Ec2Account, tmp_path: Path) -> None:
    event = {"execution": "cutover-1", "pair": "web", "server": "tao"}
    passed: Any = FakeEc2()
    assert check_servers.handler(event, CONTEXT, ec2=passed) == {
        "passed": True,
        "alarms": [],
        "warnings": [],
        "soon": [],
    }
    assert passed.parameters == {"DescribeInstanceStatus": {"InstanceIds": [ec2.tao.instance_id]}}
    # Shorter than the pause before a second look.
    configure(ec2, tmp_path, healthCheck=[{"deadlineSeconds": seconds} for seconds in (1, 4, 2)])
    initializing: Any = FakeEc2(statuses=[{"SystemStatus": "initializing"}])
    with pytest.raises(PreflightFailed, match="did not complete within 4 s"):
        check_servers.handler(event, CONTEXT, ec2=initializing)


@pytest.mark.parametrize("urgent", [False, True])
def test_a_scheduled_event_of_the_server_is_a_warning_of_what_will_soon_prevent_a_cutover(
    ec2: Ec2Account, urgent: bool
) -> None:
    event = {"execution": "cutover-1", "pair": "web", "server": "tao", "urgent": urgent, "alarms": ["gone"]}
    scheduled: Any = FakeEc2(events=[RETIREMENT])
    result = check_servers.handler(event, CONTEXT, ec2=scheduled)
    (soon,) = result["soon"]
    assert "instance-retirement" in soon
    of_alarms = ['CloudWatch has no alarm named "gone".'] if urgent else []
    assert result["warnings"] == [*of_alarms, soon]


# DescribeRestored.


def restored(ec2: Ec2Account, **event: Any) -> dict[str, Any]:
    event = {"execution": "cutover-1", "pair": "web", "restoring": True, **places(ec2), **event}
    return describe_restored.handler(event, CONTEXT, ec2=ec2.client, sleep=ec2.slept.append)


def test_a_pair_is_restored_when_a_description_shows_it_as_planned(ec2: Ec2Account) -> None:
    described = restored(ec2)
    assert (described["production"]["server"], described["staging"]["server"]) == ("bittybot", "tao")
    assert ec2.slept == []
    ec2.take_off("staging")
    with pytest.raises(RollbackFailed) as failed:
        restored(ec2)
    assert sum(ec2.slept) > 9
    message = str(failed.value)
    assert message.startswith("Production is on bittybot (i-")
    assert "staging is on no server; production should be on bittybot" in message
    tao = ec2.place(ec2.tao)
    (command,) = message.split("A person must act. Run:\n")[1].splitlines()
    assert command == (
        f"aws ec2 associate-address --allocation-id {ec2.pair.staging} --instance-id {tao.server.instance_id} "
        f"--private-ip-address {tao.private_ip} --allow-reassociation"
    )


def test_a_pair_whose_production_was_on_no_server_is_unchanged_while_it_is_there(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    assert restored(ec2, restoring=False, live=None)["production"]["server"] is None
    assert restored(ec2, restoring=False, live=None, idle=None)["staging"]["server"] == "tao"
    ec2.take_off("staging")
    assert restored(ec2, restoring=False, live=None, idle=None)["staging"]["server"] is None
    with pytest.raises(RollbackFailed, match=r"production should be on no server and staging on tao .*must act\.$"):
        restored(ec2, restoring=False, live=None)
    ec2.move("production", ec2.bittybot.instance_id)
    with pytest.raises(
        RollbackFailed, match=r"^Production is on bittybot .* production should be on no server\. A per"
    ):
        restored(ec2, restoring=False, live=None, idle=None)


def test_production_that_cannot_go_back_is_reported_with_the_commands_that_finish_the_cutover(ec2: Ec2Account) -> None:
    for production_on, first in ((None, ec2.pair.production), (ec2.tao, ec2.pair.staging)):
        ec2.take_off("production") if production_on is None else ec2.move("production", production_on.instance_id)
        ec2.take_off("staging") if ec2.holder("staging") else None
        with pytest.raises(RollbackFailed) as failed:
            restored(ec2, live=None, stagingTo=ec2.place(ec2.bittybot).to_json())
        told, *commands = str(failed.value).split("\n")
        assert told.startswith(
            f"Production is {f'on {production_on}' if production_on else 'on no server'} and staging is"
        )
        assert "There is no server to roll back to" in told
        assert f'A person must act: fix {ec2.tao}, or make {ec2.bittybot} live with "serverName": "bittybot".' in told
        assert told.endswith("To put both addresses where they were going, run:")
        assert commands[0].startswith(f"aws ec2 associate-address --allocation-id {first} ")
        assert commands[-1].startswith(f"aws ec2 associate-address --allocation-id {ec2.pair.staging} ")
        assert ec2.bittybot.instance_id in commands[-1]
        assert f"--private-ip-address {ec2.place(ec2.bittybot).private_ip} " in commands[-1]
    assert ec2.slept == []


def test_staging_that_could_go_nowhere_gets_no_command_that_displaces_an_address(ec2: Ec2Account) -> None:
    ec2.take_off("production")
    ec2.take_off("staging")
    with pytest.raises(RollbackFailed) as failed:
        restored(ec2, live=None, stagingTo=None)
    told, *commands = str(failed.value).split("\n")
    assert f"No command moves staging: it could not go to {ec2.bittybot} when the execution began. To put prod" in told
    (command,) = commands
    assert command.startswith(f"aws ec2 associate-address --allocation-id {ec2.pair.production} ")
    assert f"--instance-id {ec2.tao.instance_id} --private-ip-address {ec2.place(ec2.tao).private_ip} " in command
    ec2.move("production", ec2.tao.instance_id)
    with pytest.raises(RollbackFailed, match=r"when the execution began\.$"):
        restored(ec2, live=None, stagingTo=None)
