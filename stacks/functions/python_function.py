"""The functions of this project: all from one asset, each with its own role, log and traces."""

from typing import Any

from aws_cdk import Duration, RemovalPolicy, aws_iam as iam, aws_lambda as lambda_, aws_logs as logs
from constructs import Construct

from stacks.cdk_nag import acknowledge, acknowledge_wildcards

RUNTIME = "Python 3.13 is a current runtime of Lambda. A newer runtime follows when the handlers are tested with it."
AWAITED = "Only the workflow calls it, and waits for its answer: there is no event that could get lost."
EVERYTHING = (
    "xray:Put*, ec2:Describe*, the actions by which Lambda puts a function into a VPC, and the actions of Systems "
    "Manager on a command that was sent accept no other resource. cloudwatch:DescribeAlarms shows composite alarms "
    "only if the permission is for all alarms (CloudWatch API Reference)."
)


def python_function(
    scope: Construct, construct_id: str, module: str, *, timeout: Duration, lost: str = AWAITED, **options: Any
) -> lambda_.Function:
    """The function whose handler is in `module`, with `options` of the CDK: its code, its environment, its memory.
    `lost` says why it has no queue for events that it did not handle."""
    kept = logs.RetentionDays.SIX_MONTHS
    log_group = logs.LogGroup(scope, f"{construct_id}Logs", retention=kept, removal_policy=RemovalPolicy.DESTROY)
    role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    function = lambda_.Function(
        scope,
        construct_id,
        handler=f"{module}.handler",
        timeout=timeout,
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        role=role,
        log_group=log_group,
        # What Lambda itself logs, such as an uncaught exception, is one line of JSON too.
        logging_format=lambda_.LoggingFormat.JSON,
        tracing=lambda_.Tracing.ACTIVE,
        **{"memory_size": 512} | options,
    )
    current = {"AwsSolutions::AwsSolutions-L1": RUNTIME, "Serverless::Serverless-LambdaLatestVersion": RUNTIME}
    acknowledge(function, current | {"Serverless::Serverless-LambdaDLQ": lost})
    acknowledge_wildcards(role, {"*": EVERYTHING})
    return function
