"""The CDK app of a test pair: two small servers and two Elastic IPs, to be moved, broken and repaired at will.

The stack does not say which server has which address: `make try` associates them, and cutovers move them. A stack with
associations can move an address back when it is updated (docs/limits.md).
"""

import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import CfnOutput, Fn, Stack, Tags, aws_ec2 as ec2, aws_iam as iam
from constructs import Construct

sys.path.append(str(Path(__file__).parents[2]))  # for `stacks`


HERE = Path(__file__).parent
STACK = "TwoServers"
TEST_PAIR_TAG, TEST_PAIR = "eip-cutover:test-pair", "true"
"""The tag of all that may be moved, broken and repaired at will."""
SERVERS = ("bittybot", "tao")
INSTANCE_TYPE = "t4g.nano"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
VOLUME_GIBIBYTES = 8
AGENT_POLICY = "AmazonSSMManagedInstanceCore"


def user_data(server: str, *, production_ip: str, port: int) -> str:
    """The script with which a server boots for the first time: `user_data.sh`, with the two programs in it."""
    text = (HERE / "user_data.sh").read_text()
    values = {
        "@SERVER@": server,
        "@PRODUCTION_IP@": production_ip,
        "@PORT@": str(port),
        "@WEB_SERVER@": (HERE / "web_server.py").read_text().strip(),
        "@DEPLOY@": (HERE / "deploy").read_text().strip(),
    }
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text


class Network(Construct):
    """A VPC with one public subnet, and a security group that lets users in on one port."""

    def __init__(self, scope: Construct, construct_id: str, *, zone: str, port: int) -> None:
        super().__init__(scope, construct_id)
        public = ec2.SubnetConfiguration(
            name="Public",
            subnet_type=ec2.SubnetType.PUBLIC,
            # So that Systems Manager reaches a server that has no Elastic IP.
            map_public_ip_on_launch=True,
        )
        addresses = ec2.IpAddresses.cidr("10.0.0.0/24")
        options: Any = {"nat_gateways": 0, "subnet_configuration": [public], "ip_addresses": addresses}
        self.vpc = ec2.Vpc(self, "Vpc", availability_zones=[zone], **options)
        (self.subnet,) = self.vpc.public_subnets
        subnet: Any = self.subnet.node.default_child
        # A zone with a fixed name: not every zone has the instance type.
        subnet.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3010"]}})
        does = "The web servers of the test pair"
        self.security_group = ec2.SecurityGroup(self, "SecurityGroup", vpc=self.vpc, description=does)
        self.security_group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "Users, and the health check")


class Server(Construct):
    """An instance with a web server. Changing its user data replaces it; a new Amazon Linux does not."""

    def __init__(self, scope: Construct, construct_id: str, *, network: Network, role: iam.Role, script: str) -> None:
        super().__init__(scope, construct_id)
        volume = ec2.BlockDeviceVolume.ebs(VOLUME_GIBIBYTES, volume_type=ec2.EbsDeviceVolumeType.GP3, encrypted=True)
        template = ec2.LaunchTemplate(
            self,
            "LaunchTemplate",
            instance_type=ec2.InstanceType(INSTANCE_TYPE),
            # EC2 reads the parameter when it launches the instance: the template stays the same from month to month.
            machine_image=ec2.MachineImage.resolve_ssm_parameter_at_launch(IMAGE),
            user_data=ec2.UserData.custom(script),
            role=role,
            security_group=network.security_group,
            block_devices=[ec2.BlockDevice(device_name="/dev/xvda", volume=volume)],
            require_imdsv2=True,
            http_put_response_hop_limit=1,
            cpu_credits=ec2.CpuCredits.STANDARD,  # "unlimited", the default, can cost money
        )
        self.instance = ec2.CfnInstance(
            self,
            "Instance",
            launch_template=ec2.CfnInstance.LaunchTemplateSpecificationProperty(
                launch_template_id=template.launch_template_id, version=template.latest_version_number
            ),
            subnet_id=network.subnet.subnet_id,
        )
        # It boots with a route to Systems Manager, and is gone before the route and the gateway are deleted.
        self.instance.node.add_dependency(network.subnet.internet_connectivity_established)
        for named in (self.instance, template):
            Tags.of(named).add("Name", construct_id)


class TwoServers(Stack):
    """The test pair: `bittybot` and `tao`, and the addresses `production` and `staging`, on no server at first."""

    def __init__(self, scope: Construct, construct_id: str, *, zone: str, port: int, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        production, staging = (ec2.CfnEIP(self, name, domain="vpc") for name in ("Production", "Staging"))
        for address in (production, staging):
            Tags.of(address).add("Name", address.node.id.lower())
        network = Network(self, "Network", zone=zone, port=port)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
        role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(AGENT_POLICY))
        CfnOutput(self, "Port", value=str(port))
        for name, address in {"Production": production, "Staging": staging}.items():
            CfnOutput(self, f"{name}AllocationId", value=address.attr_allocation_id)
            CfnOutput(self, f"{name}Ip", value=address.attr_public_ip)
        for name in SERVERS:
            script = user_data(name, production_ip=production.attr_public_ip, port=port)
            server = Server(self, name, network=network, role=role, script=script)
            CfnOutput(self, name.capitalize(), value=server.instance.ref)
        Tags.of(self).add(TEST_PAIR_TAG, TEST_PAIR)


def main() -> None:
    app = cdk.App(analytics_reporting=False)
    # Without the context `zone`, the first one; `make try` names a zone that has the instance type, always the same.
    zone = app.node.try_get_context("zone") or Fn.select(0, Fn.get_azs())
    does = "Two servers and two Elastic IPs to try the Elastic IP cutover with (make try, make try-destroy)."
    TwoServers(app, STACK, zone=zone, port=int(app.node.try_get_context("port")), description=does)
    app.synth()


if __name__ == "__main__":
    main()
