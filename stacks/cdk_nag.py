"""Acknowledges what cdk-nag finds in this stack, by the CDK's own means: deploying does not need cdk-nag. The test
`tests/stacks/test_nag.py` runs it. It fails for a finding or an acknowledgement without the other."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations, aws_events as events, aws_iam as iam
from constructs import Construct, IConstruct

ANY_EXECUTION = "The executions of this one state machine, under any name."


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledges findings on a construct, or below it, by id (`Pack::Rule`), each with its reason."""
    Validations.of(construct).acknowledge(*(Acknowledgment(id=each, reason=reason) for each, reason in reasons.items()))


def acknowledge_wildcards(role: iam.IRole | None, reasons: Mapping[str, str]) -> None:
    """Acknowledges resources with a "*" in a role's policies, each with the reason why nothing narrower is possible."""
    assert role is not None  # noqa: S101  # all roles are of this stack
    for resource, reason in reasons.items():
        name = _in_words(Stack.of(role).resolve(resource))
        acknowledge(role, {f"AwsSolutions::AwsSolutions-IAM5[Resource::{name}]": reason})


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
