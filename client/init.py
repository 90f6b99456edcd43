"""`init`: the pair for cdk.json, made from two public addresses and from EC2's description of their servers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from client.account import Account
from client.errors import Problem
from client.text import JsonObject, plain
from domain.pair import NAME_PATTERN


def described_pair(account: Account, *, production: str, staging: str) -> JsonObject:
    """The pair, as cdk.json has it. Raises Problem with everything that is wrong with the two addresses."""
    by_ip = {address["PublicIp"]: address for address in account.addresses_by("public-ip", [production, staging])}
    ips = {"production": production, "staging": staging}
    _refuse(_problem_of_address(account, role, ip, by_ip.get(ip)) for role, ip in ips.items())
    ids = [str(by_ip[ip]["InstanceId"]) for ip in ips.values()]
    same = f"Both addresses are on the same instance, {ids[0]}. A pair has two servers: move {staging} to the other."
    _refuse([same] if ids[0] == ids[1] else [])
    instances = account.instances(ids)
    missing = "The instance {} is not in this account and Region."
    _refuse(missing.format(instance) for instance in ids if instance not in instances)
    names = server_names([instances[instance] for instance in ids])
    allocations = {role: by_ip[ip]["AllocationId"] for role, ip in ips.items()}
    pair: JsonObject = {**allocations, "servers": dict(zip(names, ids, strict=True))}
    # EC2 moves an address by instance id only if the instance has one interface.
    if any(len(instances[instance].get("NetworkInterfaces", [])) > 1 for instance in ids):
        interfaces = [by_ip[ip]["NetworkInterfaceId"] for ip in ips.values()]
        pair["networkInterfaces"] = dict(zip(names, interfaces, strict=True))
    return pair


def server_names(instances: Sequence[Mapping[str, Any]]) -> list[str]:
    """The instances' names, from their tags Name. The id if a tag has no valid name; both ids if they are equal."""
    ids = [str(instance["InstanceId"]) for instance in instances]
    tags = [{tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])} for instance in instances]
    names = [sanitized(each.get("Name", "")) or instance_id for each, instance_id in zip(tags, ids, strict=True)]
    # The input of an execution ignores case, so the names must differ in more than case.
    return names if len({name.lower() for name in names}) == len(names) else ids


def sanitized(name: str) -> str:
    """The text without the characters that `NAME_PATTERN` forbids; may be empty."""
    valid = re.search(NAME_PATTERN, re.sub("[^A-Za-z0-9._-]+", "-", name))
    return valid[0].rstrip("-._") if valid else ""


def _refuse(problems: Iterable[str | None]) -> None:
    if messages := [problem for problem in problems if problem]:
        raise Problem(" ".join(messages))


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
