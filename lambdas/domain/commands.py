"""The AWS CLI commands with which a person moves an address, and those that lead to a sound pair. Pure: text only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from domain.pair import AUTO_ASSIGNED, Address, Place, Server


def associate_command(address: Address, place: Place) -> str:
    interface_id = place.server.network_interface_id
    target = f"--network-interface-id {interface_id}" if interface_id else f"--instance-id {place.server.instance_id}"
    private = f" --private-ip-address {place.private_ip}" if place.private_ip else ""
    return f"aws ec2 associate-address --allocation-id {address.allocation_id} {target}{private} --allow-reassociation"


@dataclass(frozen=True)
class Way:
    """The commands, in order, that make a pair sound if production is on one of these servers and staging on one of
    those; None stands for no server. Production moves first, in one call, and is never without an address."""

    commands: tuple[str, ...]
    production: tuple[str | None, ...]
    staging: tuple[str | None, ...]


def ways_to(live: Place, idle: Place, production: Address, staging: Address) -> list[Way]:
    """The commands that put production at `live` and staging at `idle`, for every state of the pair, the most first."""
    servers, ways = (live.server.name, idle.server.name, None), []
    for moves_staging, moves_production in product((True, False), repeat=2):
        moves = ((production, live, moves_production), (staging, idle, moves_staging))
        commands = tuple(associate_command(address, place) for address, place, is_needed in moves if is_needed)
        on = (tuple(name for name in servers if (name != place.server.name) == needed) for _, place, needed in moves)
        ways.append(Way(commands, *on))
    return ways


def place_on(server: Server, addresses: Iterable[Address], instance: Mapping[str, Any]) -> Place:
    """Where on a server an address goes: where an address of its pair is, or the first address of its interface."""
    for address in addresses:
        if address.server == server.name:
            return Place(server, address.private_ip)
    attached, configured = instance.get("NetworkInterfaces", []), server.network_interface_id
    interfaces = [each for each in attached if configured in (None, each.get("NetworkInterfaceId"))]
    return Place(server, interfaces[0].get("PrivateIpAddress") if len(interfaces) == 1 else None)


def foreign_address_at(place: Place, addresses: Iterable[Address], instance: Mapping[str, Any]) -> str | None:
    """The Elastic IP of others that is at a place, which a command to it would displace; None if there is none."""
    known, interfaces = {address.public_ip for address in addresses}, instance.get("NetworkInterfaces", [])
    private = (each for interface in interfaces for each in interface.get("PrivateIpAddresses", []))
    held = (each.get("Association", {}) for each in private if each.get("PrivateIpAddress") == place.private_ip)
    elastic = (str(each["PublicIp"]) for each in held if each.get("IpOwnerId", AUTO_ASSIGNED) != AUTO_ASSIGNED)
    return next((ip for ip in elastic if ip not in known), None)
