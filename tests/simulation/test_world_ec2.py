"""The model's EC2 answers as moto does with AWS's address semantics (`local.address_semantics`), whatever is called."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from local.address_semantics import move, restore_address_semantics
from local.missing_actions import add_missing_actions
from local.network_interfaces import LOCAL_ZONE
from tests.simulation.world.ec2 import Ec2
from tests.simulation.world.errors import AwsError
from tests.simulation.world.machines import DUAL_STACK, REGION, STATE_CODES, Address, Instance, Interface

SEEDS, CALLS_PER_SEED = 5, 80
REFUSALS = {
    "DryRunOperation", "IncorrectInstanceState", "InvalidAllocationID.NotFound", "InvalidAssociationID.NotFound",
    "InvalidInstanceID", "InvalidInstanceID.NotFound", "InvalidNetworkInterfaceID.NotFound",
    "InvalidParameterCombination", "InvalidParameterValue", "MissingParameter", "OperationNotPermitted",
    "Resource.AlreadyAssociated",
}  # fmt: skip
OTHER_ACCOUNT = "210987654321"
UNKNOWN = {"address": "eipalloc-0fffffffffffffff0", "instance": "i-0fffffffffffffff0", "interface": "eni-0fffffff0"}
# What the functions read of an answer, and more; moto has other keys, too.
KEYS = {
    "Addresses", "PublicIp", "AllocationId", "AssociationId", "NetworkBorderGroup", "InstanceId", "NetworkInterfaceId",
    "PrivateIpAddress", "NetworkInterfaceOwnerId", "Domain", "PublicIpv4Pool", "Reservations", "Instances", "State",
    "Name", "Code", "NetworkInterfaces", "AvailabilityZone", "Attachment", "PrivateIpAddresses", "Primary",
    "Association", "IpOwnerId", "PublicIpDnsNameOptions", "DnsHostnameType", "PublicDualStackDnsName",
    "InstanceStatuses", "InstanceState", "SystemStatus", "InstanceStatus", "AvailabilityZones", "ZoneName",
    "AddressTransfers", "TransferAccountId", "AddressTransferStatus",
}  # fmt: skip
Answer = Any
Call = Callable[[], Answer]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    restore_address_semantics()
    add_missing_actions()
    with mock_aws():
        made = boto3.client("ec2", REGION)
        vpc = made.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]  # as another test of this process may have left
        made.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1a")
        yield made


class Twins:
    """The same account in moto and in the model: three instances with an interface each, one with two, one in another
    border group, and four addresses. Each call goes to both."""

    def __init__(self, client: Any) -> None:
        self.client, self.now = client, 0.0
        self.moto = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
        self.moto.addresses.clear()
        self.moto.reservations.clear()
        self.addresses = [client.allocate_address(Domain="vpc")["AllocationId"] for _ in range(4)]
        self.model = Ec2({"web": (self.addresses[0], self.addresses[1])}, lambda: self.now)
        self.instances = [self._launch(zone=each) for each in (*["us-east-1a"] * 4, LOCAL_ZONE.name)]
        self._second_interface(self.instances[3])
        for each in self.instances[:2]:
            self._second_private_ip(each)
        for each in self.addresses:
            public_ip = client.describe_addresses(AllocationIds=[each])["Addresses"][0]["PublicIp"]
            self.model.add(Address(each, public_ip))
        self.interfaces = list(self.model.interfaces)
        self.associations: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def _subnet(self, zone: str) -> str:
        """Of the default VPC: other tests of this process may have left VPCs of their own."""
        (vpc,) = self.client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        zones = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}, {"Name": "availability-zone", "Values": [zone]}]
        subnets = self.client.describe_subnets(Filters=zones)["Subnets"]
        if not subnets:
            place = {"VpcId": vpc["VpcId"], "CidrBlock": "172.31.250.0/24", "AvailabilityZone": zone}
            subnets = [self.client.create_subnet(**place)["Subnet"]]
        return str(subnets[0]["SubnetId"])

    def _launch(self, *, zone: str) -> str:
        place = {"ImageId": "ami-12c6146b", "MinCount": 1, "MaxCount": 1, "SubnetId": self._subnet(zone)}
        (launched,) = self.client.run_instances(**place)["Instances"]
        instance = Instance(launched["InstanceId"])
        self.model.instances[instance.id] = instance
        (shown,) = launched["NetworkInterfaces"]
        interface = Interface(shown["NetworkInterfaceId"], [shown["PrivateIpAddress"]], instance, zone)
        self._attach(interface, assigns_public_ip=True)
        return instance.id

    def _attach(self, interface: Interface, *, assigns_public_ip: bool) -> None:
        assert interface.instance
        interface.assigns_public_ip = assigns_public_ip
        interface.instance.interfaces.append(interface)
        self.model.interfaces[interface.id] = interface
        self.model.assign_public_ip(interface)

    def _second_interface(self, instance_id: str) -> None:
        shown = self.client.create_network_interface(SubnetId=self._subnet("us-east-1a"))["NetworkInterface"]
        interface_id = shown["NetworkInterfaceId"]
        self.client.attach_network_interface(NetworkInterfaceId=interface_id, InstanceId=instance_id, DeviceIndex=1)
        self.moto.get_network_interface(interface_id).delete_on_termination = True
        instance = self.model.instances[instance_id]
        self._attach(Interface(interface_id, [shown["PrivateIpAddress"]], instance), assigns_public_ip=False)

    def _second_private_ip(self, instance_id: str) -> None:
        (interface,) = self.model.instances[instance_id].interfaces
        place = {"NetworkInterfaceId": interface.id, "SecondaryPrivateIpAddressCount": 1}
        assigned = self.client.assign_private_ip_addresses(**place)["AssignedPrivateIpAddresses"]
        interface.private_ips.append(assigned[0]["PrivateIpAddress"])

    def enter(self, instance_id: str, state: str) -> None:
        """A state in which moto's instances never are, or the state that follows it."""
        self.moto.get_instance(instance_id)._state.name = self.model.instances[instance_id].state = state
        self.moto.get_instance(instance_id)._state.code = STATE_CODES[state]

    def associations_of(self, address: str) -> tuple[str | None, str | None]:
        """The ids in moto and in the model."""
        (shown,) = self.client.describe_addresses(AllocationIds=[address])["Addresses"]
        return shown.get("AssociationId"), self.model.addresses[address].association_id

    def call(self, action: str, **parameters: Any) -> tuple[Answer, Answer]:
        of_moto, of_model = parameters, parameters
        if "AssociationId" in parameters:
            of_moto, of_model = ({**parameters, "AssociationId": each} for each in parameters["AssociationId"])
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in action).strip("_")
        return self.both(lambda: getattr(self.client, name)(**of_moto), lambda: self.model.answer(action, of_model))

    def both(self, in_moto: Call, in_model: Call) -> tuple[Answer, Answer]:
        self.now += 1
        theirs, ours = _answer(in_moto), _answer(in_model)
        return _comparable(theirs, self.associations[0]), _comparable(ours, self.associations[1])


def _answer(call: Call) -> Answer:
    try:
        return call()
    except ClientError as error:
        of_error = error.response["Error"]
        message = of_error["Message"].replace("An error occurred (DryRunOperation) when calling the ", "")
        return "refused", of_error["Code"], message, error.response["ResponseMetadata"]["HTTPStatusCode"]
    except EC2ClientError as error:
        return "refused", error.code, error.message, 400
    except AwsError as error:
        return "refused", error.code, error.message, error.status


def _comparable(answer: Answer, associations: dict[str, str]) -> Answer:
    """With the keys that count, associations numbered as they appear, and no public address that EC2 has assigned."""
    match answer:
        case ("refused", code, message, status):
            for association, number in associations.items():
                message = message.replace(association, number)
            return "refused", code, "" if code == "DryRunOperation" else message, status
        case dict():
            if answer.get("IpOwnerId") == "amazon":
                return "of Amazon"
            shown = {key: _comparable(value, associations) for key, value in answer.items() if key in KEYS}
            for check in {"SystemStatus", "InstanceStatus"} & answer.keys():
                shown[check] = answer[check]["Status"]
            if "AssociationId" in answer:
                number = associations.setdefault(answer["AssociationId"], f"association {len(associations)}")
                shown["AssociationId"] = number
            if "PublicDualStackDnsName" in answer:
                shown["PublicDualStackDnsName"] = "is there"
            return shown
        case list():
            return [_comparable(each, associations) for each in sorted(answer, key=_id)]
    return answer


def _id(member: Any) -> str:
    """By which the members of a list are sorted, because the order of a list means nothing."""
    keys = ("AllocationId", "NetworkInterfaceId", "InstanceId", "PrivateIpAddress", "ZoneName")
    return next((str(member[key]) for key in keys if isinstance(member, dict) and key in member), "")


def test_every_call_has_the_answer_and_the_effect_that_it_has_in_moto(client: Any) -> None:
    codes = set[str]()
    for seed in range(SEEDS):
        twins, choose = Twins(client), random.Random(seed)  # noqa: S311
        for number in range(CALLS_PER_SEED):
            (act,) = choose.choices(list(ACTS), list(ACTS.values()))
            theirs, ours = act(twins, choose)
            where = f"seed {seed}, call {number}, {act.__name__}"
            assert ours == theirs, where
            if isinstance(ours, tuple):
                codes.add(ours[1])
            for description in DESCRIPTIONS[: None if number % 5 == 0 else 2]:
                theirs, ours = description(twins)
                assert ours == theirs, f"after {where}"
    assert codes == REFUSALS


def _associate(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    parameters: dict[str, Any] = {"AllocationId": choose.choice([*twins.addresses * 3, UNKNOWN["address"]])}
    if choose.random() < 0.6:
        parameters["InstanceId"] = choose.choice([*twins.instances * 3, UNKNOWN["instance"]])
    if choose.random() < (0.05 if "InstanceId" in parameters else 0.9):
        parameters["NetworkInterfaceId"] = choose.choice([*twins.interfaces * 3, UNKNOWN["interface"]])
    if choose.random() < 0.5:
        parameters["PrivateIpAddress"] = choose.choice(_private_ips(twins, parameters, choose))
    if choose.random() < 0.7:
        parameters["AllowReassociation"] = choose.random() < 0.6
    return twins.call("AssociateAddress", **parameters, **_dry(choose))


def _private_ips(twins: Twins, parameters: dict[str, Any], choose: random.Random) -> list[str]:
    interface = twins.model.interfaces.get(parameters.get("NetworkInterfaceId", ""))
    if instance := twins.model.instances.get(parameters.get("InstanceId", "")):
        interface = instance.interfaces[0] if instance.interfaces else None
    return interface.private_ips if interface and choose.random() < 0.9 else ["172.31.9.9"]


def _dry(choose: random.Random) -> dict[str, bool]:
    return {"DryRun": True} if choose.random() < 0.1 else {}


def _disassociate(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    ids = twins.associations_of(choose.choice(twins.addresses))
    if None in ids or choose.random() < 0.2:
        ids = ("eipassoc-0fffffff",) * 2
    return twins.call("DisassociateAddress", AssociationId=ids, **_dry(choose))


def _stranger(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    address, instance = choose.choice(twins.addresses[:3]), choose.choice(twins.instances[:3])
    return twins.both(lambda: move(twins.moto, address, instance), lambda: twins.model.move(address, instance))


def _instance(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    instance = choose.choice(twins.instances)
    state, what = twins.model.state_of(instance), choose.choice(["start", "start", "stop", "stop", "terminate"])
    if state in AFTER:
        twins.enter(instance, AFTER[state])
    elif state in BEFORE and choose.random() < 0.3:
        twins.enter(instance, BEFORE[state])
    elif state != "terminated" and (what != "terminate" or choose.random() < 0.3):
        getattr(twins.client, f"{what}_instances")(InstanceIds=[instance])
        getattr(twins.model, what)(instance)
    return None, None


AFTER = {"pending": "running", "stopping": "stopped"}
BEFORE = {after: before for before, after in AFTER.items()}


def _hostname(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    interface, kind = choose.choice(list(twins.model.interfaces)), choose.choice([DUAL_STACK, "public-ipv4-dns-name"])
    twins.client.modify_public_ip_dns_name_options(NetworkInterfaceId=interface, HostnameType=kind)
    twins.model.interfaces[interface].hostname_type = kind
    return None, None


def _transfer(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    address = choose.choice(twins.addresses)
    twins.client.enable_address_transfer(AllocationId=address, TransferAccountId=OTHER_ACCOUNT)
    twins.model.addresses[address].offered_to = OTHER_ACCOUNT
    return None, None


def _unknown(twins: Twins, choose: random.Random) -> tuple[Answer, Answer]:
    action, key = choose.choice([("DescribeAddresses", "address"), ("DescribeInstanceStatus", "instance")])
    return twins.call(action, **{"AllocationIds" if key == "address" else "InstanceIds": [UNKNOWN[key]]})


ACTS: dict[Callable[[Twins, random.Random], tuple[Answer, Answer]], int] = {
    _associate: 10, _disassociate: 4, _stranger: 2, _instance: 3, _hostname: 1, _transfer: 1, _unknown: 1,
}  # fmt: skip


def _addresses(twins: Twins) -> tuple[Answer, Answer]:
    return twins.call("DescribeAddresses", AllocationIds=twins.addresses)


def _network_interfaces(twins: Twins) -> tuple[Answer, Answer]:
    attached = [{"Name": "attachment.instance-id", "Values": twins.instances}]
    return twins.call("DescribeNetworkInterfaces", Filters=attached)


def _instances(twins: Twins) -> tuple[Answer, Answer]:
    by_id = [{"Name": "instance-id", "Values": [*twins.instances, UNKNOWN["instance"]]}]
    answers = twins.call("DescribeInstances", Filters=by_id)
    states = [
        sorted(
            (instance["InstanceId"], *instance["State"].values())
            for group in answer["Reservations"]
            for instance in group["Instances"]
        )
        for answer in answers
    ]
    return states[0], states[1]


def _statuses(twins: Twins) -> tuple[Answer, Answer]:
    return twins.call("DescribeInstanceStatus", InstanceIds=twins.instances)


def _transfers(twins: Twins) -> tuple[Answer, Answer]:
    return twins.call("DescribeAddressTransfers", AllocationIds=twins.addresses)


DESCRIPTIONS = (_addresses, _network_interfaces, _instances, _statuses, _transfers)


def test_zones_have_the_border_groups_that_they_have_in_moto(client: Any) -> None:
    twins = Twins(client)
    theirs, ours = twins.call("DescribeAvailabilityZones", ZoneNames=["us-east-1a", LOCAL_ZONE.name])
    assert ours == theirs
