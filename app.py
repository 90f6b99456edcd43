"""The CDK app: reads the pairs and the VPC from the context (`cdk.json`), and defines the stack that serves them."""

import os
import sys

import aws_cdk as cdk

from stacks.configuration import InvalidConfiguration, configured_pairs, configured_vpc
from stacks.cutover_stack import CutoverStack

app = cdk.App()
try:
    pairs = configured_pairs(app.node.try_get_context("pairs"), vpc=app.node.try_get_context("vpc"))
    vpc = configured_vpc(app.node.try_get_context("vpc"))
except InvalidConfiguration as error:
    sys.exit(str(error))
CutoverStack(
    app,
    "EipCutover",
    pairs=pairs,
    vpc=vpc,
    description="Elastic IP cutover: points the production address at the idle server of a pair, checked.",
    env=cdk.Environment(account=os.environ.get("CDK_DEFAULT_ACCOUNT"), region=os.environ.get("CDK_DEFAULT_REGION")),
)
app.synth()
