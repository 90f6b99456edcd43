"""The AWS CLI command with which a person moves an address. Pure: text only."""

from domain.pair import Address, Place


def associate_command(address: Address, place: Place) -> str:
    interface_id = place.server.network_interface_id
    target = f"--network-interface-id {interface_id}" if interface_id else f"--instance-id {place.server.instance_id}"
    private = f" --private-ip-address {place.private_ip}" if place.private_ip else ""
    return f"aws ec2 associate-address --allocation-id {address.allocation_id} {target}{private} --allow-reassociation"
