"""The role that CI assumes by OpenID Connect, without stored keys: it may start this workflow and follow it."""

from aws_cdk import CfnOutput, RemovalPolicy, Stack, aws_iam as iam
from constructs import Construct

from stacks.configuration.ci_access import GitHub, Issuer
from stacks.configuration.names import Names
from stacks.workflow.state_machine import executions_of


class CiAccess(Construct):
    """A role for the jobs of `issuer`. It may call what `cutover.py start`, `watch` and `status`, and the AWS CLI in
    `examples/aws-cli` call. It cannot stop an execution or delete a lock, and moves addresses only by the workflow."""

    def __init__(self, scope: Construct, names: Names, issuer: Issuer, *, machine_arn: str, table_arn: str) -> None:
        super().__init__(scope, "CiAccess")
        stack = Stack.of(self)
        name = issuer.url.removeprefix("https://")  # IAM's name of the provider, and of the keys of its conditions
        claims = {"aud": issuer.audience, "sub": issuer.subject} | (issuer.claims if isinstance(issuer, GitHub) else {})
        # Keys and their meaning: IAM User Guide, "Available keys for AWS OIDC federation". StringEquals has no
        # wildcards. Without the subject, anyone's job could assume the role.
        conditions = {"StringEquals": {f"{name}:{claim}": value for claim, value in claims.items()}}
        trusted = iam.WebIdentityPrincipal(self._provider(issuer, name), conditions)
        description = f"CI starts and follows executions of {names.cutover}."
        role = iam.Role(self, "Role", description=description, assumed_by=trusted)
        either = [executions_of(self, workflow) for workflow in names.workflows]
        described = stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{stack.stack_name}/*")
        path = stack.format_arn(service="ssm", resource="parameter", resource_name=names.pairs_path.removeprefix("/"))
        for actions, resources in (
            (["states:StartExecution", "states:ListExecutions"], [machine_arn]),
            # An execution of the repair may hold a lock, too.
            (["states:DescribeExecution"], either),
            (["states:GetExecutionHistory", "states:DescribeStateMachineForExecution"], either[:1]),
            (["cloudformation:DescribeStacks"], [described]),
            (["ssm:GetParametersByPath"], [path, f"{path}/*"]),
            (["dynamodb:Scan"], [table_arn]),
            (["ec2:DescribeAddresses"], ["*"]),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        CfnOutput(stack, "CiRoleArn", value=role.role_arn)

    def _provider(self, issuer: Issuer, name: str) -> str:
        """The ARN of the provider. If it is created here, it stays when the stack is deleted: others may use it."""
        if issuer.provider == "existing":
            return Stack.of(self).format_arn(service="iam", region="", resource=f"oidc-provider/{name}")
        clients, kept = [issuer.audience], RemovalPolicy.RETAIN
        made = iam.OidcProviderNative(self, "Provider", url=issuer.url, client_ids=clients, removal_policy=kept)
        return made.oidc_provider_arn
