"""Network interfaces of the emulated EC2 behave as on AWS, over HTTP and in process.

Each test is a row of docs/emulators.md.
"""

from typing import Any

import pytest
from mypy_boto3_ec2 import EC2Client

from local.ec2 import REGION
from local.network_interfaces import BORDER_GROUP_TAG, LOCAL_ZONE, HostnameType
from tests.unit.emulated_ec2 import (
    address,
    error_code,
    interface_of,
    launch,
    network_interface,
    new_subnet,
    private_ips,
)

BOSTON = "us-east-1-bos-1"
DUAL_STACK: HostnameType = "public-dual-stack-dns-name"


# Network border groups.


def test_an_address_is_in_the_border_group_that_it_was_allocated_in(client: EC2Client, production: str) -> None:
    in_boston = client.allocate_address(NetworkBorderGroup=BOSTON)
    assert in_boston["NetworkBorderGroup"] == BOSTON
    assert address(client, in_boston["AllocationId"])["NetworkBorderGroup"] == BOSTON
    assert address(client, production)["NetworkBorderGroup"] == REGION


@pytest.mark.parametrize("by", ["InstanceId", "NetworkInterfaceId"])
def test_the_address_of_another_border_group_is_refused_but_not_in_a_dry_run(
    client: EC2Client, instance: str, by: str
) -> None:
    in_boston = client.allocate_address(NetworkBorderGroup=BOSTON)["AllocationId"]
    target: Any = {"InstanceId": instance} if by == "InstanceId" else {by: interface_of(client, instance)[by]}

    def associate(*, dry_run: bool) -> object:
        return client.associate_address(AllocationId=in_boston, DryRun=dry_run, **target)

    assert error_code(lambda: associate(dry_run=True)) == "DryRunOperation"
    assert error_code(lambda: associate(dry_run=False)) == "InvalidParameterCombination"
    assert "AssociationId" not in address(client, in_boston)


def test_a_local_zones_instance_takes_addresses_of_its_border_group_only(client: EC2Client, production: str) -> None:
    subnet, _ = new_subnet(client, LOCAL_ZONE.name)
    in_boston = launch(client, subnet)
    of_boston = client.allocate_address(NetworkBorderGroup=BOSTON)["AllocationId"]
    client.associate_address(AllocationId=of_boston, InstanceId=in_boston)
    code = error_code(lambda: client.associate_address(AllocationId=production, InstanceId=in_boston))
    assert code == "InvalidParameterCombination"
    assert address(client, of_boston)["InstanceId"] == in_boston
    zones = client.describe_availability_zones()["AvailabilityZones"]
    assert LOCAL_ZONE.name not in [zone["ZoneName"] for zone in zones]


def test_a_zone_shows_the_border_group_of_its_interfaces(client: EC2Client) -> None:
    names = ["us-east-1a", "us-east-1b", LOCAL_ZONE.name]
    zones = client.describe_availability_zones(ZoneNames=names)["AvailabilityZones"]
    groups = {zone["ZoneName"]: zone["NetworkBorderGroup"] for zone in zones}
    assert groups == dict(zip(names, [REGION, REGION, BOSTON], strict=True))
    (boston,) = client.describe_availability_zones(ZoneNames=names[2:])["AvailabilityZones"]
    assert boston["ZoneName"] == LOCAL_ZONE.name


def test_a_tag_changes_a_border_group(client: EC2Client, production: str, instance: str) -> None:
    tags: Any = [{"Key": BORDER_GROUP_TAG, "Value": BOSTON}]
    client.create_tags(Resources=[production], Tags=tags)
    assert address(client, production)["NetworkBorderGroup"] == BOSTON
    code = error_code(lambda: client.associate_address(AllocationId=production, InstanceId=instance))
    assert code == "InvalidParameterCombination"
    client.create_tags(Resources=[interface_of(client, instance)["NetworkInterfaceId"]], Tags=tags)
    client.associate_address(AllocationId=production, InstanceId=instance)
    assert address(client, production)["InstanceId"] == instance


# Public hostnames.


def test_every_interface_shows_its_public_hostname(client: EC2Client, production: str, instance: str) -> None:
    client.associate_address(AllocationId=production, InstanceId=instance)
    eni = interface_of(client, instance)["NetworkInterfaceId"]
    ipv4 = {"PublicIpv4DnsName": "ec2-127-0-0-10.compute-1.amazonaws.com"}
    options: Any = network_interface(client, eni)["PublicIpDnsNameOptions"]
    assert options == {"DnsHostnameType": "public-ipv4-dns-name", **ipv4}

    assert client.modify_public_ip_dns_name_options(NetworkInterfaceId=eni, HostnameType=DUAL_STACK)["Successful"]
    options = network_interface(client, eni)["PublicIpDnsNameOptions"]
    assert options["DnsHostnameType"] == DUAL_STACK
    assert options["PublicDualStackDnsName"].endswith(".us-east-1.ip.aws")

    client.assign_ipv6_addresses(NetworkInterfaceId=eni, Ipv6Addresses=["2001:db8::1"])
    client.modify_public_ip_dns_name_options(NetworkInterfaceId=eni, HostnameType="public-ipv6-dns-name")
    names = network_interface(client, eni)["PublicIpDnsNameOptions"]
    assert names.pop("DnsHostnameType") == "public-ipv6-dns-name"
    assert names.keys() == {"PublicIpv4DnsName", "PublicIpv6DnsName", "PublicDualStackDnsName"}


def test_a_public_hostname_needs_a_known_type_and_an_existing_interface(client: EC2Client, instance: str) -> None:
    eni = interface_of(client, instance)["NetworkInterfaceId"]
    wrong: Any = "public"

    def modify(network_interface_id: str, hostname_type: Any, *, dry_run: bool = False) -> object:
        return client.modify_public_ip_dns_name_options(
            NetworkInterfaceId=network_interface_id, HostnameType=hostname_type, DryRun=dry_run
        )

    assert error_code(lambda: modify(eni, wrong)) == "InvalidParameterValue"
    assert error_code(lambda: modify("eni-0123456789abcdef0", DUAL_STACK)) == "InvalidNetworkInterfaceID.NotFound"
    assert error_code(lambda: modify(eni, DUAL_STACK, dry_run=True)) == "DryRunOperation"
    assert network_interface(client, eni)["PublicIpDnsNameOptions"]["DnsHostnameType"] == "public-ipv4-dns-name"


def test_the_last_public_address_of_a_dual_stack_hostname_cannot_be_disassociated_and_its_dry_run_can(
    client: EC2Client, production: str, staging: str, instance: str
) -> None:
    association = client.associate_address(AllocationId=production, InstanceId=instance)["AssociationId"]
    shown = interface_of(client, instance)
    client.modify_public_ip_dns_name_options(NetworkInterfaceId=shown["NetworkInterfaceId"], HostnameType=DUAL_STACK)

    def disassociate(*, dry_run: bool) -> object:
        return client.disassociate_address(AssociationId=association, DryRun=dry_run)

    assert error_code(lambda: disassociate(dry_run=True)) == "DryRunOperation"
    assert error_code(lambda: disassociate(dry_run=False)) == "OperationNotPermitted"
    assert address(client, production)["AssociationId"] == association

    second = private_ips(shown)[1]
    client.associate_address(AllocationId=staging, InstanceId=instance, PrivateIpAddress=second)
    disassociate(dry_run=False)
    assert "AssociationId" not in address(client, production)


def test_a_secondary_address_leaves_a_dual_stack_hostname(client: EC2Client, production: str, instance: str) -> None:
    shown = interface_of(client, instance)
    client.modify_public_ip_dns_name_options(NetworkInterfaceId=shown["NetworkInterfaceId"], HostnameType=DUAL_STACK)
    associated = client.associate_address(
        AllocationId=production, InstanceId=instance, PrivateIpAddress=private_ips(shown)[1]
    )
    client.disassociate_address(AssociationId=associated["AssociationId"])
    assert "AssociationId" not in address(client, production)


def test_the_last_address_of_a_dual_stack_hostname_may_move(client: EC2Client, production: str, instance: str) -> None:
    client.associate_address(AllocationId=production, InstanceId=instance)
    eni = interface_of(client, instance)["NetworkInterfaceId"]
    client.modify_public_ip_dns_name_options(NetworkInterfaceId=eni, HostnameType=DUAL_STACK)
    other = launch(client)
    client.associate_address(AllocationId=production, InstanceId=other)
    assert address(client, production)["InstanceId"] == other
