"""What cdk-nag finds in this stack and is right so: each finding by its own id, with the reason, where it arises.

Deploying does not need cdk-nag: the acknowledgements are the CDK's own. `tests/stacks/test_nag.py` runs it, and fails
for a finding that is not acknowledged as well as for an acknowledgement that no finding needs any more.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Findings on a construct, or below it, by id (`Pack::Rule`), each with the reason why it is right so."""
    acknowledged = [Acknowledgment(id=finding, reason=reason) for finding, reason in reasons.items()]
    Validations.of(construct).acknowledge(*acknowledged)


def acknowledge_wildcards(role: iam.IRole | None, reasons: Mapping[str, str]) -> None:
    """Resources with a "*" in them in a role's policies, each with the reason why nothing narrower would do."""
    assert role is not None  # noqa: S101  # all roles are of this stack
    named = {_in_words(Stack.of(role).resolve(resource)): reason for resource, reason in reasons.items()}
    acknowledge(role, {f"AwsSolutions::AwsSolutions-IAM5[Resource::{name}]": reason for name, reason in named.items()})


def _in_words(resource: Any) -> str:
    """A resolved ARN as cdk-nag writes it into the id of a finding, with references as `<LogicalId.Attribute>`."""
    match resource:
        case str():
            return resource
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_in_words(part) for part in parts)
        case _:
            raise ValueError(f"{resource} is no ARN that cdk-nag can name")


def rule(scope: Construct, construct_id: str, *, lost: str, **options: Any) -> events.Rule:
    """A rule of EventBridge. `lost` says why an event that it could not deliver is kept nowhere."""
    made = events.Rule(scope, construct_id, **options)
    acknowledge(made, {"Serverless::Serverless-EventBusDLQ": lost})
    return made
