"""Servers that CloudFormation creates on the local AWS: they boot, answer at their Elastic IPs, and run commands."""

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.deployment import ROOT, Synthesis
from tests.local.situation import until

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
ExecStart=/bin/sh -c 'echo \\$\\$ >pid; exec python3 -m http.server --bind ${ADDRESS:-0.0.0.0} PORT'
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


def template(port: int, *, owner: str = "somebody", greeting: str = "") -> dict[str, Any]:
    """A network with two servers and two Elastic IPs, without associations."""
    tags = [*TAGS, {"Key": "Owner", "Value": owner}]

    def server(name: str) -> dict[str, Any]:
        user_data = USER_DATA.replace("NAME", f"{greeting}{name}").replace("PORT", str(port))
        image = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
        data = {"ImageId": image, "InstanceType": "t4g.nano", "SecurityGroupIds": [ref("Group", "GroupId")]}
        return resource(
            "LaunchTemplate",
            LaunchTemplateData=data | {"UserData": base64.b64encode(user_data.encode()).decode()},
        )

    def instance(name: str, launch_template: str) -> dict[str, Any]:
        version = {"LaunchTemplateId": ref(launch_template), "Version": ref(launch_template, "LatestVersionNumber")}
        named = [*tags, {"Key": "Name", "Value": name}]
        return resource("Instance", "Route", SubnetId=ref("Subnet"), LaunchTemplate=version, Tags=named)

    anyone = {"CidrIp": "0.0.0.0/0", "IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    resources = {
        "Vpc": resource("VPC", CidrBlock="10.0.0.0/16", EnableDnsHostnames=True, Tags=tags),
        "Subnet": resource("Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24", MapPublicIpOnLaunch="true"),
        "Gateway": resource("InternetGateway", Tags=tags),
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
        "Production": resource("EIP", Domain="vpc", Tags=tags),
        "Staging": resource("EIP", Domain="vpc", Tags=tags),
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


Outputs = Mapping[str, str]
ROLES = {"production": "ProductionAllocationId", "staging": "StagingAllocationId"}


def deploy(aws: LocalAws, stack: str, body: dict[str, Any], *, again: bool = False) -> Outputs:
    """Create or update the stack. Returns its outputs."""
    cloudformation = aws.client("cloudformation")
    call, done = ("update_stack", "UPDATE") if again else ("create_stack", "CREATE")
    getattr(cloudformation, call)(StackName=stack, TemplateBody=json.dumps(body))
    assert settled(aws, stack) == f"{done}_COMPLETE", failures(aws, stack)
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}


def settled(aws: LocalAws, stack: str) -> str:
    """The status of the stack, once nothing is in progress."""

    def status() -> str | None:
        (described,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return None if described["StackStatus"].endswith("IN_PROGRESS") else described["StackStatus"]

    return until(status)


def failures(aws: LocalAws, stack: str) -> list[str]:
    events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return [each.get("ResourceStatusReason", "") for each in events if each["ResourceStatus"].endswith("FAILED")]


def delete(aws: LocalAws, stack: str) -> str:
    """Delete the stack. Returns the status in which that ends."""
    (described,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    aws.client("cloudformation").delete_stack(StackName=stack)
    return settled(aws, described["StackId"])


def get(aws: LocalAws, ip: str) -> str | None:
    """What answers at the address; None if nothing does."""
    try:
        connection = http.client.HTTPConnection(ip, aws.server_port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except (OSError, http.client.HTTPException):
        return None


def answers(aws: LocalAws, outputs: Outputs) -> tuple[str | None, str | None]:
    """What answers at production and at staging."""
    return get(aws, outputs["ProductionIp"]), get(aws, outputs["StagingIp"])


def associate(aws: LocalAws, outputs: Outputs, **servers: str) -> None:
    for role, server in servers.items():
        aws.client("ec2").associate_address(AllocationId=outputs[ROLES[role]], InstanceId=outputs[server])


def disassociate(aws: LocalAws, outputs: Outputs) -> None:
    filters = [{"Name": "allocation-id", "Values": [outputs[key] for key in ROLES.values()]}]
    for address in aws.client("ec2").describe_addresses(Filters=filters)["Addresses"]:
        if "AssociationId" in address:
            aws.client("ec2").disassociate_address(AssociationId=address["AssociationId"])


def run(aws: LocalAws, instance: str, command: str) -> dict[str, Any]:
    """Run a command on an instance by Systems Manager, and return its invocation when it has ended."""
    ssm = aws.client("ssm")
    parameters = {"commands": [command]}
    sent = ssm.send_command(DocumentName="AWS-RunShellScript", InstanceIds=[instance], Parameters=parameters)

    def ended() -> dict[str, Any] | None:
        try:
            invocation = ssm.get_command_invocation(CommandId=sent["Command"]["CommandId"], InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:
            return None
        return None if invocation["Status"] in ("Pending", "InProgress") else invocation

    return until(ended)


def made_in_ec2(aws: LocalAws) -> dict[str, Any]:
    """Everything in EC2 that a stack can make. A terminated instance is still described, but does not count."""
    ec2, running = aws.client("ec2"), [{"Name": "instance-state-name", "Values": ["running"]}]
    return {
        "Vpcs": ec2.describe_vpcs()["Vpcs"],
        "Subnets": ec2.describe_subnets()["Subnets"],
        "Gateways": ec2.describe_internet_gateways()["InternetGateways"],
        "RouteTables": ec2.describe_route_tables()["RouteTables"],
        "Groups": ec2.describe_security_groups()["SecurityGroups"],
        "Templates": ec2.describe_launch_templates()["LaunchTemplates"],
        "Addresses": ec2.describe_addresses()["Addresses"],
        "Running": [
            each["Instances"][0]["InstanceId"] for each in ec2.describe_instances(Filters=running)["Reservations"]
        ],
    }


def processes(text: str) -> list[str]:
    """The command lines that have this text."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if text in line]


@pytest.fixture(scope="module")
def created(running_aws: LocalAws) -> Iterator[Outputs]:
    """The outputs of a stack with two servers and two addresses."""
    outputs = deploy(running_aws, "Servers", template(running_aws.server_port))
    yield outputs
    disassociate(running_aws, outputs)
    assert delete(running_aws, "Servers") == "DELETE_COMPLETE"


@pytest.fixture
def servers(running_aws: LocalAws, created: Outputs) -> Outputs:
    """The same, with production on bittybot and staging on tao, when both answer."""
    associate(running_aws, created, production="Bittybot", staging="Tao")
    until(lambda: all(answers(running_aws, created)))
    return created


def test_servers_of_a_stack_boot_and_answer_at_their_addresses(running_aws: LocalAws, servers: Outputs) -> None:
    assert answers(running_aws, servers) == ("bittybot", "tao")
    ids = [servers["Bittybot"], servers["Tao"]]
    described = running_aws.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    tags = [{tag["Key"]: tag["Value"] for tag in each["Instances"][0]["Tags"]} for each in described]
    assert [(each["Name"], each["eip-cutover:test-pair"]) for each in tags] == [("bittybot", "true"), ("tao", "true")]
    assert {each["Instances"][0]["Architecture"] for each in described} == {"arm64"}


def test_an_address_that_moves_leads_to_the_other_server(running_aws: LocalAws, servers: Outputs) -> None:
    associate(running_aws, servers, production="Tao")
    assert answers(running_aws, servers) == ("tao", None)  # EC2 has disassociated staging from tao
    associate(running_aws, servers, staging="Bittybot")
    assert answers(running_aws, servers) == ("tao", "bittybot")
    assert running_aws.holder("production") == "bittybot"  # the other pair of the local AWS has not moved


def test_commands_reach_a_server_and_what_they_start_lives_on(running_aws: LocalAws, servers: Outputs) -> None:
    deployed = run(running_aws, servers["Tao"], "deploy tao-8 && systemctl is-active web")
    assert (deployed["Status"], deployed["StandardOutputContent"]) == ("Success", "active\n")
    running_aws.systems_manager.core.forget_commands()  # ends what belongs to the command
    assert until(lambda: get(running_aws, servers["StagingIp"])) == "tao-8"
    assert get(running_aws, servers["ProductionIp"]) == "bittybot"
    run(running_aws, servers["Tao"], "deploy tao")
    failed = run(running_aws, servers["Tao"], "systemctl start nothing.service")
    assert (failed["Status"], failed["ResponseCode"]) == ("Failed", 1)


def test_a_service_that_dies_is_started_again(running_aws: LocalAws, servers: Outputs) -> None:
    before = run(running_aws, servers["Tao"], 'kill -9 "$(cat pid)"')
    assert before["Status"] == "Success"
    until(lambda: run(running_aws, servers["Tao"], "cat pid; kill -0 $(cat pid)")["Status"] == "Success")
    assert until(lambda: get(running_aws, servers["StagingIp"])) == "tao"


def test_systems_manager_lists_the_servers_of_the_stack_and_those_of_the_pair(
    running_aws: LocalAws, servers: Outputs
) -> None:
    of_pair = [server.instance_id for server in running_aws.servers.values()]
    ids = [servers["Bittybot"], servers["Tao"], *of_pair]
    pages = running_aws.client("ssm").get_paginator("describe_instance_information")
    listed = [each for page in pages.paginate(MaxResults=5) for each in page["InstanceInformationList"]]
    assert {each["InstanceId"]: each["PingStatus"] for each in listed} == dict.fromkeys(ids, "Online")
    one = [{"Key": "InstanceIds", "Values": [servers["Tao"]]}]
    (tao,) = running_aws.client("ssm").describe_instance_information(Filters=one)["InstanceInformationList"]
    assert (tao["InstanceId"], tao["PlatformType"]) == (servers["Tao"], "Linux")


def test_a_stopped_server_is_as_it_was_after_its_start(running_aws: LocalAws, servers: Outputs) -> None:
    run(running_aws, servers["Tao"], "deploy tao-9")
    running_aws.client("ec2").stop_instances(InstanceIds=[servers["Tao"]])
    assert answers(running_aws, servers) == ("bittybot", None)
    assert processes(servers["Tao"]) == []
    running_aws.client("ec2").start_instances(InstanceIds=[servers["Tao"]])
    assert until(lambda: get(running_aws, servers["StagingIp"])) == "tao-9"  # the user data did not run again
    run(running_aws, servers["Tao"], "deploy tao")


def test_a_second_deployment_replaces_a_server_only_if_its_user_data_changed(running_aws: LocalAws) -> None:
    port = running_aws.server_port
    first = deploy(running_aws, "Again", template(port))
    tagged = deploy(running_aws, "Again", template(port, owner="another"), again=True)
    (address,) = running_aws.client("ec2").describe_addresses(PublicIps=[first["ProductionIp"]])["Addresses"]
    changed = deploy(running_aws, "Again", template(port, greeting="new "), again=True)
    until(lambda: processes(changed["Tao"]))
    assert tagged == first
    assert {"Key": "Owner", "Value": "another"} in address["Tags"]
    assert changed["Tao"] != first["Tao"]
    assert changed["ProductionAllocationId"] == first["ProductionAllocationId"]
    assert processes(first["Tao"]) == []
    assert delete(running_aws, "Again") == "DELETE_COMPLETE"


def test_a_stack_whose_address_is_in_use_is_deleted_after_the_address_is_disassociated(
    running_aws: LocalAws, created: Outputs
) -> None:
    associate(running_aws, created, staging="Bittybot")
    before = made_in_ec2(running_aws)
    outputs = deploy(running_aws, "Gone", template(running_aws.server_port))
    until(lambda: processes(outputs["Tao"]))
    associate(running_aws, {**outputs, "Other": created["Tao"]}, production="Other")
    assert delete(running_aws, "Gone") == "DELETE_FAILED"
    assert any("InvalidIPAddress.InUse" in reason for reason in failures(running_aws, "Gone"))
    assert get(running_aws, outputs["ProductionIp"]) == "tao"
    disassociate(running_aws, outputs)
    assert delete(running_aws, "Gone") == "DELETE_COMPLETE"
    assert processes(outputs["Tao"]) == []
    assert get(running_aws, outputs["ProductionIp"]) is None
    assert made_in_ec2(running_aws) == before


def test_the_two_servers_of_make_try_boot_deploy_and_go_away(running_aws: LocalAws, tmp_path: Path) -> None:
    context = {"port": running_aws.server_port, "zone": "us-east-1a"}
    synthesis = Synthesis(context, folder=tmp_path, app=ROOT / "examples" / "two-servers" / "two_servers.py")
    with synthesis.process:
        body = json.loads((synthesis.finish() / "TwoServers.template.json").read_text())
    del body["Parameters"], body["Rules"]  # the version of the CDK's bootstrap stack
    before = made_in_ec2(running_aws)
    outputs = deploy(running_aws, "TwoServers", body)
    associate(running_aws, outputs, production="Bittybot", staging="Tao")
    until(lambda: all(answers(running_aws, outputs)))
    deployed = run(running_aws, outputs["Tao"], "PATH=$PATH:/usr/local/bin deploy 9-unhealthy")
    first, second = (json.loads(answer or "") for answer in answers(running_aws, outputs))
    disassociate(running_aws, outputs)
    assert (first["server"], first["release"], first["status"]) == ("bittybot", "1", 200)
    assert (second["server"], second["release"], second["status"]) == ("tao", "9-unhealthy", 200)
    assert deployed["StandardOutputContent"] == "release 9-unhealthy runs\n"
    assert delete(running_aws, "TwoServers") == "DELETE_COMPLETE"
    assert made_in_ec2(running_aws) == before
