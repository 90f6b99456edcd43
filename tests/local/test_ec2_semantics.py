"""The local EC2 does with Elastic IPs what AWS does, as a client sees it. Each test is a row of docs/emulators.md."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.ec2 import Address, Ec2

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@pytest.fixture
def client(ec2: Ec2) -> "EC2Client":
    return ec2.client()


@pytest.fixture
def production(ec2: Ec2) -> Address:
    return ec2.allocate("127.0.0.10")


@pytest.fixture
def staging(ec2: Ec2) -> Address:
    return ec2.allocate("127.0.0.11")


def described(client: "EC2Client", address: Address) -> dict[str, Any]:
    return dict(client.describe_addresses(AllocationIds=[address.allocation_id])["Addresses"][0])


def interface_of(client: "EC2Client", instance_id: str) -> Any:
    instance = client.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return instance["NetworkInterfaces"][0]


def error_code(call: Callable[..., object], **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_an_address_moves_in_one_call_when_reassociation_is_left_out(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str
) -> None:
    first = ec2.associate(production, bittybot)
    second = client.associate_address(AllocationId=production.allocation_id, InstanceId=tao)["AssociationId"]
    assert ec2.holder(production.allocation_id) == tao
    assert first != second


def test_an_address_on_another_resource_stays_there_when_reassociation_is_refused(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str
) -> None:
    ec2.associate(production, bittybot)
    call = {"AllocationId": production.allocation_id, "InstanceId": tao, "AllowReassociation": False}
    assert error_code(client.associate_address, **call) == "Resource.AlreadyAssociated"
    assert ec2.holder(production.allocation_id) == bittybot


@pytest.mark.parametrize("allowed", [True, False])
def test_associating_an_address_again_returns_the_same_association(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, allowed: bool
) -> None:
    first = ec2.associate(production, bittybot)
    target: Any = {"AllocationId": production.allocation_id, "InstanceId": bittybot}
    assert client.associate_address(**target, AllowReassociation=allowed)["AssociationId"] == first


def test_the_address_that_the_target_held_is_displaced_but_stays_allocated(
    ec2: Ec2, production: Address, staging: Address, bittybot: str, tao: str
) -> None:
    client = ec2.client()
    ec2.associate(production, bittybot)
    displaced = ec2.associate(staging, tao)
    ec2.associate(production, tao)
    assert ec2.holder(production.allocation_id) == tao
    assert ec2.holder(staging.allocation_id) is None
    assert error_code(client.disassociate_address, AssociationId=displaced) == "InvalidAssociationID.NotFound"
    assert described(client, staging)["PublicIp"] == staging.public_ip


def test_the_former_interface_of_an_address_no_longer_shows_it(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str
) -> None:
    client.stop_instances(InstanceIds=[bittybot])  # a running one is given another public address
    ec2.associate(production, bittybot)
    assert interface_of(client, bittybot)["Association"]["PublicIp"] == production.public_ip
    ec2.associate(production, tao)
    assert interface_of(client, tao)["Association"]["PublicIp"] == production.public_ip
    assert "PublicIp" not in interface_of(client, bittybot).get("Association", {})


def test_a_running_instance_without_its_former_address_has_another_public_address(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str
) -> None:
    association = ec2.associate(production, bittybot)
    assert interface_of(client, bittybot)["Association"]["IpOwnerId"] != "amazon"
    client.disassociate_address(AssociationId=association)
    assert interface_of(client, bittybot)["Association"]["PublicIp"] != production.public_ip
    assert interface_of(client, bittybot)["Association"]["IpOwnerId"] == "amazon"


def test_a_description_has_an_association_only_while_it_exists(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str
) -> None:
    unassociated = {"AllocationId", "PublicIp", "Domain", "PublicIpv4Pool", "NetworkBorderGroup", "Tags"}
    assert set(described(client, production)) == unassociated
    association = ec2.associate(production, bittybot)
    interface = interface_of(client, bittybot)
    associated = described(client, production)
    assert associated["AssociationId"] == association
    assert associated["InstanceId"] == bittybot
    assert associated["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
    assert associated["PrivateIpAddress"] == interface["PrivateIpAddress"]
    client.disassociate_address(AssociationId=association)
    assert set(described(client, production)) == unassociated
    assert error_code(client.disassociate_address, AssociationId=association) == "InvalidAssociationID.NotFound"


@pytest.mark.parametrize("state", ["pending", "shutting-down", "terminated"])
def test_an_instance_that_is_not_running_or_stopped_is_refused(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, state: Any
) -> None:
    interface = interface_of(client, bittybot)["NetworkInterfaceId"]
    ec2.set_state(bittybot, state)
    assert error_code(lambda: ec2.associate(production, bittybot)) == "InvalidInstanceID"
    call = {"AllocationId": production.allocation_id, "NetworkInterfaceId": interface}
    assert error_code(client.associate_address, **call) == "IncorrectInstanceState"
    assert ec2.holder(production.allocation_id) is None


def test_an_instance_with_two_interfaces_is_refused_by_instance_id(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str
) -> None:
    subnet = client.describe_instances(InstanceIds=[bittybot])["Reservations"][0]["Instances"][0]["SubnetId"]
    interface = client.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    client.attach_network_interface(NetworkInterfaceId=interface, InstanceId=bittybot, DeviceIndex=1)
    with pytest.raises(ClientError, match="There are multiple interfaces attached to instance") as caught:
        ec2.associate(production, bittybot)
    assert caught.value.response["Error"]["Code"] == "InvalidInstanceID"


def test_a_dry_run_changes_nothing(ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str) -> None:
    association = ec2.associate(production, bittybot)
    move = {"AllocationId": production.allocation_id, "InstanceId": tao}
    assert error_code(client.associate_address, **move, DryRun=True) == "DryRunOperation"
    assert error_code(client.disassociate_address, AssociationId=association, DryRun=True) == "DryRunOperation"
    assert described(client, production)["AssociationId"] == association


def test_ids_that_do_not_exist_have_their_own_errors(client: "EC2Client", production: Address, bittybot: str) -> None:
    unknown = "eipalloc-0123456789abcdef0"
    no_instance = "i-0123456789abcdef0"
    known = production.allocation_id
    assert error_code(client.describe_addresses, AllocationIds=[known, unknown]) == "InvalidAllocationID.NotFound"
    for allocation, instance, code in (
        (unknown, bittybot, "InvalidAllocationID.NotFound"),
        (known, no_instance, "InvalidInstanceID.NotFound"),
    ):
        assert error_code(client.associate_address, AllocationId=allocation, InstanceId=instance) == code


def test_an_instance_and_an_interface_cannot_both_be_the_target(
    client: "EC2Client", production: Address, bittybot: str
) -> None:
    interface = interface_of(client, bittybot)["NetworkInterfaceId"]
    for target, code in (
        ({"InstanceId": bittybot, "NetworkInterfaceId": interface}, "InvalidParameterCombination"),
        ({}, "MissingParameter"),
    ):
        assert error_code(client.associate_address, AllocationId=production.allocation_id, **target) == code


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can, so that what can get between two statements does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_no_description_shows_an_address_in_the_middle_of_a_move(
    ec2: Ec2, client: "EC2Client", production: Address, bittybot: str, tao: str
) -> None:
    ec2.associate(production, bittybot)
    with ThreadPoolExecutor() as pool:
        moves = pool.submit(lambda: [ec2.associate(production, each) for each in [tao, bittybot] * 50])

        def until_moved(look: Callable[[], Any]) -> list[Any]:
            return [look() for _ in iter(moves.done, True)]

        descriptions = pool.submit(until_moved, lambda: described(client, production))
        holders = [pool.submit(until_moved, lambda: ec2.holder(production.allocation_id)) for _ in range(3)]
        assert len(set(moves.result())) == 100
        assert {holder for each in holders for holder in each.result()} <= {bittybot, tao}
        seen = [(each.get("InstanceId"), each.get("AssociationId")) for each in descriptions.result()]
    assert all(instance in (bittybot, tao) and association for instance, association in seen)


def test_addresses_that_nobody_chose_are_the_next_free_ones_of_this_machine(ec2: Ec2) -> None:
    first, second, third = (ec2.client().allocate_address() for _ in range(3))
    ec2.client().release_address(AllocationId=second["AllocationId"])
    again = ec2.client().allocate_address()
    assert again["PublicIp"] == second["PublicIp"]
    assert len({first["PublicIp"], again["PublicIp"], third["PublicIp"]}) == 3
    assert all(each["PublicIp"].startswith("127.0.0.") for each in (first, again, third))
    for each in (first, again, third):
        ec2.client().release_address(AllocationId=each["AllocationId"])
