"""The errors with which EC2 refuses calls for Elastic IPs, in EC2's words.

`docs/emulators.md` has the source of each error, and says which error code is a guess.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError

from local.network_interfaces import (
    border_group_of_address,
    border_group_of_interface,
    elastic_ips,
    has_dual_stack_hostname,
    private_ips,
)

ACCEPTED_STATES = ("running", "stopped")
"""Refuse a pending, stopping or terminated instance. A stopped instance can get an address."""


def require_one_of(parameters: dict[str, Any], one: str, other: str) -> None:
    if (one in parameters) == (other in parameters):
        code = "InvalidParameterCombination" if one in parameters else "MissingParameter"
        raise EC2ClientError(code, f"You must specify either {one} or {other}, and not both")


def address_asked_for(backend: Any, parameters: dict[str, Any]) -> Any:
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


def address_with_association(backend: Any, association_id: str) -> Any:
    for address in backend.addresses:
        if address.association_id == association_id:
            return address
    raise EC2ClientError("InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist")


def only_interface(instance: Any) -> Any:
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


def fit_interface(interface: Any) -> Any:
    instance = interface.instance
    if instance and instance._state.name not in ACCEPTED_STATES:
        raise EC2ClientError(
            "IncorrectInstanceState",
            f"The {instance._state.name} instance to which '{interface.id}' is attached "
            "is not in a valid state for this operation",
        )
    return interface


def require_private_ip(interface: Any, private_ip: str) -> None:
    if private_ip not in private_ips(interface):
        raise EC2ClientError(
            "InvalidParameterValue", f"Address '{private_ip}' is not assigned to interface '{interface.id}'"
        )


def require_border_group(address: Any, interface: Any) -> None:
    ours, theirs = border_group_of_address(address), border_group_of_interface(interface)
    if ours != theirs:
        raise EC2ClientError(
            "InvalidParameterCombination",
            f"The address '{address.allocation_id}' is in the network border group {ours}, "
            f"and the interface '{interface.id}' is in {theirs}",
        )


def require_reassociation(address: Any, parameters: dict[str, Any]) -> None:
    if address.association_id and parameters.get("AllowReassociation", True) in (False, "false"):
        raise EC2ClientError(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with associate-id {address.association_id}",
        )


def require_another_public_ip(address: Any) -> None:
    """The name of a dual-stack interface needs a public IPv4 address."""
    interface = address.eni
    if not interface or not has_dual_stack_hostname(interface):
        return
    if address.mapped_to == interface.private_ip_address and len(elastic_ips(interface)) == 1:
        raise EC2ClientError(
            "OperationNotPermitted",
            f"The address '{address.public_ip}' is the only public IPv4 address of the interface '{interface.id}', "
            "which has a dual-stack public hostname",
        )
