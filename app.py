"""The CDK app. It reads its settings from the context (`cdk.json`), and defines the stack for the pairs.

With `pipeline` in the context, it also defines a stack for a CodePipeline.
"""

import os
import sys
from pathlib import Path

import aws_cdk as cdk

sys.path.append(str(Path(__file__).parent / "lambdas"))  # for `domain`, which stacks and functions share

from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from stacks.pipeline import PipelineStack

app = cdk.App()
try:
    settings = configured(app.node.try_get_context, Path(__file__).with_name("cdk.json"))
    env = cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION"))
    does = "switches a pair's production address to its idle server, with health checks."
    cutover = CutoverStack(app, settings.names.stack, settings, description=f"Elastic IP cutover: {does}", env=env)
except InvalidConfiguration as error:
    sys.exit(str(error))
if settings.pipeline:
    does = "Elastic IP cutover: starts the workflow with each release."
    names = settings.names
    pipeline = PipelineStack(app, names.pipeline_stack, names, settings.pipeline, description=does, env=env)
    pipeline.add_dependency(cutover)
app.synth()
