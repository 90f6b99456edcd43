"""From every state of a pair, the printed commands lead to the sound pair, production first, on the emulated EC2."""

import shlex
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from mypy_boto3_ec2 import EC2Client

from domain.commands import Way, foreign_address_at, place_on, ways_to
from domain.pair import Address, Pair, Place, Server
from tests.unit.emulated_ec2 import address, interface_of, launch, private_ips

NAMES = ("bittybot", "tao", None)


@pytest.fixture
def pair(client: EC2Client, production: str, staging: str) -> Iterator[Pair]:
    """Two servers, each with two private addresses on one interface."""
    servers = [Server(name, launch(client, SecondaryPrivateIpAddressCount=1)) for name in NAMES if name]
    yield Pair("web", production, staging, (servers[0], servers[1]), health_check=())
    for allocation_id in (production, staging):
        client.release_address(AllocationId=allocation_id)


def put(client: EC2Client, allocation_id: str, server: Server | None, *, second: bool = False) -> None:
    """Put an address on a server, or on no server."""
    if server is None:
        if association_id := address(client, allocation_id).get("AssociationId"):
            client.disassociate_address(AssociationId=association_id)
        return
    private_ip = private_ips(interface_of(client, server.instance_id))[1 if second else 0]
    target: Any = {"InstanceId": server.instance_id, "PrivateIpAddress": private_ip}
    client.associate_address(AllocationId=allocation_id, AllowReassociation=True, **target)


def shown(client: EC2Client, pair: Pair) -> tuple[Address, Address]:
    production, staging = (address(client, each) for each in (pair.production, pair.staging))
    return pair.address("production", production), pair.address("staging", staging)


def run(client: EC2Client, command: str) -> None:
    """Run an AWS CLI command that associates an address."""
    program, service, action, *words = shlex.split(command)
    assert (program, service, action, words.pop()) == ("aws", "ec2", "associate-address", "--allow-reassociation")
    options = dict(zip(words[::2], words[1::2], strict=True))
    names = {"--allocation-id": "AllocationId", "--instance-id": "InstanceId",
             "--private-ip-address": "PrivateIpAddress"}  # fmt: skip
    given: Any = {names[option]: value for option, value in options.items()}
    client.associate_address(AllowReassociation=True, **given)


def places(client: EC2Client, pair: Pair) -> dict[str, Place]:
    instances = {
        server.name: {"NetworkInterfaces": [interface_of(client, server.instance_id)]} for server in pair.servers
    }
    return {server.name: place_on(server, shown(client, pair), instances[server.name]) for server in pair.servers}


def way_from(ways: list[Way], production: str | None, staging: str | None) -> Way:
    (way,) = (way for way in ways if production in way.production and staging in way.staging)
    return way


@pytest.mark.parametrize("live", ["bittybot", "tao"])
def test_from_every_state_the_commands_lead_to_the_sound_pair_and_production_keeps_an_address(
    client: EC2Client, pair: Pair, live: str
) -> None:
    put(client, pair.production, pair.servers[0])
    put(client, pair.staging, pair.servers[1])
    there, production, staging = places(client, pair), *shown(client, pair)
    idle = pair.other(there[live].server).name
    ways = ways_to(there[live], there[idle], production, staging)
    for production_on, staging_on in product(NAMES, NAMES):
        for allocation_id in (pair.production, pair.staging):
            put(client, allocation_id, None)
        put(client, pair.production, pair.server_named(production_on))
        put(client, pair.staging, pair.server_named(staging_on), second=production_on == staging_on)
        state = tuple(each.server for each in shown(client, pair))
        assert state == (production_on, staging_on)
        moved = False
        for command in way_from(ways, production_on, staging_on).commands:
            assert moved or production_on == live or pair.production in command, "production moves first"
            run(client, command)
            moved = True
            assert shown(client, pair)[0].server == live, "and is never without an address again"
        assert tuple(each.server for each in shown(client, pair)) == (live, idle), state


def test_states_with_the_same_commands_are_together_and_a_sound_pair_needs_none(client: EC2Client, pair: Pair) -> None:
    there = places(client, pair)
    ways = ways_to(there["tao"], there["bittybot"], *shown(client, pair))
    assert [(len(way.commands), way.production, way.staging) for way in ways] == [
        (2, ("bittybot", None), ("tao", None)),
        (1, ("tao",), ("tao", None)),
        (1, ("bittybot", None), ("bittybot",)),
        (0, ("tao",), ("bittybot",)),
    ]


def test_a_place_is_where_an_address_is_or_else_the_first_private_address_of_the_interface(
    client: EC2Client, pair: Pair
) -> None:
    put(client, pair.production, pair.servers[0], second=True)
    first, second = private_ips(interface_of(client, pair.servers[0].instance_id))
    assert places(client, pair)["bittybot"].private_ip == second
    put(client, pair.production, None)
    assert places(client, pair)["bittybot"].private_ip == first


def test_an_elastic_ip_of_others_at_a_place_is_found_and_an_automatic_address_is_not(
    client: EC2Client, pair: Pair
) -> None:
    server, ours = pair.servers[0], shown(client, pair)
    instance = {"NetworkInterfaces": [interface_of(client, server.instance_id)]}
    place = place_on(server, ours, instance)
    assert foreign_address_at(place, ours, instance) is None
    other = client.allocate_address()
    put(client, other["AllocationId"], server)
    instance = {"NetworkInterfaces": [interface_of(client, server.instance_id)]}
    assert foreign_address_at(place, ours, instance) == other["PublicIp"]
    put(client, other["AllocationId"], server, second=True)
    instance = {"NetworkInterfaces": [interface_of(client, server.instance_id)]}
    assert foreign_address_at(place, ours, instance) is None
    client.release_address(AllocationId=other["AllocationId"])
    put(client, pair.production, server)
    instance = {"NetworkInterfaces": [interface_of(client, server.instance_id)]}
    assert foreign_address_at(place, shown(client, pair), instance) is None


@pytest.mark.parametrize(
    ("configured", "interfaces", "private_ip"),
    [(None, 1, "10.0.0.1"), (None, 2, None), ("eni-2", 2, "10.0.0.2"), ("eni-3", 2, None), (None, 0, None)],
)
def test_a_private_address_is_only_named_if_the_interface_is_clear(
    configured: str | None, interfaces: int, private_ip: str | None
) -> None:
    described = [
        {"NetworkInterfaceId": f"eni-{n}", "PrivateIpAddress": f"10.0.0.{n}"} for n in range(1, interfaces + 1)
    ]
    place = place_on(Server("tao", "i-b", configured), [], {"NetworkInterfaces": described})
    assert place.private_ip == private_ip
