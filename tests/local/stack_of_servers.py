"""A stack with two servers and two Elastic IPs on the local AWS: its template, and what tests do with it."""

import base64
import http.client
import json
import subprocess
from collections.abc import Mapping
from typing import Any

from local.aws import LocalAws
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


def template(port: int, *, owner: str = "web team", greeting: str = "") -> dict[str, Any]:
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
    tags = [{"Key": "Stack", "Value": stack}]
    getattr(cloudformation, call)(StackName=stack, TemplateBody=json.dumps(body), Tags=tags)
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


def processes(instance: str) -> list[str]:
    """The first process of an instance, as a command line. All that it has started ends with it."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if instance in line and "first_process.py" in line]
