"""The context value `name` of cdk.json, and a stack's fixed names, which derive from it and are its own in a Region."""

import re

from annotated_types import Predicate
from pydantic import Field

from stacks.configuration.allowed import text
from stacks.configuration.problems import shown

DEFAULT_NAME = "eip-cutover"
# CodePipeline allows 100 for a pipeline, `<name>@<pair>`, and a pair's name has 64. Other names have more room.
LONGEST = 35
# AWS's own parameters and documents begin like this. Source: SSM API Reference, PutParameter and CreateDocument.
RESERVED = ("amazon", "amzn", "aws", "ssm")
OTHERS = ("-pipeline", "-readiness", "-repair")  # such a name belongs to the stack with the name before the suffix
STACK_NAME = text(
    f'a name of 1 to {LONGEST} characters: letters from a to z, digits, and single "-" between them; it begins with a '
    f"letter, not with {' or '.join(map(shown, RESERVED))}, and does not end in {' or '.join(map(shown, OTHERS))}",
    "[a-z][a-z0-9]*(?:-[a-z0-9]+)*",
    Field(max_length=LONGEST),
    Predicate(lambda name: not name.startswith(RESERVED) and not name.endswith(OTHERS)),
)


class Names:
    """The names that derive from `cutover`, the `name` itself, which is also that of the workflow, the dashboard, the
    events' source, the messages' subject and the service in logs. The names of alarms and pipelines begin with it."""

    def __init__(self, cutover: str) -> None:
        self.cutover, self.repair, self.readiness = cutover, f"{cutover}-repair", f"{cutover}-readiness"
        self.workflows = self.cutover, self.repair
        # The stack's id in CloudFormation, and the namespace of its metrics: `EipCutover`, or `Team-2` of `team-2`.
        self.stack = re.sub("(?:^|-)([a-z])", lambda begin: begin[1].upper(), cutover)
        self.pipeline_stack = f"{self.stack}Pipeline"
        self.documents = f"{cutover}."  # begins the names of documents with commands; no other stack's name has a "."
        self.pairs_path = f"/{cutover}/pairs"  # for the client (docs/decisions/0012-pairs-for-the-client.md)

    def pipeline(self, pair: str) -> str:
        """The name of a pair's pipeline. With "@", which no other name may have, no two stacks share it."""
        return f"{self.cutover}{'-' if self.cutover == DEFAULT_NAME else '@'}{pair}"
