"""An optional second stack: a CodePipeline that starts the workflow with each release."""

from typing import Any, cast

import aws_cdk.aws_codepipeline_actions as actions
from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack, aws_codepipeline as codepipeline, aws_s3 as s3
from aws_cdk.aws_events import EventPattern, Rule
from aws_cdk.aws_events_targets import CodePipeline
from aws_cdk.aws_iam import PolicyStatement, Role
from aws_cdk.aws_stepfunctions import StateMachine
from constructs import Construct

from stacks.configuration.ci import Connection, Object, Pipeline
from stacks.configuration.names import Names

# An execution is called `<prefix>-<id of the action's execution>`. The id has 36 characters; a name may have 80.
# https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-StepFunctions.html
EXECUTION_NAME_PREFIX = "pipeline"


class PipelineStack(Stack):
    """One release at a time, in the order in which they arrive: the workflow deploys each and cuts over to it. It is
    found by its name, so that the two stacks share no export that would have to be deleted first."""

    def __init__(self, scope: Construct, construct_id: str, names: Names, pipeline: Pipeline, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        self._release = Construct(self, "Release")
        source, release = self._source(pipeline.source)
        artifacts = s3.Bucket(
            self._release,
            "Artifacts",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(30))],
            removal_policy=RemovalPolicy.RETAIN,
        )
        cutover = actions.StepFunctionInvokeAction(
            action_name="Cutover",
            state_machine=StateMachine.from_state_machine_name(self._release, "Workflow", names.cutover),
            state_machine_input=actions.StateMachineInput.literal({"pair": pipeline.pair, "release": release}),
            execution_name_prefix=EXECUTION_NAME_PREFIX,
        )
        self._pipeline = codepipeline.Pipeline(
            self._release,
            "Pipeline",
            pipeline_name=names.pipeline(pipeline.pair),
            pipeline_type=codepipeline.PipelineType.V2,
            # By default, a newer release replaces a release that waits.
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            cross_account_keys=False,
            artifact_bucket=artifacts,
        )
        self._pipeline.add_stage(stage_name="Source", actions=[source])
        self._pipeline.add_stage(stage_name="Release", actions=[cutover])
        self._start_or_connect(pipeline.source)
        CfnOutput(self, "PipelineName", value=self._pipeline.pipeline_name)

    def _source(self, source: Connection | Object) -> tuple[actions.Action, str]:
        """The action, and the pipeline's variable that names the release: the commit, or the object's version."""
        output = codepipeline.Artifact("Source")
        named: dict[str, Any] = {"action_name": "Source", "output": output, "variables_namespace": "Source"}
        if isinstance(source, Object):
            bucket = s3.Bucket.from_bucket_name(self._release, "SourceBucket", source.bucket)
            named["trigger"] = actions.S3Trigger.NONE
            from_bucket = actions.S3SourceAction(bucket=bucket, bucket_key=source.key, **named)
            return from_bucket, from_bucket.variables.version_id
        owner, _, repository = source.repository.rpartition("/")
        from_branch = actions.CodeStarConnectionsSourceAction(
            connection_arn=source.connectionArn, owner=owner, repo=repository, branch=source.branch, **named
        )
        return from_branch, from_branch.variables.commit_id

    def _start_or_connect(self, source: Connection | Object) -> None:
        """What the CDK leaves out: a rule for a bucket's events (S3 User Guide, "Enabling Amazon EventBridge"), or the
        permission to use the connection by the service's new name (Developer Tools console, "Connections rename")."""
        if isinstance(source, Connection):
            use = PolicyStatement(actions=["codeconnections:UseConnection"], resources=[source.connectionArn])
            action = self._pipeline.node.find_child("Source").node.find_child("Source")
            cast(Role, action.node.find_child("CodePipelineActionRole")).add_to_principal_policy(use)
            return
        detail = {"bucket": {"name": [source.bucket]}, "object": {"key": [source.key]}}
        created = EventPattern(source=["aws.s3"], detail_type=["Object Created"], detail=detail)
        Rule(self._release, "NewObject", event_pattern=created, targets=[CodePipeline(self._pipeline)])
