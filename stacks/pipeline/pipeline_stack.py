"""An optional second stack: a CodePipeline that starts the workflow with each release."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from stacks.configuration.names import DEFAULT_NAME, Names
from stacks.configuration.pipeline import Pipeline
from stacks.pipeline.release import Release


class PipelineStack(Stack):
    """The pipeline of one pair of the stack that has this `name`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str = DEFAULT_NAME,
        pipeline: Pipeline,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        release = Release(self, "Release", names=Names(name), pipeline=pipeline)
        CfnOutput(self, "PipelineName", value=release.pipeline.pipeline_name)
