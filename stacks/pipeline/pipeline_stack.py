"""An optional second stack: a CodePipeline that deploys a release to the idle server and then cuts over to it."""

from typing import Any

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from stacks.configuration.names import DEFAULT_NAME, Names
from stacks.configuration.pairs import Pairs
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
        pairs: Pairs,
        **options: Any,
    ) -> None:
        super().__init__(scope, construct_id, **options)
        release = Release(self, "Release", names=Names(name), pipeline=pipeline, pairs=pairs)
        CfnOutput(self, "PipelineName", value=release.pipeline.pipeline_name)
