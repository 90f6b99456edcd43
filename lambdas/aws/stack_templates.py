"""The only module that calls CloudFormation: which stacks may move an address of a pair back when they are updated?"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aws.calls import FAILURES, HURRIED, aws_client, read_error
from domain.picture import Picture
from domain.plan import Plan
from domain.text import printable

STACK, LOGICAL_ID = "aws:cloudformation:stack-name", "aws:cloudformation:logical-id"
ADDRESS_TYPE = re.compile(r"\bType\W+AWS::EC2::EIP(Association)?\b")


def stacks_that_move_back(names_by_stack: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A warning for each of the stacks that may move an address back, from one call per stack; a deleted stack moves
    nothing. After the first template that cannot be read, no other is read, so this waits for 2 s at most."""
    for stack, names in names_by_stack.items():
        try:
            shown = aws_client("cloudformation", HURRIED).get_template(StackName=stack, TemplateStage="Processed")
        except FAILURES as error:
            code, text, _ = read_error(error)
            if code == "ValidationError":
                continue
            unknown = f"Cannot tell whether the CloudFormation stack {stack} may move an address back"
            yield f"{unknown}: GetTemplate failed with {text}. Check its template as docs/limits.md says."
            return
        if resources := printable(", ".join(moving_resources(shown["TemplateBody"], names))):
            what = f"may move an address back when it is updated, because of its resource {resources}"
            yield f"The CloudFormation stack {stack} {what}. Take it out of the stack as docs/limits.md says."


def names_by_stack(plan: Plan, picture: Picture) -> Mapping[str, set[str]]:
    """What a stack that made an address or a server of the pair may call them: any id, and logical ids of its own."""
    addresses, instances = (plan.production, plan.staging), picture.instances
    ids = set(instances).union(*(instance.interfaces for instance in instances.values()))
    ids.update(*((address.allocation_id, address.public_ip) for address in addresses))
    names: dict[str, set[str]] = defaultdict(ids.copy)
    for tags in (*(address.tags for address in addresses), *(instance.tags for instance in instances.values())):
        if STACK in tags and LOGICAL_ID in tags:
            names[tags[STACK]].add(tags[LOGICAL_ID])
    return names


def moving_resources(template: Any, names: Iterable[str]) -> Iterator[str]:
    """The logical ids of the resources that associate an address and mention one of the names. boto3 has parsed the
    template if it is JSON. If it is YAML, it is cut into its resources by the indentation."""
    if isinstance(template, Mapping):
        resources = {name: json.dumps({name: each}) for name, each in template.get("Resources", {}).items()}
    else:
        lines = re.sub(r"(?m)^\s*(#.*)?\n", "", f"{template}\n")  # without comments and empty lines
        section = re.search(r"(?m)^Resources:.*\n(( +).*\n(?: .*\n)*)", lines)
        cut = re.split(rf"(?m)^{section[2]}(?! )", section[1])[1:] if section else []
        resources = {each.partition(":")[0].strip("\"'"): each for each in cut}
    mentioned = re.compile(rf"(?<![\w.:-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    for logical_id, text in resources.items():
        kind = ADDRESS_TYPE.search(text)
        if kind and (kind[1] or "InstanceId" in text) and mentioned.search(text):
            yield logical_id
