"""Every private address of an interface of the emulated EC2 can have an Elastic IP, over HTTP and in process.

Each test is a row of docs/emulators.md.
"""

from typing import Any

import pytest
from mypy_boto3_ec2 import EC2Client

from tests.unit.emulated_ec2 import (
    PRODUCTION,
    STAGING,
    address,
    error_code,
    interface_of,
    launch,
    network_interface,
    new_subnet,
    private_ips,
    public_ips,
)


@pytest.fixture
def both(client: EC2Client, production: str, staging: str, instance: str) -> str:
    """The interface of the instance, with production on its second private address and staging on the first."""
    interface = interface_of(client, instance)
    client.associate_address(AllocationId=staging, InstanceId=instance)
    client.associate_address(AllocationId=production, InstanceId=instance, PrivateIpAddress=private_ips(interface)[1])
    return str(interface["NetworkInterfaceId"])


def attach(client: EC2Client, instance_id: str) -> str:
    """Attach a second network interface to an instance; its id."""
    subnet = interface_of(client, instance_id)["SubnetId"]
    created = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    client.attach_network_interface(NetworkInterfaceId=created, InstanceId=instance_id, DeviceIndex=1)
    return created


def test_an_instance_is_launched_with_the_requested_private_addresses(client: EC2Client) -> None:
    subnet, listed = new_subnet(client, "us-east-1a")
    addresses = [{"PrivateIpAddress": each, "Primary": each == listed[0]} for each in listed]
    by_list = interface_of(client, launch(client, subnet, PrivateIpAddresses=addresses))
    by_number = interface_of(client, launch(client, SecondaryPrivateIpAddressCount=2))
    assert private_ips(by_list) == listed
    assert len(set(private_ips(by_number))) == 3
    for interface in (by_list, by_number):
        assert [each["Primary"] for each in interface["PrivateIpAddresses"]] == [True, False, False]
        assert interface["PrivateIpAddress"] == private_ips(interface)[0]


def test_a_private_address_that_was_assigned_later_takes_an_elastic_ip(client: EC2Client, production: str) -> None:
    instance = launch(client)
    eni = interface_of(client, instance)["NetworkInterfaceId"]
    answer = client.assign_private_ip_addresses(NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=1)
    second = private_ips(interface_of(client, instance))[1]
    assert [each["PrivateIpAddress"] for each in answer["AssignedPrivateIpAddresses"]] == [second]
    client.associate_address(AllocationId=production, NetworkInterfaceId=eni, PrivateIpAddress=second)
    assert address(client, production)["PrivateIpAddress"] == second


def test_each_private_address_shows_its_elastic_ip(
    client: EC2Client, production: str, staging: str, instance: str, both: str
) -> None:
    in_instances, in_interfaces = interface_of(client, instance), network_interface(client, both)
    for interface in (in_instances, in_interfaces):
        assert public_ips(interface) == [STAGING, PRODUCTION]
        assert interface["Association"] == interface["PrivateIpAddresses"][0]["Association"]
        assert {each["Association"]["IpOwnerId"] for each in interface["PrivateIpAddresses"]} == {interface["OwnerId"]}
    shown = [each["Association"] for each in in_interfaces["PrivateIpAddresses"]]
    assert [each["AllocationId"] for each in shown] == [staging, production]
    assert [each["AssociationId"] for each in shown] == [
        address(client, each)["AssociationId"] for each in (staging, production)
    ]


def test_two_allocations_of_one_public_address_are_distinguished(client: EC2Client, production: str) -> None:
    again = client.allocate_address(Address=PRODUCTION)["AllocationId"]
    instance, other = launch(client), launch(client)
    client.associate_address(AllocationId=again, InstanceId=instance)
    client.associate_address(AllocationId=production, InstanceId=other)
    eni = interface_of(client, instance)["NetworkInterfaceId"]
    assert network_interface(client, eni)["Association"]["AllocationId"] == again


def test_an_interface_whose_second_private_address_has_the_elastic_ip_keeps_its_automatic_one(
    client: EC2Client, production: str, instance: str
) -> None:
    before = interface_of(client, instance)
    association = client.associate_address(
        AllocationId=production, InstanceId=instance, PrivateIpAddress=private_ips(before)[1]
    )
    after = interface_of(client, instance)
    assert after["Association"] == before["Association"]
    assert after["Association"]["IpOwnerId"] == "amazon"
    assert public_ips(after) == [before["Association"]["PublicIp"], PRODUCTION]
    client.disassociate_address(AssociationId=association["AssociationId"])
    assert interface_of(client, instance)["Association"] == before["Association"]


@pytest.mark.parametrize("by", ["InstanceId", "NetworkInterfaceId"])
@pytest.mark.parametrize("place", [0, 1])
def test_an_address_displaces_only_the_address_on_its_own_private_address(
    client: EC2Client, production: str, staging: str, instance: str, both: str, by: str, place: int
) -> None:
    target: Any = {"InstanceId": instance} if by == "InstanceId" else {"NetworkInterfaceId": both}
    third = client.allocate_address(Address="127.0.0.12")["AllocationId"]
    private_ip = private_ips(interface_of(client, instance))[place]
    client.associate_address(AllocationId=third, PrivateIpAddress=private_ip, **target)
    displaced, left = [(staging, production), (production, staging)][place]
    assert address(client, third)["PrivateIpAddress"] == private_ip
    assert "AssociationId" not in address(client, displaced)
    assert address(client, left)["InstanceId"] == instance


@pytest.mark.parametrize("by", ["InstanceId", "NetworkInterfaceId"])
def test_an_address_is_put_on_the_primary_private_address_unless_the_call_names_another(
    client: EC2Client, production: str, instance: str, by: str
) -> None:
    interface = interface_of(client, instance)
    target: Any = {"InstanceId": instance} if by == "InstanceId" else {by: interface[by]}
    client.associate_address(AllocationId=production, **target)
    assert address(client, production)["PrivateIpAddress"] == interface["PrivateIpAddress"]


def test_an_address_moves_from_one_private_address_of_an_interface_to_the_other(
    client: EC2Client, production: str, staging: str, instance: str, both: str
) -> None:
    client.associate_address(AllocationId=production, NetworkInterfaceId=both)
    assert public_ips(network_interface(client, both)) == [PRODUCTION, None]
    assert "AssociationId" not in address(client, staging)


def test_a_private_address_of_another_interface_is_refused(client: EC2Client, production: str, instance: str) -> None:
    target: Any = {"InstanceId": instance, "PrivateIpAddress": interface_of(client, launch(client))["PrivateIpAddress"]}
    code = error_code(lambda: client.associate_address(AllocationId=production, **target))
    assert code == "InvalidParameterValue"


def test_a_private_address_that_is_unassigned_gives_its_elastic_ip_back(
    client: EC2Client, production: str, staging: str, both: str
) -> None:
    second = private_ips(network_interface(client, both))[1]
    client.unassign_private_ip_addresses(NetworkInterfaceId=both, PrivateIpAddresses=[second])
    assert "AssociationId" not in address(client, production)
    assert address(client, staging)["NetworkInterfaceId"] == both


# What happens when instances stop, end, and lose interfaces.


def test_elastic_ips_stay_on_an_interface_through_a_stop_and_start(client: EC2Client, instance: str, both: str) -> None:
    client.stop_instances(InstanceIds=[instance])
    assert public_ips(network_interface(client, both)) == [STAGING, PRODUCTION]
    client.start_instances(InstanceIds=[instance])
    assert public_ips(network_interface(client, both)) == [STAGING, PRODUCTION]


def test_a_terminated_instance_gives_all_its_elastic_ips_back_with_its_interface(
    client: EC2Client, production: str, staging: str, instance: str, both: str
) -> None:
    client.terminate_instances(InstanceIds=[instance])
    client.terminate_instances(InstanceIds=[instance])
    assert all("AssociationId" not in address(client, each) for each in (production, staging))
    assert public_ips(interface_of(client, instance)) == [None, None]
    assert error_code(lambda: network_interface(client, both)) == "InvalidNetworkInterfaceID.NotFound"
    code = error_code(lambda: client.associate_address(AllocationId=production, NetworkInterfaceId=both))
    assert code == "InvalidNetworkInterfaceID.NotFound"


def test_an_interface_attached_later_outlives_its_instance_with_its_address(client: EC2Client, production: str) -> None:
    instance = launch(client)
    eni = attach(client, instance)
    client.associate_address(AllocationId=production, NetworkInterfaceId=eni)
    client.terminate_instances(InstanceIds=[instance])
    assert network_interface(client, eni)["Status"] == "available"
    assert address(client, production)["NetworkInterfaceId"] == eni
    assert "InstanceId" not in address(client, production)


def test_an_address_is_on_the_instance_that_its_interface_is_attached_to(client: EC2Client, production: str) -> None:
    instance = launch(client)
    eni = attach(client, instance)
    client.associate_address(AllocationId=production, NetworkInterfaceId=eni)
    assert address(client, production)["InstanceId"] == instance
    attachment = network_interface(client, eni)["Attachment"]["AttachmentId"]
    client.detach_network_interface(AttachmentId=attachment)
    assert "InstanceId" not in address(client, production)
    client.delete_network_interface(NetworkInterfaceId=eni)
    assert "AssociationId" not in address(client, production)


def test_releasing_an_address_disassociates_it_in_the_default_vpc_and_is_refused_in_another(
    client: EC2Client, production: str, staging: str, instance: str
) -> None:
    client.associate_address(AllocationId=production, InstanceId=instance)
    client.release_address(AllocationId=production)
    assert public_ips(interface_of(client, instance))[0] != PRODUCTION
    assert error_code(lambda: address(client, production)) == "InvalidAllocationID.NotFound"

    vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    client.associate_address(AllocationId=staging, InstanceId=launch(client, subnet))
    assert error_code(lambda: client.release_address(AllocationId=staging)) == "InvalidIPAddress.InUse"


OF_THE_ADDRESS = ("allocation-id", "association-id", "public-ip", "network-border-group")
OF_ITS_PLACE = ("instance-id", "network-interface-id", "network-interface-owner-id", "private-ip-address")


@pytest.mark.parametrize("name", OF_THE_ADDRESS + OF_ITS_PLACE)
def test_each_key_filters_addresses(client: EC2Client, production: str, staging: str, both: str, name: str) -> None:
    key = "".join(word.capitalize() for word in name.split("-"))
    three = [production, staging, client.allocate_address(NetworkBorderGroup="us-east-1-bos-1")["AllocationId"]]
    described = {each: address(client, each) for each in three}
    for wanted in described.values():
        if key in wanted:
            filters: Any = [{"Name": name, "Values": [wanted[key]]}]
            shown = client.describe_addresses(AllocationIds=three, Filters=filters)["Addresses"]
            expected = {each for each, other in described.items() if other.get(key) == wanted[key]}
            assert {each["AllocationId"] for each in shown} == expected


def test_addresses_are_filtered_by_their_tags(client: EC2Client, production: str, staging: str) -> None:
    client.create_tags(Resources=[production], Tags=[{"Key": "Name", "Value": production}])
    shown = client.describe_addresses(Filters=[{"Name": "tag:Name", "Values": [production]}])["Addresses"]
    assert [each["AllocationId"] for each in shown] == [production]
    assert shown[0]["Tags"] == [{"Key": "Name", "Value": production}]
