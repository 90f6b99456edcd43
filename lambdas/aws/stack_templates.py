"""The only module that calls CloudFormation: which stacks may move an address of a pair back when they are updated?"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from threading import Thread
from typing import Any

from aws.calls import HURRIED, aws_client, read_error
from domain.pair import Picture
from domain.plan import Plan
from domain.text import printable

STACK, LOGICAL_ID = "aws:cloudformation:stack-name", "aws:cloudformation:logical-id"
ASSOCIATION, ADDRESS = "AWS::EC2::EIPAssociation", "AWS::EC2::EIP"


def stacks_that_move_back(names_by_stack: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A warning for each of the stacks that may move an address back, and one for all whose templates could not be
    read within 2 s. A deleted stack moves nothing."""
    if not names_by_stack:
        return
    client, moving, failures = aws_client("cloudformation", HURRIED), dict[str, str](), list[str]()

    def read() -> None:
        for stack, names in names_by_stack.items():
            try:
                template = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
                moving[stack] = ", ".join(moving_resources(template, names))
            except Exception as error:  # of boto3, or of PyYAML
                code, text, _ = read_error(error)
                if code == "ValidationError":
                    moving[stack] = ""
                else:
                    failures.append(f"the first failure: {text}")

    reader = Thread(target=read, daemon=True)  # no timeout of botocore ends an answer that comes byte by byte
    reader.start()
    reader.join(2)
    known, reason = dict(moving), next(iter(failures), "not read within 2 s")
    for stack in filter(known.get, known):
        what = f"may move an address back when it is updated, because of its resource {printable(known[stack])}"
        yield f"The CloudFormation stack {stack} {what}. Take it out of the stack as docs/limits.md says."
    if unknown := ", ".join(stack for stack in names_by_stack if stack not in known):
        what = f"may move an address back: {unknown} ({reason})"
        yield f"Cannot tell whether these CloudFormation stacks {what}. Check their templates as docs/limits.md says."


def names_by_stack(plan: Plan, picture: Picture) -> Mapping[str, set[str]]:
    """What a stack that made an address, a server or an interface may call them: any id, and logical ids of its own."""
    addresses, instances = (plan.production, plan.staging), picture.instances
    tagged: list[Any] = [*addresses, *instances.values()]
    tagged += [interface for instance in instances.values() for interface in instance.interfaces.values()]
    ids = set(instances).union(*(instance.interfaces for instance in instances.values()))
    ids.update(*((address.allocation_id, address.public_ip) for address in addresses))
    names: dict[str, set[str]] = defaultdict(ids.copy)
    for tags in (each.tags for each in tagged):
        if STACK in tags and LOGICAL_ID in tags:
            names[tags[STACK]].add(tags[LOGICAL_ID])
    return names


def moving_resources(template: Any, names: Collection[str]) -> Iterator[str]:
    """The logical ids of the resources that associate an address, if it has one of the names, or if what it is
    associated with does; with a condition, which an update may change. boto3 has parsed a template if it is JSON."""
    if isinstance(template, str):
        if ADDRESS not in template:
            return
        import yaml  # type: ignore[import-untyped]  # noqa: PLC0415  # takes time, and is seldom needed

        template = yaml.BaseLoader(template).get_single_data()  # its short forms, such as !Ref, become their contents
    named = re.compile(rf"(?<![\w.:-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")
    for logical_id, resource in template["Resources"].items():
        properties = {**(resource.get("Properties") or {}), "Tags": None}
        associates = resource["Type"] in (ASSOCIATION, ADDRESS if "InstanceId" in properties else None)
        if associates and (logical_id in names or named.search(json.dumps([*properties.values()]))):
            condition = resource.get("Condition")
            yield f"{logical_id} (if its condition {condition} is true)" if condition else logical_id
