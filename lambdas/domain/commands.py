"""The AWS CLI commands that a person runs to move an address. Pure: text only."""

from domain.pair import Address, Place


def associate_command(address: Address, place: Place) -> str:
    """The AWS CLI command that puts an address on a server, and there on one of several private addresses if said."""
    server = place.server
    target = (
        f"--network-interface-id {server.network_interface_id}"
        if server.network_interface_id
        else f"--instance-id {server.instance_id}"
    )
    private = f" --private-ip-address {place.private_ip}" if place.private_ip else ""
    return f"aws ec2 associate-address --allocation-id {address.allocation_id} {target}{private} --allow-reassociation"


def disassociate_command(association_id: str) -> str:
    """The AWS CLI command that ends an association."""
    return f"aws ec2 disassociate-address --association-id {association_id}"
