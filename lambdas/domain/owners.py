"""Who else may change a pair: Auto Scaling and EC2 may replace a server, and a stack of CloudFormation that made an
address or a server may move an address back when it is updated. Pure."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domain.picture import Picture
from domain.plan import Plan
from domain.text import printable

GROUP = "aws:autoscaling:groupName"
STACK, LOGICAL_ID = "aws:cloudformation:stack-name", "aws:cloudformation:logical-id"
ADDRESS_TYPE = re.compile(r"\bType\W+(AWS::EC2::EIP(?:Association)?)\b")


def replaced_servers(plan: Plan, picture: Picture) -> Iterator[str]:
    """A warning for each server that AWS may end: when it is unhealthy, or when EC2 needs its capacity."""
    for server in plan.pair.servers:
        instance = picture.instances[server.instance_id]
        if group := instance.tags.get(GROUP):
            yield f"{server} is in the Auto Scaling group {printable(group)}, which may terminate it. Detach it."
        if instance.is_spot:
            yield f"{server} is a Spot Instance, which EC2 may interrupt. Use an On-Demand Instance."


def names_by_stack(plan: Plan, picture: Picture) -> Mapping[str, set[str]]:
    """What the template of each stack that made an address or a server of the pair may call them: their ids, and the
    logical ids of those that this stack made."""
    servers = [picture.instances[server.instance_id] for server in plan.pair.servers]
    ids = {server.instance_id for server in plan.pair.servers}.union(*(server.interfaces for server in servers))
    addresses = plan.production, plan.staging
    ids |= {name for address in addresses for name in (address.allocation_id, address.public_ip)}
    names: dict[str, set[str]] = defaultdict(ids.copy)
    for tags in (*(address.tags for address in addresses), *(server.tags for server in servers)):
        if STACK in tags and LOGICAL_ID in tags:
            names[tags[STACK]].add(tags[LOGICAL_ID])
    return names


def moving_resources(template: Any, names: Iterable[str]) -> Iterator[str]:
    """The logical ids of the resources that associate an address and mention one of the names: of the type
    `AWS::EC2::EIPAssociation`, or of the type `AWS::EC2::EIP` with `InstanceId`."""
    mentioned = re.compile(rf"(?<![\w.:-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    for logical_id, text in _resources(template):
        kind = ADDRESS_TYPE.search(text)
        if kind and (kind[1].endswith("Association") or "InstanceId" in text) and mentioned.search(text):
            yield logical_id


def _resources(template: Any) -> Iterator[tuple[str, str]]:
    """Each resource of a template as text: JSON as boto3 has parsed it, or YAML, which is cut by its indentation."""
    if isinstance(template, Mapping):
        yield from ((name, json.dumps({name: each})) for name, each in template.get("Resources", {}).items())
        return
    lines = re.sub(r"(?m)^\s*(#.*)?\n", "", f"{template}\n")  # without comments and empty lines
    section = re.search(r"(?m)^Resources:.*\n(( +).*\n(?: .*\n)*)", lines)
    for resource in re.split(rf"(?m)^{section[2]}(?! )", section[1])[1:] if section else []:
        yield resource.partition(":")[0].strip("\"'"), resource
