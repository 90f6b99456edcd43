"""The emulated EC2 in both of its forms, and what its descriptions say of one address, instance or interface."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local.address_semantics import restore_address_semantics
from local.ec2 import IMAGE, REGION, Ec2
from local.missing_actions import add_missing_actions

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

FORMS = ("over HTTP", "in process")


@contextmanager
def emulated_ec2(form: str) -> "Iterator[EC2Client]":
    """A client of the emulated EC2."""
    if form == "over HTTP":
        with Ec2() as ec2:
            yield ec2.client()
    else:
        restore_address_semantics()
        add_missing_actions()
        with mock_aws():
            yield boto3.client("ec2", REGION)


def launch(client: "EC2Client", subnet_id: str | None = None, **interface: Any) -> str:
    """Launch an instance whose one network interface is specified so; its instance id."""
    if not subnet_id:
        subnets = client.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a"]}])["Subnets"]
        subnet_id = subnets[0]["SubnetId"]
    specification: Any = {"DeviceIndex": 0, "SubnetId": subnet_id, "AssociatePublicIpAddress": True, **interface}
    launched = client.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, NetworkInterfaces=[specification])
    return launched["Instances"][0]["InstanceId"]


def address(client: "EC2Client", allocation_id: str) -> Any:
    """As DescribeAddresses shows it."""
    return client.describe_addresses(AllocationIds=[allocation_id])["Addresses"][0]


def interface_of(client: "EC2Client", instance_id: str) -> Any:
    """The first network interface of an instance, as DescribeInstances shows it."""
    instances = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    return instances[0]["NetworkInterfaces"][0]


def network_interface(client: "EC2Client", network_interface_id: str) -> Any:
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
