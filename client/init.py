"""`init`: from two public addresses to the pair for cdk.json, with what EC2 knows of the servers behind them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from client.account import Account
from client.errors import Problem
from client.text import JsonObject, plain

# As in `stacks/configuration/pairs.py`; a test deploys what comes out of here.
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LONGEST_NAME = 64


def described_pair(account: Account, *, production: str, staging: str) -> JsonObject:
    """The value of the pair. Raises Problem with everything that is wrong with the two addresses."""
    by_ip = {address["PublicIp"]: address for address in account.addresses_of([production, staging])}
    found = {role: by_ip.get(ip) for role, ip in (("production", production), ("staging", staging))}
    ips = {"production": production, "staging": staging}
    wrong = [problem for role, address in found.items() if (problem := _wrong(account, role, ips[role], address))]
    if wrong:
        raise Problem(" ".join(wrong))
    ids = [str(address["InstanceId"]) for address in found.values() if address]
    if ids[0] == ids[1]:
        raise Problem(
            f"Both addresses are on the same instance, {ids[0]}. A pair is two servers: put {staging} on the other one."
        )
    instances = account.instances(ids)
    wrong = [problem for instance in ids if (problem := _unfit(instance, instances.get(instance)))]
    if wrong:
        raise Problem(" ".join(wrong))
    names = server_names([instances[instance] for instance in ids])
    return {
        **{role: address["AllocationId"] for role, address in found.items() if address},
        "servers": dict(zip(names, ids, strict=True)),
    }


def server_names(instances: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each, from its tag Name where that makes one; where both have the same, their instance ids."""
    names = [
        sanitized(next((tag["Value"] for tag in instance.get("Tags", []) if tag["Key"] == "Name"), ""))
        or str(instance["InstanceId"])
        for instance in instances
    ]
    # Names that differ in case only are one: an execution's input is read so.
    return (
        names if len({name.lower() for name in names}) == len(names) else [str(one["InstanceId"]) for one in instances]
    )


def sanitized(name: str) -> str:
    """What is left of a name when all that is not allowed in one is taken out; nothing, if nothing is left."""
    text = re.sub("[^A-Za-z0-9._-]+", "-", name)
    return re.sub("^[^A-Za-z0-9]+", "", text)[:LONGEST_NAME].rstrip("-._")


def _wrong(account: Account, role: str, ip: str, address: Mapping[str, Any] | None) -> str | None:
    if address is None:
        return (
            f"The {role} address {ip} is no Elastic IP of this account in {account.region}. Check the address, the "
            "credentials and AWS_REGION."
        )
    if service := address.get("ServiceManaged"):
        return (
            f"The {role} address {ip} is managed by the AWS service {plain(service)}, which owns its association. "
            "Use an address of your own."
        )
    if not address.get("AssociationId"):
        return (
            f"The {role} address {ip} ({address['AllocationId']}) is on no server. Put it on one with: aws ec2 "
            f"associate-address --allocation-id {address['AllocationId']} --instance-id INSTANCE"
        )
    if not address.get("InstanceId"):
        return f"The {role} address {ip} is on {address.get('NetworkInterfaceId')}, which is not an instance's."
    return None


def _unfit(instance_id: str, instance: Mapping[str, Any] | None) -> str | None:
    if instance is None:
        return f"The instance {instance_id} is not in this account and Region."
    interfaces = len(instance.get("NetworkInterfaces", []))
    if interfaces > 1:
        return (
            f"The instance {instance_id} has {interfaces} network interfaces. A server of a pair has one: with more, "
            "EC2 does not move an address by the instance."
        )
    return None
