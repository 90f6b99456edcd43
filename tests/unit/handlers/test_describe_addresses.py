"""DescribeAddresses: how it reads an event, and what it plans or refuses."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

import describe_addresses
from aws.alarms import refuse_alarms
from domain.errors import (
    InvalidRequest,
    PreflightFailed,
)
from domain.pair import NOT_SHOWN, Server
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT
from tests.unit.handlers.given import FROM_TAO, configure, describe, servers
from tests.unit.lock_table import LockTable
from tests.unit.misbehaving_servers import answering, saying, serving
from tests.unit.test_alarms import put_alarm
from tests.unit.test_servers import error


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


# Production on no server.


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
