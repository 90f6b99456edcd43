"""AWS's Elastic IP semantics, restored in moto's EC2.

moto keeps addresses as a list of independent records. In AWS, an association takes the address from its former place,
displaces the address that the target held, and keeps its id if nothing changes. The safety of the cutover depends on
this. So this module replaces the calls, for the server of `local.ec2` and for tests inside `mock_aws`.
`docs/emulators.md` lists every difference with its source.

Each call reads or changes one consistent state. The server is threaded, and moto serializes its live objects only after
a call has returned, so the calls return copies that were made under the lock.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from itertools import count
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.serialize import SerializationContext
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses
from moto.ec2.utils import add_tag_specification

from local.address_refusals import (
    address_asked_for,
    address_with_association,
    fit_interface,
    only_interface,
    require_another_public_ip,
    require_border_group,
    require_one_of,
    require_private_ip,
    require_reassociation,
)
from local.network_interfaces import (
    LOCK,
    border_group_of_address,
    put_on,
    restore_network_interfaces,
    tags_of,
    take_off,
)

FILTERS = {
    "allocation-id": "AllocationId",
    "association-id": "AssociationId",
    "instance-id": "InstanceId",
    "network-border-group": "NetworkBorderGroup",
    "network-interface-id": "NetworkInterfaceId",
    "network-interface-owner-id": "NetworkInterfaceOwnerId",
    "private-ip-address": "PrivateIpAddress",
    "public-ip": "PublicIp",
}
"""The filters of DescribeAddresses, and the key of a description that each compares. moto has the filters on tags."""

FIRST_PUBLIC_IP = ip_address("127.0.0.12")
"""The first Elastic IP for calls that ask for no address in particular: after those of the pair of the local AWS."""

_SHOWN = threading.local()


def restore_address_semantics() -> None:
    """Make moto's addresses behave as AWS's in this process, permanently. A second call changes nothing."""
    with LOCK:
        if ElasticIPAddresses.associate_address is _associate_address:
            return
        restore_network_interfaces()
        ElasticIPAddresses.allocate_address = _allocate_address
        ElasticIPAddresses.associate_address = _associate_address
        ElasticIPAddresses.disassociate_address = _disassociate_address
        ElasticIPAddresses.release_address = _release_address
        ElasticIPAddresses.describe_addresses = _describe_addresses
        ElasticAddress.get_filter_value = _filter_value
        SerializationContext.__init__ = _with_request_id


def holder(backend: Any, allocation_id: str) -> str | None:
    """The id of the instance that holds the address; None if no instance does. Never shows the middle of a move."""
    with LOCK:
        interface = address_asked_for(backend, {"AllocationId": allocation_id}).eni
        return str(interface.instance.id) if interface and interface.instance else None


def move(backend: Any, allocation_id: str, instance_id: str) -> None:
    """Put the address on the instance, as a call by someone else would."""
    with LOCK:
        interface = only_interface(backend.get_instance(instance_id))
        address = address_asked_for(backend, {"AllocationId": allocation_id})
        if _place(address) != (interface.id, interface.private_ip_address):
            put_on(address, interface, interface.private_ip_address)


def allocation_of(backend: Any, parameters: Mapping[str, str]) -> str | None:
    """The allocation id of the address that a call with these parameters names; None if there is no such address."""
    for address in backend.addresses:
        if parameters.get("AllocationId") == address.allocation_id:
            return str(address.allocation_id)
        if parameters.get("AssociationId", "") == address.association_id:
            return str(address.allocation_id)
    return None


def descriptions(backend: Any, ids: Container[str] | None = None) -> dict[str, dict[str, Any]]:
    """All addresses, or only the named ones, as DescribeAddresses shows them now, by allocation id."""
    with LOCK:
        asked = [address for address in backend.addresses if ids is None or address.allocation_id in ids]
        return {address.allocation_id: _described(address) for address in asked}


@contextmanager
def showing(past: Mapping[str, dict[str, Any]]) -> Iterator[None]:
    """Within the block, DescribeAddresses shows this thread what `descriptions` returned earlier."""
    _SHOWN.past = past
    try:
        yield
    finally:
        _SHOWN.past = {}


def _with_request_id(context: Any, request_id: str | None = None) -> None:
    """Every answer has an id of its own; in moto, all have the same."""
    context.request_id = request_id or str(uuid.uuid4())


# The calls. `call` is moto's response object: the parameters, the backend, the answer.


def _allocate_address(call: Any) -> Any:
    parameters = call._get_params()
    call.error_on_dryrun()
    with LOCK:
        backend = call.ec2_backend
        tags = add_tag_specification(parameters.get("TagSpecifications", []))
        public_ip = parameters.get("Address") or _next_free(backend)
        address = backend.allocate_address(parameters.get("Domain"), address=public_ip, tags=tags)
        address.network_border_group = parameters.get("NetworkBorderGroup", backend.region_name)
        shown = ("PublicIp", "AllocationId", "Domain", "PublicIpv4Pool", "NetworkBorderGroup")
        return ActionResult({key: value for key, value in _described(address).items() if key in shown})


def _associate_address(call: Any) -> Any:
    parameters = call._get_params()
    require_one_of(parameters, "InstanceId", "NetworkInterfaceId")
    require_one_of(parameters, "AllocationId", "PublicIp")
    call.error_on_dryrun()
    with LOCK:
        backend = call.ec2_backend
        address = address_asked_for(backend, parameters)
        if "InstanceId" in parameters:
            interface = only_interface(backend.get_instance(parameters["InstanceId"]))
        else:
            interface = fit_interface(backend.get_network_interface(parameters["NetworkInterfaceId"]))
        private_ip = parameters.get("PrivateIpAddress") or interface.private_ip_address
        require_private_ip(interface, private_ip)
        require_border_group(address, interface)
        if _place(address) != (interface.id, private_ip):
            require_reassociation(address, parameters)
            put_on(address, interface, private_ip)
        return ActionResult({"AssociationId": address.association_id})


def _disassociate_address(call: Any) -> Any:
    parameters = call._get_params()
    require_one_of(parameters, "AssociationId", "PublicIp")
    call.error_on_dryrun()
    with LOCK:
        if "PublicIp" in parameters:
            address = address_asked_for(call.ec2_backend, parameters)
        else:
            address = address_with_association(call.ec2_backend, parameters["AssociationId"])
        require_another_public_ip(address)
        take_off(address)
        return EmptyResult()


def _release_address(call: Any) -> Any:
    parameters = call._get_params()
    require_one_of(parameters, "AllocationId", "PublicIp")
    call.error_on_dryrun()
    with LOCK:
        backend = call.ec2_backend
        address = address_asked_for(backend, parameters)
        if address.eni and not backend.get_vpc(address.eni.vpc_id).is_default:
            raise EC2ClientError("InvalidIPAddress.InUse", f"The address '{address.public_ip}' is in use.")
        take_off(address)
        backend.addresses.remove(address)
        return EmptyResult()


def _describe_addresses(call: Any) -> Any:
    call.error_on_dryrun()
    with LOCK:
        backend = call.ec2_backend
        for allocation_id in call._get_param("AllocationIds", []):
            address_asked_for(backend, {"AllocationId": allocation_id})
        addresses = backend.describe_addresses(
            call._get_param("AllocationIds", []),
            call._get_param("PublicIps", []),
            call._filters_from_querystring(),
        )
        past: Mapping[str, dict[str, Any]] = getattr(_SHOWN, "past", {})
        shown = [past.get(address.allocation_id) or _described(address) for address in addresses]
        return ActionResult({"Addresses": shown})


# Addresses and their places.


def _next_free(backend: Any) -> str:
    """An address that the network of the local AWS can carry connections to. macOS needs an alias for each."""
    taken = {address.public_ip for address in backend.addresses}
    return next(ip for ip in map(str, map(FIRST_PUBLIC_IP.__add__, count())) if ip not in taken)


def _place(address: Any) -> tuple[str, str] | None:
    """The private address that an Elastic IP is mapped to, and its interface."""
    return (address.eni.id, address.mapped_to) if address.eni else None


def _described(address: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "PublicIp": address.public_ip,
        "AllocationId": address.allocation_id,
        "Domain": address.domain,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": border_group_of_address(address),
        "Tags": [{"Key": key, "Value": value} for key, value in tags_of(address).items()],
    }
    place = _place(address)
    if place:
        described["AssociationId"] = address.association_id
        described["NetworkInterfaceId"], described["PrivateIpAddress"] = place
        described["NetworkInterfaceOwnerId"] = address.eni.owner_id
        if address.eni.instance:
            described["InstanceId"] = address.eni.instance.id
    return described


def _filter_value(address: Any, name: str, method_name: str | None = None) -> Any:
    """The value that a filter of DescribeAddresses compares. moto does `tag:` and `tag-key` itself."""
    with LOCK:
        if name in FILTERS:
            return _described(address).get(FILTERS[name])
    return super(ElasticAddress, address).get_filter_value(name, method_name or "DescribeAddresses")
