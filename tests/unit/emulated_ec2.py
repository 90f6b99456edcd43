"""What the emulated EC2 describes about an address, an instance or an interface."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_ec2 import EC2Client

from local.ec2 import IMAGE

PRODUCTION, STAGING = "127.0.0.10", "127.0.0.11"


def launch(client: EC2Client, subnet_id: str | None = None, **interface: Any) -> str:
    """Launch an instance whose one network interface is specified so; its instance id."""
    if not subnet_id:
        subnets = client.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])["Subnets"]
        subnet_id = subnets[0]["SubnetId"]
    specification: Any = {"DeviceIndex": 0, "SubnetId": subnet_id, "AssociatePublicIpAddress": True, **interface}
    launched = client.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, NetworkInterfaces=[specification])
    return launched["Instances"][0]["InstanceId"]


def new_subnet(client: EC2Client, zone: str) -> tuple[str, list[str]]:
    """A subnet of its own, wherever there is room: its id, and some of its free private addresses."""
    vpc = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    used = {subnet["CidrBlock"] for subnet in client.describe_subnets()["Subnets"]}
    third = next(third for third in range(128, 255) if f"172.31.{third}.0/28" not in used)
    subnet = client.create_subnet(VpcId=vpc, CidrBlock=f"172.31.{third}.0/28", AvailabilityZone=zone)["Subnet"]
    return subnet["SubnetId"], [f"172.31.{third}.{last}" for last in (5, 6, 7)]


def address(client: EC2Client, allocation_id: str) -> Any:
    """As DescribeAddresses shows it."""
    return client.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0]


def interface_of(client: EC2Client, instance_id: str) -> Any:
    """The first network interface of an instance, as DescribeInstances shows it."""
    instances = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    return instances[0]["NetworkInterfaces"][0]


def network_interface(client: EC2Client, network_interface_id: str) -> Any:
    """As DescribeNetworkInterfaces shows it."""
    return client.describe_network_interfaces(NetworkInterfaceIds=[network_interface_id])["NetworkInterfaces"][0]


def private_ips(interface: Any) -> list[str]:
    """The private addresses of a network interface that was described."""
    return [each["PrivateIpAddress"] for each in interface["PrivateIpAddresses"]]


def public_ips(interface: Any) -> list[str | None]:
    """The public address of each of them."""
    return [each.get("Association", {}).get("PublicIp") for each in interface["PrivateIpAddresses"]]


def error_code(call: Callable[[], object]) -> str:
    """The code of the error that the call is refused with."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
