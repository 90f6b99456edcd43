"""What a person copies: for cdk.json a pair or its servers (`init`), and for a shell the `aws ec2` commands that make
either server live, from each state of the pair (`commands`). They need EC2 only."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from client.account import Account, Problem
from client.result import ROLES, in_words
from client.screen import JsonObject, Rows, plain
from client.status import server_named
from domain.commands import foreign_address_at, place_on, ways_to
from domain.pair import NAME_PATTERN, Pair
from domain.plan import as_lines

MISSING = "The instance {} is not in this account and Region."
QUERY = "--query 'Addresses[].[AllocationId,InstanceId]' --output text"


def described_pair(account: Account, *, production: str, staging: str) -> JsonObject:
    """The pair, as cdk.json has it. Raises Problem with everything that is wrong with the two addresses."""
    by_ip = {address["PublicIp"]: address for address in account.addresses_by("public-ip", [production, staging])}
    ips = {"production": production, "staging": staging}
    _refuse(_problem_of_address(account, role, ip, by_ip.get(ip)) for role, ip in ips.items())
    ids = [str(by_ip[ip]["InstanceId"]) for ip in ips.values()]
    same = f"Both addresses are on the same instance, {ids[0]}. A pair has two servers: move {staging} to the other."
    instances = account.instances(ids)
    _refuse([same] if ids[0] == ids[1] else [MISSING.format(each) for each in ids if each not in instances])
    names = server_names([instances[instance] for instance in ids])
    pair: JsonObject = {role: by_ip[ip]["AllocationId"] for role, ip in ips.items()}
    pair["servers"] = dict(zip(names, ids, strict=True))
    # EC2 moves an address by instance id only if the instance has one interface.
    if any(len(instances[instance].get("NetworkInterfaces", [])) > 1 for instance in ids):
        interfaces = [by_ip[ip]["NetworkInterfaceId"] for ip in ips.values()]
        pair["networkInterfaces"] = dict(zip(names, interfaces, strict=True))
    return pair


def replaced_server(account: Account, pair: Pair, name: str, instance_id: str) -> JsonObject:
    """The keys of the pair in cdk.json that name servers, with this instance as the server of this name. Raises Problem
    with everything that is wrong with the instance, as far as EC2 describes it."""
    other = pair.other(server := server_named(pair, name))
    found = account.instances([instance_id, other.instance_id])
    _refuse([] if instance_id in found else [MISSING.format(instance_id)])
    new = found[instance_id]
    state, zone = new["State"]["Name"], str(new["Placement"]["AvailabilityZone"])
    kept = other.network_interface_id or _first_interface(found.get(other.instance_id, {}))
    interfaces = {each.name: _first_interface(new) if each == server else kept for each in pair.servers}
    named = other.network_interface_id or len(new.get("NetworkInterfaces", [])) > 1
    groups = {each.border_group or zone for each in account.addresses([pair]).values()}
    _refuse([
        f"{instance_id} is the other server, {other.name}." if instance_id == other.instance_id else None,
        f"{instance_id} is {server.name} already." if instance_id == server.instance_id else None,
        None if state == "running" else f"{instance_id} is {state}. Start it, or use another instance.",
        None if interfaces[server.name] else f"{instance_id} has no network interface.",
        None if kept or not named else f"The instance of {other.name} is not in this account.",
        # A Local Zone has a border group of its own: EC2 User Guide, "Local Zones".
        None if groups <= {zone, zone[:-1]} else f"{instance_id} is in {zone}, outside the addresses' border group.",
    ])  # fmt: skip
    servers = {each.name: instance_id if each == server else each.instance_id for each in pair.servers}
    return {"servers": servers, **({"networkInterfaces": interfaces} if named else {})}


def _first_interface(instance: Mapping[str, Any]) -> str | None:
    by_index = {each.get("Attachment", {}).get("DeviceIndex"): each for each in instance.get("NetworkInterfaces", [])}
    return by_index[0]["NetworkInterfaceId"] if 0 in by_index else None


def server_names(instances: Sequence[Mapping[str, Any]]) -> list[str]:
    """The instances' names, from their tags Name. The id if a tag has no valid name; both ids if they are equal."""
    ids = [str(instance["InstanceId"]) for instance in instances]
    tags = [{tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])} for instance in instances]
    # Without the characters that NAME_PATTERN forbids.
    valid = [re.search(NAME_PATTERN, re.sub("[^A-Za-z0-9._-]+", "-", each.get("Name", ""))) for each in tags]
    names = [name[0].rstrip("-._") if name else instance for name, instance in zip(valid, ids, strict=True)]
    # The input of an execution ignores case, so the names must differ in more than case.
    return names if len({name.lower() for name in names}) == len(names) else ids


def _refuse(problems: Iterable[str | None]) -> None:
    if messages := [problem for problem in problems if problem]:
        raise Problem("\n".join(messages))  # a message may end with a command, which has a line of its own


def _problem_of_address(account: Account, role: str, ip: str, address: Mapping[str, Any] | None) -> str | None:
    subject = f"The {role} address {ip}"
    if address is None:
        advice = "Check the address, the credentials and AWS_REGION."
        return f"{subject} is not an Elastic IP of this account in {account.region}. {advice}"
    if service := plain(address.get("ServiceManaged", "")):
        return f"{subject} is managed by the AWS service {service}, which owns its association. Use another address."
    if not address.get("AssociationId"):
        associate = f"aws ec2 associate-address --allocation-id {address['AllocationId']} --instance-id INSTANCE"
        return f"{subject} ({address['AllocationId']}) is not on a server. Associate it:\n{associate}"
    if not address.get("InstanceId"):
        return f"{subject} is on {address.get('NetworkInterfaceId')}, which does not belong to an instance."
    return None


def ways(account: Account, pair: Pair) -> tuple[JsonObject, Rows]:
    """The addresses as they are now, and the commands, as JSON and in rows. Raises Problem without an address."""
    shown, ids, region = account.addresses([pair]), (pair.production, pair.staging), account.region
    if missing := [each for each in ids if each not in shown]:
        raise Problem(f"{' and '.join(missing)} is not an address of this account and Region. Correct cdk.json.")
    production, staging = addresses = [shown[each] for each in ids]
    instances = account.instances(server.instance_id for server in pair.servers)
    one, other = (place_on(each, addresses, instances.get(each.instance_id, {})) for each in pair.servers)
    check = f"aws ec2 describe-addresses --allocation-ids {pair.production} {pair.staging} --region {region} {QUERY}"
    warnings = [
        f"{foreign} is at {place}, and a command to that place takes it away"
        for place in (one, other)
        if (foreign := foreign_address_at(place, addresses, instances.get(place.server.instance_id, {})))
    ]
    found = [
        {"live": live.server.name, **vars(way), "commands": [f"{each} --region {region}" for each in way.commands]}
        for live, idle in ((one, other), (other, one))
        for way in ways_to(live, idle, production, staging)
    ]
    rows = [
        ("pair", f"{pair.name} in {region}. Print this again after every change of a server"),
        *((each.name, f"{each.allocation_id}, {in_words(each)}") for each in addresses),
        *(("warning", warning) for warning in warnings),
        ("check first", f"where both addresses are:\n{check}"),
    ]
    for way in (way for way in found if way["commands"]):
        on = [f"{role} is on {' or '.join(name or 'no server' for name in way[role])}" for role in ROLES]
        rows += [(f"{way['live']} live", f"if {' and '.join(on)}:{as_lines(way['commands'])}")]
    shown_as: JsonObject = {each.name: each.to_json() for each in addresses}
    return {"pair": pair.name, "region": region, **shown_as, "warnings": warnings, "check": check, "ways": found}, rows
