"""EC2 as the functions reach it: its calls on Elastic IPs, with its errors, and what others do to addresses and
instances. The semantics and the words of the errors are those of `local.address_semantics`."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.world.associations import Associations
from tests.simulation.world.errors import AwsError, NotModelled, require_known
from tests.simulation.world.machines import DUAL_STACK, REGION, THIRD, Address, Instance, Interface

ACCEPTED_STATES = ("running", "stopped")
KNOWN = {
    "AssociateAddress": frozenset((
        "AllocationId", "InstanceId", "NetworkInterfaceId", "PrivateIpAddress", "AllowReassociation", "DryRun",
    )),
    "DisassociateAddress": frozenset(("AssociationId", "DryRun")),
    "DescribeAddresses": frozenset(("AllocationIds",)),
    "DescribeInstances": frozenset(("Filters",)),
    "DescribeNetworkInterfaces": frozenset(("Filters",)),
    "DescribeInstanceStatus": frozenset(("InstanceIds",)),
    "DescribeAvailabilityZones": frozenset(("ZoneNames",)),
    "DescribeAddressTransfers": frozenset(("AllocationIds",)),
}  # fmt: skip
Json = dict[str, Any]
Parameters = Mapping[str, Any]


class Ec2(Associations):
    """`before_an_instance_changes` is called just before an instance stops, starts or is terminated. A started instance
    is checked for `initializing_seconds`. `third` is an address of someone else, which is on no server at first."""

    def __init__(self, pairs: Mapping[str, tuple[str, str]], clock: Callable[[], float]) -> None:
        super().__init__(pairs, clock)
        self.before_an_instance_changes: Callable[[], object] = lambda: None
        self.initializing_seconds = 0.0
        self.third = THIRD
        self._actions: dict[str, Callable[[Parameters], Json]] = {
            "AssociateAddress": self._associate,
            "DisassociateAddress": self._disassociate,
            "DescribeInstances": self._describe_instances,
            "DescribeNetworkInterfaces": self._describe_network_interfaces,
            "DescribeInstanceStatus": self._describe_instance_status,
            "DescribeAvailabilityZones": self._describe_availability_zones,
            "DescribeAddressTransfers": self._describe_address_transfers,
        }
        self.zones = {f"{REGION}{letter}": REGION for letter in "abc"} | {f"{REGION}-bos-1a": f"{REGION}-bos-1"}

    def answer(self, action: str, parameters: Parameters, *, as_of: float | None = None) -> Json:
        """`as_of`: DescribeAddresses shows the state at that moment, because EC2 is eventually consistent."""
        if action not in KNOWN:
            raise NotModelled(f"EC2's {action}")
        require_known(action, parameters, KNOWN[action])
        if action == "DescribeAddresses":
            return self._describe_addresses(parameters, as_of)
        return self._actions[action](parameters)

    def _describe_addresses(self, parameters: Parameters, as_of: float | None) -> Json:
        ids = parameters.get("AllocationIds") or self.addresses
        for each in ids:
            self._address(each)
        return {"Addresses": [self.description(each, as_of).copy() for each in ids]}

    def _associate(self, parameters: Parameters) -> Json:
        _require_one_of(parameters, "InstanceId", "NetworkInterfaceId")
        _refuse_dry_run(parameters)
        address = self._address(parameters["AllocationId"])
        if "InstanceId" in parameters:
            interface = _only_interface(self._instance(parameters["InstanceId"]))
        else:
            interface = self._fit_interface(parameters["NetworkInterfaceId"])
        private_ip = parameters.get("PrivateIpAddress") or interface.private_ips[0]
        _require_fit(address, interface, private_ip)
        if address.place != (interface, private_ip):
            if address.association_id and parameters.get("AllowReassociation", True) is False:
                raise AwsError(
                    "Resource.AlreadyAssociated",
                    f"resource {address.allocation_id} is already associated with associate-id "
                    f"{address.association_id}",
                )
            self._put("AssociateAddress", address, interface, private_ip)
        return {"AssociationId": address.association_id}

    def _disassociate(self, parameters: Parameters) -> Json:
        _refuse_dry_run(parameters)
        association_id = parameters["AssociationId"]
        address = next((each for each in self.addresses.values() if each.association_id == association_id), None)
        if address is None or address.interface is None:
            raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")
        interface, private_ip = address.interface, address.private_ip
        is_last = private_ip == interface.private_ips[0] and len(interface.elastic_ips) == 1
        if is_last and interface.hostname_type == DUAL_STACK:
            raise AwsError(
                "OperationNotPermitted",
                f"The address '{address.public_ip}' is the only public IPv4 address of the interface "
                f"'{interface.id}', which has a dual-stack public hostname",
            )
        self._take_off("DisassociateAddress", address)
        return {}

    def _describe_instances(self, parameters: Parameters) -> Json:
        ids = _values(parameters, "instance-id")
        shown = [each.described() for each in self.instances.values() if each.id in ids]
        return {"Reservations": [{"Instances": [each]} for each in shown]}

    def _describe_network_interfaces(self, parameters: Parameters) -> Json:
        ids = _values(parameters, "attachment.instance-id")
        attached = (each for each in self.interfaces.values() if each.instance and each.instance.id in ids)
        return {"NetworkInterfaces": [each.described() for each in attached]}

    def _describe_instance_status(self, parameters: Parameters) -> Json:
        asked, now = [self._instance(each) for each in parameters["InstanceIds"]], self.clock()
        return {"InstanceStatuses": [each.status(now) for each in asked if each.state == "running"]}

    def _describe_availability_zones(self, parameters: Parameters) -> Json:
        names = parameters["ZoneNames"]
        if unknown := [name for name in names if name not in self.zones]:
            raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{unknown[0]}]")
        zones = ({"ZoneName": name, "NetworkBorderGroup": self.zones[name]} for name in names)
        return {"AvailabilityZones": [{"State": "available", **zone} for zone in zones]}

    def _describe_address_transfers(self, parameters: Parameters) -> Json:
        offered = [each for each in map(self._address, parameters["AllocationIds"]) if each.offered_to]
        shown = [
            {
                "PublicIp": each.public_ip,
                "AllocationId": each.allocation_id,
                "TransferAccountId": each.offered_to,
                "AddressTransferStatus": "pending",
            }
            for each in offered
        ]
        return {"AddressTransfers": shown}

    # What is done by others than the workflow.

    def move(self, allocation_id: str, instance_id: str | None, *, private_ip: str | None = None) -> None:
        """Someone else puts an address on an instance, or on none. Raises AwsError if EC2 refuses it."""
        address = self._address(allocation_id)
        if instance_id is None:
            self._take_off("DisassociateAddress", address, by_someone_else=True)
            return
        interface = _only_interface(self._instance(instance_id))
        private_ip = private_ip or interface.private_ips[0]
        _require_fit(address, interface, private_ip)
        if address.place != (interface, private_ip):
            self._put("AssociateAddress", address, interface, private_ip, by_someone_else=True)

    def stop(self, instance_id: str) -> None:
        """A running instance stops. Its Elastic IPs stay."""
        instance = self._instance(instance_id)
        if instance.state == "running":
            self._enter(instance, "stopped")

    def start(self, instance_id: str) -> None:
        """A stopped instance runs again; its status checks take `initializing_seconds`."""
        instance = self._instance(instance_id)
        if instance.state == "stopped":
            self._enter(instance, "running")
            instance.initialized_at = self.clock() + self.initializing_seconds
            for interface in instance.interfaces:
                if interface.private_ips[0] not in interface.elastic_ips:
                    self.assign_public_ip(interface)

    def terminate(self, instance_id: str) -> None:
        """The instance ends for ever. Its interfaces end with it, and its Elastic IPs are on no server."""
        instance = self._instance(instance_id)
        if instance.state == "terminated":
            return
        self._enter(instance, "terminated")
        for interface in instance.interfaces:
            for address in list(interface.elastic_ips.values()):
                self.take_off(address)
            del self.interfaces[interface.id]
        instance.interfaces = []
        self.record("TerminateInstances", asked=None, instance_id=instance_id, by_someone_else=True)

    def _enter(self, instance: Instance, state: str) -> None:
        self.before_an_instance_changes()
        instance.state = state
        for interface in instance.interfaces:
            interface.automatic_ip = None

    def state_of(self, instance_id: str) -> str | None:
        """The state of an instance; None if there is none."""
        instance = self.instances.get(instance_id)
        return instance.state if instance else None

    # How the two kinds of a change take effect.

    def _put(
        self, action: str, address: Address, interface: Interface, private_ip: str, *, by_someone_else: bool = False
    ) -> None:
        self.put_on(address, interface, private_ip)
        self.record(action, asked=address.allocation_id, instance_id=address.holder, by_someone_else=by_someone_else)

    def _take_off(self, action: str, address: Address, *, by_someone_else: bool = False) -> None:
        self.take_off(address)
        self.record(action, asked=address.allocation_id, instance_id=None, by_someone_else=by_someone_else)

    # What a call names.

    def _address(self, allocation_id: str) -> Address:
        if allocation_id not in self.addresses:
            raise AwsError("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")
        return self.addresses[allocation_id]

    def _instance(self, instance_id: str) -> Instance:
        if instance_id not in self.instances:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        return self.instances[instance_id]

    def _fit_interface(self, interface_id: str) -> Interface:
        interface = self.interfaces.get(interface_id)
        if interface is None:
            raise AwsError(
                "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{interface_id}' does not exist"
            )
        instance = interface.instance
        if instance and instance.state not in ACCEPTED_STATES:
            raise AwsError(
                "IncorrectInstanceState",
                f"The {instance.state} instance to which '{interface_id}' is attached "
                "is not in a valid state for this operation",
            )
        return interface


def _only_interface(instance: Instance) -> Interface:
    if instance.state not in ACCEPTED_STATES:
        raise AwsError(
            "InvalidInstanceID",
            f"The {instance.state} instance '{instance.id}' is not in a valid state for this operation.",
        )
    if len(instance.interfaces) != 1:
        raise AwsError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead.",
        )
    return instance.interfaces[0]


def _require_fit(address: Address, interface: Interface, private_ip: str) -> None:
    if private_ip not in interface.private_ips:
        raise AwsError("InvalidParameterValue", f"Address '{private_ip}' is not assigned to interface '{interface.id}'")
    if address.border_group != interface.border_group:
        raise AwsError(
            "InvalidParameterCombination",
            f"The address '{address.allocation_id}' is in the network border group {address.border_group}, "
            f"and the interface '{interface.id}' is in {interface.border_group}",
        )


def _require_one_of(parameters: Parameters, one: str, other: str) -> None:
    if (one in parameters) == (other in parameters):
        code = "InvalidParameterCombination" if one in parameters else "MissingParameter"
        raise AwsError(code, f"You must specify either {one} or {other}, and not both")


def _refuse_dry_run(parameters: Parameters) -> None:
    if parameters.get("DryRun"):
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def _values(parameters: Parameters, name: str) -> list[str]:
    """The values of the only filter, which has this name."""
    match parameters.get("Filters"):
        case [{"Name": given, "Values": values}] if given == name:
            return list(values)
    raise NotModelled(f"filters other than {name}")
