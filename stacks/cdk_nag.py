"""Acknowledges what cdk-nag finds in this stack: each finding by its own id, with the reason, where it arises.

Deploying does not need cdk-nag: the acknowledgements are the CDK's own. `tests/stacks/test_nag.py` runs cdk-nag. It
fails for a finding that is not acknowledged, and for an acknowledgement that no finding needs.
"""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledges findings on a construct, or below it, by id (`Pack::Rule`), each with its reason."""
    acknowledged = [Acknowledgment(id=finding, reason=reason) for finding, reason in reasons.items()]
    Validations.of(construct).acknowledge(*acknowledged)


def acknowledge_wildcards(role: iam.IRole | None, reasons: Mapping[str, str]) -> None:
    """Acknowledges resources with a "*" in a role's policies, each with the reason why nothing narrower is possible."""
    assert role is not None  # noqa: S101  # all roles are of this stack
    named = {_in_words(Stack.of(role).resolve(resource)): reason for resource, reason in reasons.items()}
    acknowledge(role, {f"AwsSolutions::AwsSolutions-IAM5[Resource::{name}]": reason for name, reason in named.items()})


def _in_words(resource: Any) -> str:
    """A resolved ARN as in the id of cdk-nag's finding, with references as `<LogicalId.Attribute>`."""
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
            raise ValueError(f"{resource} is not an ARN that cdk-nag can name")


def rule(scope: Construct, construct_id: str, *, lost: str, **options: Any) -> events.Rule:
    """A rule of EventBridge. `lost` says why it has no queue for events that it could not deliver."""
    made = events.Rule(scope, construct_id, **options)
    acknowledge(made, {"Serverless::Serverless-EventBusDLQ": lost})
    return made
