"""The stack: one workflow for all configured pairs, its functions, its lock table, its topic and its monitoring."""

from functools import partial
from typing import Any

from aws_cdk import Annotations, CfnOutput, RemovalPolicy, Stack, aws_dynamodb as dynamodb, aws_ssm as ssm
from constructs import Construct

from stacks.ci_access import CiAccess
from stacks.configuration.pairs import Pair, placeholder_ids
from stacks.configuration.settings import Settings
from stacks.functions.functions import Functions
from stacks.monitoring.evaluations import Evaluations
from stacks.monitoring.monitoring import Monitoring, OutcomesTopic, alarm_names
from stacks.workflow.cutover import Workflow
from stacks.workflow.readiness import Readiness
from stacks.workflow.repair import Repair
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
            ssm.StringParameter(self, f"Pair {name}", parameter_name=path, string_value=value, description=about)
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
