"""The stack: one workflow for every configured pair, its functions, its lock table and its topic."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Annotations, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.configuration import placeholder_ids
from stacks.functions import Functions
from stacks.workflow import Workflow


class CutoverStack(Stack):
    """Everything that a cutover needs in one account and Region. `pairs` is what `configured_pairs` returns."""

    def __init__(self, scope: Construct, construct_id: str, *, pairs: Mapping[str, Any], **options: Any) -> None:
        super().__init__(scope, construct_id, **options)

        functions = Functions(self, "Functions", pairs=pairs)
        lock_table = dynamodb.Table(
            self,
            "Locks",
            partition_key=dynamodb.Attribute(name="pair", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=RemovalPolicy.RETAIN,
        )
        topic = sns.Topic(self, "Outcomes", display_name="Elastic IP cutover", enforce_ssl=True)
        workflow = Workflow(self, "Workflow", functions=functions, lock_table=lock_table, topic=topic)

        CfnOutput(self, "StateMachineArn", value=workflow.state_machine.state_machine_arn)
        CfnOutput(self, "TopicArn", value=topic.topic_arn)
        CfnOutput(self, "LockTableName", value=lock_table.table_name)

        if placeholders := placeholder_ids(pairs):
            Annotations.of(self).add_warning_v2(
                "eip-cutover:placeholder-ids",
                f"cdk.json still holds the placeholder ids it was shipped with, at {', '.join(placeholders)}. "
                "Put your own ids there before you deploy.",
            )
