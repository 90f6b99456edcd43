"""The AWS CLI commands that a person runs to move an address. Pure: text only."""

from domain.pair import Address, Server


def associate_command(address: Address, server: Server, private_ip: str | None = None) -> str:
    """The AWS CLI command that puts an address on a server, and there on one of several private addresses if said."""
    target = (
        f"--network-interface-id {server.network_interface_id}"
        if server.network_interface_id
        else f"--instance-id {server.instance_id}"
    )
    private = f" --private-ip-address {private_ip}" if private_ip else ""
    return f"aws ec2 associate-address --allocation-id {address.allocation_id} {target}{private} --allow-reassociation"


def restore_command(address: Address, before: Address, server: Server) -> str:
    """The AWS CLI command that puts an address back on the server and private address that it was on before."""
    return associate_command(address, server, before.private_ip)


def take_off_command(address: Address) -> str:
    """The AWS CLI command that takes an address off whatever it is on then, if it is on anything."""
    return (
        f"aws ec2 describe-addresses --allocation-ids {address.allocation_id} --query 'Addresses[].AssociationId' "
        "--output text | xargs -r -n 1 aws ec2 disassociate-address --association-id"
    )


def disassociate_command(address: Address) -> str:
    """The AWS CLI command that takes an address off whatever it is on."""
    return f"aws ec2 disassociate-address --association-id {address.association_id}"
