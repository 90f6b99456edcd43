"""AWS's Elastic IP semantics, restored in moto's EC2.

moto keeps addresses as a list of independent records. In AWS an address, a private address and an association are one
thing seen from three sides: associating takes the address from where it was, pushes out the address the target held,
and says the same association id when nothing changes. The safety of the cutover rests on exactly that, so the calls
are replaced here, for the server of `local.ec2` as well as for tests inside `mock_aws`. `docs/emulators.md` lists every
difference with its source.

Each call answers from, or changes, one consistent state: the server is threaded, and moto serializes its live objects
only after a call has returned, so what is returned here are copies made under the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import random_eip_association_id

ACCEPTED_STATES = ("running", "stopped")
"""An address can be put on a stopped instance; a pending, stopping or terminated one is refused."""

_LOCK = threading.RLock()
_SHOWN = threading.local()


def restore_address_semantics() -> None:
    """Make moto's addresses behave as AWS's, in this process, for good. Calling it again changes nothing."""
    with _LOCK:
        if ElasticIPAddresses.associate_address is _associate_address:
            return
        ElasticIPAddresses.associate_address = _associate_address
        ElasticIPAddresses.disassociate_address = _disassociate_address
        ElasticIPAddresses.describe_addresses = _describe_addresses
        Instance.terminate = _releasing_addresses(Instance.terminate)
        NetworkInterface.check_auto_public_ip = _unless_elastic(NetworkInterface.check_auto_public_ip)
        NetworkInterface.stop = _unless_elastic(NetworkInterface.stop)
        NetworkInterface.association = property(_owned(NetworkInterface.association.fget))


def holder(backend: Any, allocation_id: str) -> str | None:
    """The id of the instance that holds the address, None if none does. Never the moment in the middle of a move."""
    with _LOCK:
        instance = _address_asked_for(backend, {"AllocationId": allocation_id}).instance
        return str(instance.id) if instance else None


def move(backend: Any, allocation_id: str, instance_id: str) -> None:
    """Put the address on the instance as a call of somebody else does."""
    with _LOCK:
        interface = _only_interface(backend.get_instance(instance_id))
        address = _address_asked_for(backend, {"AllocationId": allocation_id})
        _associate(backend, address, interface, interface.private_ip_address, reassociate=True)


def allocation_of(backend: Any, parameters: Mapping[str, str]) -> str | None:
    """The allocation id of the address that a call with these parameters is about, None if there is none."""
    for address in backend.addresses:
        if parameters.get("AllocationId") == address.allocation_id:
            return str(address.allocation_id)
        if parameters.get("AssociationId", "") == address.association_id:
            return str(address.allocation_id)
    return None


def descriptions(backend: Any) -> dict[str, dict[str, Any]]:
    """All addresses as DescribeAddresses shows them now, by allocation id."""
    with _LOCK:
        return {address.allocation_id: _described(address) for address in backend.addresses}


@contextmanager
def showing(past: Mapping[str, dict[str, Any]]) -> Iterator[None]:
    """Meanwhile DescribeAddresses shows, in this thread, what `descriptions` returned some time ago."""
    _SHOWN.past = past
    try:
        yield
    finally:
        _SHOWN.past = {}


# The three calls. `call` is moto's response object: the parameters, the backend, the answer.


def _associate_address(call: Any) -> Any:
    parameters = call._get_params()
    _require_one_of(parameters, "InstanceId", "NetworkInterfaceId")
    _require_one_of(parameters, "AllocationId", "PublicIp")
    call.error_on_dryrun()
    with _LOCK:
        backend = call.ec2_backend
        address = _address_asked_for(backend, parameters)
        if "InstanceId" in parameters:
            interface = _only_interface(backend.get_instance(parameters["InstanceId"]))
        else:
            interface = _fit_interface(backend.get_network_interface(parameters["NetworkInterfaceId"]))
        private_ip = parameters.get("PrivateIpAddress") or interface.private_ip_address
        _require_private_ip(interface, private_ip)
        reassociate = parameters.get("AllowReassociation", True) not in (False, "false")
        _associate(backend, address, interface, private_ip, reassociate=reassociate)
        return ActionResult({"AssociationId": address.association_id})


def _disassociate_address(call: Any) -> Any:
    parameters = call._get_params()
    _require_one_of(parameters, "AssociationId", "PublicIp")
    call.error_on_dryrun()
    with _LOCK:
        if "PublicIp" in parameters:
            address = _address_asked_for(call.ec2_backend, parameters)
        else:
            address = _address_with_association(call.ec2_backend, parameters["AssociationId"])
        _disassociate(address)
        return EmptyResult()


def _describe_addresses(call: Any) -> Any:
    call.error_on_dryrun()
    with _LOCK:
        backend = call.ec2_backend
        for allocation_id in call._get_param("AllocationIds", []):
            _address_asked_for(backend, {"AllocationId": allocation_id})
        addresses = backend.describe_addresses(
            call._get_param("AllocationIds", []),
            call._get_param("PublicIps", []),
            call._filters_from_querystring(),
        )
        past: Mapping[str, dict[str, Any]] = getattr(_SHOWN, "past", {})
        shown = [past.get(address.allocation_id) or _described(address) for address in addresses]
        return ActionResult({"Addresses": shown})


# What they do to the backend.


def _associate(backend: Any, address: Any, interface: Any, private_ip: str, *, reassociate: bool) -> None:
    if _place(address) == (interface.id, private_ip):
        return
    if address.association_id and not reassociate:
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )
    for other in backend.addresses:
        if _place(other) == (interface.id, private_ip):
            _disassociate(other)
    _disassociate(address)
    address.instance = interface.instance
    address.eni = interface
    address.restored_private_ip = private_ip
    address.association_id = random_eip_association_id()
    if private_ip == interface.private_ip_address:
        interface.public_ip = address.public_ip


def _disassociate(address: Any) -> None:
    interface = address.eni
    address.instance = address.eni = address.association_id = address.restored_private_ip = None
    if interface and interface.public_ip == address.public_ip:
        interface.public_ip = None
        if interface.instance and interface.instance._state.name == "running":
            interface.check_auto_public_ip()


def _place(address: Any) -> tuple[str, str] | None:
    """The private address that an Elastic IP is mapped to: of which interface, which one."""
    if not address.eni:
        return None
    return address.eni.id, getattr(address, "restored_private_ip", None) or address.eni.private_ip_address


def _described(address: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "Domain": address.domain,
        "PublicIpv4Pool": "amazon",
        "Tags": [dict(tag) for tag in address.get_tags()],
    }
    place = _place(address)
    if place:
        described["AssociationId"] = address.association_id
        described["NetworkInterfaceId"], described["PrivateIpAddress"] = place
        described["NetworkInterfaceOwnerId"] = address.eni.owner_id
        if address.instance:
            described["InstanceId"] = address.instance.id
    return described


# What they refuse, in EC2's words.


def _require_one_of(parameters: dict[str, Any], one: str, other: str) -> None:
    if (one in parameters) == (other in parameters):
        code = "InvalidParameterCombination" if one in parameters else "MissingParameter"
        raise EC2ClientError(code, f"You must specify either {one} or {other}, and not both")


def _address_asked_for(backend: Any, parameters: dict[str, Any]) -> Any:
    for address in backend.addresses:
        if parameters.get("AllocationId") == address.allocation_id:
            return address
        if "PublicIp" in parameters and parameters["PublicIp"] == address.public_ip:
            return address
    if "AllocationId" in parameters:
        raise EC2ClientError(
            "InvalidAllocationID.NotFound", f"The allocation ID '{parameters['AllocationId']}' does not exist"
        )
    raise EC2ClientError("InvalidAddress.NotFound", f"Address '{parameters['PublicIp']}' not found.")


def _address_with_association(backend: Any, association_id: str) -> Any:
    for address in backend.addresses:
        if address.association_id == association_id:
            return address
    raise EC2ClientError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")


def _only_interface(instance: Any) -> Any:
    if instance._state.name not in ACCEPTED_STATES:
        raise EC2ClientError(
            "InvalidInstanceID",
            f"The {instance._state.name} instance '{instance.id}' is not in a valid state for this operation.",
        )
    if len(instance.nics) != 1:
        raise EC2ClientError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. "
            "Please specify an interface ID for the operation instead.",
        )
    return next(iter(instance.nics.values()))


def _fit_interface(interface: Any) -> Any:
    instance = interface.instance
    if instance and instance._state.name not in ACCEPTED_STATES:
        raise EC2ClientError(
            "IncorrectInstanceState",
            f"The {instance._state.name} instance to which '{interface.id}' is attached "
            "is not in a valid state for this operation",
        )
    return interface


def _require_private_ip(interface: Any, private_ip: str) -> None:
    if private_ip not in {item["PrivateIpAddress"] for item in interface.private_ip_addresses}:
        raise EC2ClientError(
            "InvalidParameterValue", f"Address '{private_ip}' is not assigned to interface '{interface.id}'"
        )


# What happens to addresses when instances live and die.


def _releasing_addresses(terminate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A terminated instance gives its addresses back; moto leaves them on it."""

    def terminate_releasing_addresses(instance: Any) -> Any:
        with _LOCK:
            state = terminate(instance)
            for address in instance.ec2_backend.addresses:
                if address.instance is instance:
                    _disassociate(address)
            return state

    return terminate_releasing_addresses


def _unless_elastic(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """An Elastic IP stays through stop and start; moto takes it off as if AWS had assigned it."""

    def change_unless_elastic(interface: Any) -> None:
        elastic = any(_place(a) == (interface.id, interface.private_ip_address) for a in _addresses_of(interface))
        if not elastic:
            change(interface)

    return change_unless_elastic


def _owned(association: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """A public address that AWS assigned by itself belongs to `amazon`; to moto, to the account like an Elastic IP."""

    def association_of_its_owner(interface: Any) -> dict[str, Any]:
        found = association(interface)
        assigned = found and "allocationId" not in found
        return found | {"ipOwnerId": "amazon"} if assigned else found

    return association_of_its_owner


def _addresses_of(interface: Any) -> list[Any]:
    return list(getattr(interface.ec2_backend, "addresses", []))
