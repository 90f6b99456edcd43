"""Servers that CloudFormation creates on the local AWS: they boot, answer at their Elastic IPs, and run commands."""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import LocalAws
from tests.local.situation import until

STACK = "Servers"
TAGS = [{"Key": "eip-cutover:test-pair", "Value": "true"}]
USER_DATA = """#!/bin/sh
set -e
mkdir -p "$ROOT/srv/web" "$ROOT/usr/local/bin" "$ROOT/etc/systemd/system"
cd "$ROOT/srv/web"
echo "NAME" >index.html
printf '#!/bin/sh\\necho "$1" >"%s/srv/web/index.html"; systemctl restart web' "$ROOT" >"$ROOT/usr/local/bin/deploy"
chmod +x "$ROOT/usr/local/bin/deploy"
cat >"$ROOT/etc/systemd/system/web.service" <<END
[Service]
Environment=PYTHONUNBUFFERED=1
WorkingDirectory=$ROOT/srv/web
ExecStart=python3 -m http.server --bind ${ADDRESS:-0.0.0.0} PORT
Restart=always
END
systemctl daemon-reload
systemctl enable --now web.service
echo "booted"
"""


def ref(name: str, attribute: str = "") -> dict[str, Any]:
    return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}


def resource(kind: str, *after: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::EC2::{kind}", "Properties": properties, "DependsOn": list(after)}


def template(port: int) -> dict[str, Any]:
    """A network with two servers and two Elastic IPs, without associations."""

    def server(name: str) -> dict[str, Any]:
        user_data = USER_DATA.replace("NAME", name).replace("PORT", str(port))
        image = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
        data = {"ImageId": image, "InstanceType": "t4g.nano", "SecurityGroupIds": [ref("Group", "GroupId")]}
        return resource(
            "LaunchTemplate",
            LaunchTemplateData=data | {"UserData": base64.b64encode(user_data.encode()).decode()},
        )

    def instance(name: str, launch_template: str) -> dict[str, Any]:
        version = {"LaunchTemplateId": ref(launch_template), "Version": ref(launch_template, "LatestVersionNumber")}
        tags = [*TAGS, {"Key": "Name", "Value": name}]
        return resource("Instance", "Route", SubnetId=ref("Subnet"), LaunchTemplate=version, Tags=tags)

    anyone = {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    resources = {
        "Vpc": resource("VPC", CidrBlock="10.0.0.0/16", EnableDnsHostnames=True, Tags=TAGS),
        "Subnet": resource("Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24", MapPublicIpOnLaunch="true"),
        "Gateway": resource("InternetGateway", Tags=TAGS),
        "Attachment": resource("VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
        "Table": resource("RouteTable", VpcId=ref("Vpc")),
        "Route": resource(
            "Route", "Attachment", RouteTableId=ref("Table"), DestinationCidrBlock="0.0.0.0/0", GatewayId=ref("Gateway")
        ),
        "Association": resource("SubnetRouteTableAssociation", RouteTableId=ref("Table"), SubnetId=ref("Subnet")),
        "Group": resource("SecurityGroup", VpcId=ref("Vpc"), GroupDescription="web", SecurityGroupIngress=[anyone]),
        "Https": resource("SecurityGroupIngress", GroupId=ref("Group", "GroupId"), **anyone | {"ToPort": "65535"}),
        "BittybotTemplate": server("bittybot"),
        "TaoTemplate": server("tao"),
        "Bittybot": instance("bittybot", "BittybotTemplate"),
        "Tao": instance("tao", "TaoTemplate"),
        "Production": resource("EIP", Domain="vpc", Tags=TAGS),
        "Staging": resource("EIP", Domain="vpc", Tags=TAGS),
    }
    outputs = {
        "Bittybot": ref("Bittybot"),
        "Tao": ref("Tao"),
        "ProductionIp": ref("Production"),
        "ProductionAllocationId": ref("Production", "AllocationId"),
        "StagingIp": ref("Staging", "PublicIp"),
        "StagingAllocationId": ref("Staging", "AllocationId"),
    }
    return {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in outputs.items()}}


def deploy(aws: LocalAws, body: dict[str, Any], *, again: bool = False) -> dict[str, str]:
    """Create or update the stack. Returns its outputs."""
    cloudformation = aws.client("cloudformation")
    call, done = ("update_stack", "UPDATE") if again else ("create_stack", "CREATE")
    getattr(cloudformation, call)(StackName=STACK, TemplateBody=json.dumps(body))
    assert settled(aws) == f"{done}_COMPLETE", failures(aws)
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def settled(aws: LocalAws, stack: str = STACK) -> str:
    """The status of the stack, once nothing is in progress."""

    def status() -> str | None:
        (described,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return None if described["StackStatus"].endswith("IN_PROGRESS") else described["StackStatus"]

    return until(status)


def failures(aws: LocalAws, stack: str = STACK) -> list[str]:
    events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return [each.get("ResourceStatusReason", "") for each in events if each["ResourceStatus"].endswith("FAILED")]


def delete(aws: LocalAws) -> str:
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    aws.client("cloudformation").delete_stack(StackName=STACK)
    return settled(aws, stack["StackId"])


def get(aws: LocalAws, ip: str) -> str | None:
    """What answers at the address; None if nothing does."""
    try:
        connection = http.client.HTTPConnection(ip, aws.server_port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError:
        return None


def run(aws: LocalAws, instance: str, command: str) -> dict[str, Any]:
    """Run a command on an instance by Systems Manager, and return its invocation when it has ended."""
    ssm = aws.client("ssm")
    content = {
        "schemaVersion": "2.2",
        "mainSteps": [{"action": "aws:runShellScript", "name": "run", "inputs": {"runCommand": [command]}}],
    }
    aws.systems_manager.core.register("Run", json.dumps(content))
    sent = ssm.send_command(DocumentName="Run", InstanceIds=[instance])["Command"]["CommandId"]

    def ended() -> dict[str, Any] | None:
        try:
            invocation = ssm.get_command_invocation(CommandId=sent, InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:
            return None
        return None if invocation["Status"] in ("Pending", "InProgress") else invocation

    return until(ended)


@pytest.fixture
def stack(aws: LocalAws) -> Iterator[dict[str, str]]:
    """The outputs of the stack, with production on bittybot and staging on tao."""
    outputs = deploy(aws, template(aws.server_port))
    associate(aws, outputs, production="Bittybot", staging="Tao")
    until(lambda: get(aws, outputs["ProductionIp"]) and get(aws, outputs["StagingIp"]))
    yield outputs
    disassociate_all(aws, outputs)
    delete(aws)


def associate(aws: LocalAws, outputs: dict[str, str], *, production: str, staging: str) -> None:
    ec2 = aws.client("ec2")
    ec2.associate_address(AllocationId=outputs["ProductionAllocationId"], InstanceId=outputs[production])
    ec2.associate_address(AllocationId=outputs["StagingAllocationId"], InstanceId=outputs[staging])


def disassociate_all(aws: LocalAws, outputs: dict[str, str]) -> None:
    ids = [outputs["ProductionAllocationId"], outputs["StagingAllocationId"]]
    for address in aws.client("ec2").describe_addresses(AllocationIds=ids)["Addresses"]:
        if "AssociationId" in address:
            aws.client("ec2").disassociate_address(AssociationId=address["AssociationId"])


def test_servers_of_a_stack_boot_and_answer_at_their_addresses(aws: LocalAws, stack: dict[str, str]) -> None:
    assert get(aws, stack["ProductionIp"]) == "bittybot"
    assert get(aws, stack["StagingIp"]) == "tao"


def test_smoke(aws: LocalAws) -> None:
    began = time.monotonic()
    outputs = deploy(aws, template(aws.server_port))
    print(time.monotonic() - began, outputs)
    associate(aws, outputs, production="Bittybot", staging="Tao")
    until(lambda: get(aws, outputs["ProductionIp"]) and get(aws, outputs["StagingIp"]))
    print(time.monotonic() - began, get(aws, outputs["ProductionIp"]))
    print(run(aws, outputs["Tao"], "pwd; deploy 7; env | grep ROOT"))
    until(lambda: get(aws, outputs["StagingIp"]) == "7")
    print(aws.client("ssm").describe_instance_information()["InstanceInformationList"])
    disassociate_all(aws, outputs)
    print(get(aws, outputs["StagingIp"]))
    print(deploy(aws, template(aws.server_port) | {"Description": "x"}, again=True) == outputs)
    print(delete(aws), failures(aws) if 0 else "")
    print(aws.client("ec2").describe_addresses()["Addresses"])
