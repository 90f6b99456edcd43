"""As few policies as IAM's quotas allow, for one action on each of many resources. White space does not count.
Source: IAM User Guide, "IAM and AWS STS quotas"."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import ceil
from typing import TypeVar

from aws_cdk import Stack, Token, aws_iam as iam
from constructs import Construct

from stacks.configuration.problems import InvalidConfiguration, line

T = TypeVar("T")
MOST_MANAGED_POLICIES = 10  # per role, unless AWS has raised the quota of the account
MANAGED_CHARACTERS = 6_144
INLINE_CHARACTERS = 8_000  # of 10,240 for all inline policies of a role; the rest is for what every function may do
FUNCTIONS_OF_A_POLICY = 23  # the longest ARN of a function with an alias has 253 characters, and two quotes and a comma
AROUND_THE_RESOURCES = 120  # {"Version": …, "Statement": [{"Action": …, "Effect": …, "Resource": […]}]}
# The longest values of a partition, a Region and an account, used if they are not known before the deployment.
LONGEST = ("aws-us-gov", "us-isof-south-1", "123456789012")


def portions(scope: Construct, resources: Iterable[str]) -> list[list[str]]:
    """The resources (`elastic-ip/eipalloc-…`), a list for each policy: an inline one, then managed ones."""
    stack = Stack.of(scope)
    where = zip((stack.partition, stack.region, stack.account), LONGEST, strict=True)
    around = len('arn::ec2:::"",') + sum(len(longest if Token.is_unresolved(it) else it) for it, longest in where)
    divided, room = list[list[str]](), 0
    for resource in resources:
        length = around + len(resource)
        if length > room:
            room = (MANAGED_CHARACTERS if divided else INLINE_CHARACTERS) - AROUND_THE_RESOURCES
            divided.append([])
        divided[-1].append(resource)
        room -= length
    return divided


def check(scope: Construct, pairs: Sequence[T], named: Callable[[Sequence[T]], tuple[list[str], list[str]]]) -> None:
    """Raises InvalidConfiguration if the resources and functions of the pairs do not fit into a role's policies."""

    def fit(count: int) -> bool:
        resources, functions = named(pairs[:count])
        invoking = ceil(len(functions) / FUNCTIONS_OF_A_POLICY)
        return max(len(portions(scope, resources)) - 1, 0) + invoking <= MOST_MANAGED_POLICIES

    # Not the first number that is too many: a later pair without networkInterfaces replaces all interfaces.
    if (fitting := next(filter(fit, range(len(pairs), 0, -1)))) < len(pairs):
        functions = len(named(pairs)[1])
        found = f"{len(pairs)} pairs{f' with {functions} functions of hooks' if functions else ''}"
        allowed = f"the first {fitting} of them, because the IAM policies of one role cannot name more"
        raise InvalidConfiguration([line("pairs", found, allowed)])


def allow(role: iam.IRole | None, action: str, resources: Iterable[str], functions: Sequence[str] = ()) -> None:
    """The action on the resources, and calls of the functions, by ARN: managed policies, as inline ones may be full."""
    assert isinstance(role, iam.Role)  # noqa: S101  # all roles are of this stack
    for first in range(0, len(functions), FUNCTIONS_OF_A_POLICY):
        called = functions[first : first + FUNCTIONS_OF_A_POLICY]
        statement = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=called)
        iam.ManagedPolicy(role, f"Functions{first}", statements=[statement], roles=[role])
    arn = partial(Stack.of(role).format_arn, service="ec2")
    for number, portion in enumerate(portions(role, resources)):
        statement = iam.PolicyStatement(actions=[action], resources=[arn(resource=resource) for resource in portion])
        kind = iam.ManagedPolicy if number else iam.Policy
        kind(role, f"Addresses{number or ''}", statements=[statement], roles=[role])
