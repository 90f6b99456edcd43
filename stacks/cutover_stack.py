"""The stack: one workflow for all configured pairs, its functions, lock table, topic and monitoring; a role for CI."""

from functools import partial
from typing import Any

from aws_cdk import Annotations, CfnOutput, RemovalPolicy, Stack, aws_dynamodb as dynamodb, aws_iam as iam
from aws_cdk.aws_ssm import StringParameter
from constructs import Construct

from stacks.configuration.ci import GitHub, Issuer
from stacks.configuration.names import Names
from stacks.configuration.pairs import Pair, placeholder_ids
from stacks.configuration.settings import Settings
from stacks.functions.functions import Functions
from stacks.monitoring.evaluations import Evaluations
from stacks.monitoring.monitoring import Monitoring, OutcomesTopic, alarm_names
from stacks.workflow.cutover import Workflow
from stacks.workflow.readiness import Readiness
from stacks.workflow.repair import Repair
from stacks.workflow.state_machine import executions_of
from stacks.workflow.tasks import Resources

# Parameter Store's limit of a standard parameter, and what CloudFormation's limit of a template leaves for all of them.
LONGEST_PARAMETER, ROOM_FOR_PARAMETERS = 4096, 300_000


def published(pair: Pair, most_bytes: int) -> str:
    """What the client reads of a pair; without its health check if that does not fit."""
    keys = {"production", "staging", "servers", "networkInterfaces"}
    as_text = partial(pair.model_dump_json, exclude_none=True, ensure_ascii=True)
    complete = as_text(include=keys | {"healthCheck"})
    return complete if len(complete) <= most_bytes else as_text(include=keys)


class CutoverStack(Stack):
    """Everything that a cutover needs in one account and Region. The addresses in `notifications` get a mail for every
    alarm, and for every outcome except those that concern only the person who started the execution."""

    def __init__(self, scope: Construct, construct_id: str, settings: Settings, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        names, pairs = settings.names, settings.pairs
        emails = settings.notifications.emails if settings.notifications else []
        recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
        lock_table = dynamodb.Table(
            self,
            "Locks",
            partition_key=dynamodb.Attribute(name="pair", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=recovery,
            # The key alias/aws/dynamodb: users of the table need no permission for it, and CloudTrail shows its use.
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        functions = Functions(self, names, pairs, lock_table, settings.vpc)
        topic = OutcomesTopic(self, name=names.cutover, alarms=alarm_names(names), emails=emails)
        resources = Resources(names, functions, lock_table, topic)
        workflow = Workflow(self, "Workflow", resources).state_machine
        if functions.evaluates:
            machine = Readiness(self, "Readiness", resources, role=workflow.role).state_machine
            Evaluations(self, "Evaluations", resources, machine=machine, pairs=pairs)
        repair = Repair(self, "Repair", resources).state_machine
        Monitoring(self, resources, workflow, repair, topic.for_alarms)

        for machine in (workflow, repair):
            topic.allow_encrypting(machine.role)

        most_bytes = min(LONGEST_PARAMETER, ROOM_FOR_PARAMETERS // len(pairs))
        for name, pair in pairs.items():
            path, value = f"{names.pairs_path}/{name}", published(pair, most_bytes)
            about = f"The pair {name} of {names.cutover}, for its client."
            StringParameter(self, f"Pair {name}", parameter_name=path, string_value=value, description=about)
        if settings.ciAccess:
            arns = {"machine_arn": workflow.state_machine_arn, "table_arn": lock_table.table_arn}
            CiAccess(self, names, settings.ciAccess.issuer, **arns)

        CfnOutput(self, "StateMachineArn", value=workflow.state_machine_arn)
        CfnOutput(self, "TopicArn", value=topic.topic_arn)
        CfnOutput(self, "LockTableName", value=lock_table.table_name)
        CfnOutput(self, "PairsPath", value=names.pairs_path)
        if placeholders := placeholder_ids(pairs):
            shipped = f"cdk.json still has the placeholder ids it was shipped with, at {', '.join(placeholders)}. "
            do = "Put your own ids there: ./cutover.py init prints them."
            Annotations.of(self).add_error(shipped + do)  # the CDK CLI then deploys nothing


class CiAccess(Construct):
    """The role that the jobs of `issuer` assume by OpenID Connect, without stored keys. It may call what `cutover.py
    start`, `watch` and `status`, and the AWS CLI in `examples/aws-cli` call. It cannot stop an execution or delete a
    lock, and moves addresses only by the workflow."""

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
