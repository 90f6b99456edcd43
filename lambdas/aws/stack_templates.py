"""The only module that calls CloudFormation. It reads the templates of the stacks that made addresses or servers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from aws.calls import HURRIED, read_error
from domain.owners import moving_resources
from domain.text import printable


def stacks_that_move_back(names_by_stack: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A warning for each stack that may move an address back, from one call per stack. A stack that no longer exists
    moves nothing. The first template that cannot be read is a warning and the end, so a cutover waits for 2 s only."""
    client: Any = boto3.client("cloudformation", config=HURRIED) if names_by_stack else None
    for stack, names in names_by_stack.items():
        try:
            template = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
        except (ClientError, BotoCoreError) as error:
            code, text, _ = read_error(error)
            if code == "ValidationError":
                continue
            unknown = f"Cannot tell whether the CloudFormation stack {stack} may move an address back"
            yield f"{unknown}: GetTemplate failed with {text}. Check its template as docs/limits.md says."
            return
        if resources := printable(", ".join(moving_resources(template, names))):
            what = f"may move an address back when it is updated, because of its resource {resources}"
            yield f"The CloudFormation stack {stack} {what}. Take it out of the stack as docs/limits.md says."
