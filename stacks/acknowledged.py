"""What cdk-nag finds in this stack and is right so: each finding by its own id, with the reason, where it arises.

Deploying does not need cdk-nag: the acknowledgements are the CDK's own. `tests/stacks/test_nag.py` runs it, and fails
for a finding that is not acknowledged as well as for an acknowledgement that no finding needs any more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import IConstruct

from stacks.state_machine import executions_of


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Findings on a construct, or below it, by id (`Pack::Rule`), each with the reason why it is right so."""
    acknowledged = [Acknowledgment(id=finding, reason=reason) for finding, reason in reasons.items()]
    Validations.of(construct).acknowledge(*acknowledged)


def acknowledge_wildcards(role: iam.IRole | None, reasons: Mapping[str, str]) -> None:
    """Resources with a "*" in them in a role's policies, each with the reason why nothing narrower would do."""
    assert role is not None  # noqa: S101  # all roles are of this stack
    resolved = {_in_words(Stack.of(role).resolve(resource)): reason for resource, reason in reasons.items()}
    found = {f"AwsSolutions::AwsSolutions-IAM5[Resource::{resource}]": reason for resource, reason in resolved.items()}
    acknowledge(role, found)


def acknowledge_state_machine(
    machine: sfn.StateMachine, *, invokes: Sequence[lambda_.IFunction], describes: Sequence[str] = ()
) -> None:
    """The wildcards that the CDK and AWS ask for.

    `describes` are the names of the state machines whose executions it may describe.
    """
    executions = [executions_of(machine, name) for name in describes]
    acknowledge_wildcards(
        machine.role,
        {
            "*": "Logging and tracing need logs:*LogDelivery and xray:Put*, which accept no other resource (Step "
            "Functions Developer Guide, logging to CloudWatch Logs and tracing with X-Ray).",
            **{f"{function.function_arn}:*": "Versions of this one function; there are none." for function in invokes},
            **dict.fromkeys(executions, "The executions of this one state machine: who starts them names them."),
        },
    )


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
