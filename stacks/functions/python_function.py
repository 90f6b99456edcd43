"""The functions of this project: all from one asset, each with its own role, log and traces."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.cdk_nag import acknowledge, acknowledge_wildcards
from stacks.configuration.names import Names

RUNTIME = "Python 3.13 is a current runtime of Lambda. A newer runtime follows when the handlers are tested with it."
EVERYTHING = (
    "xray:Put*, ec2:Describe*, the actions by which Lambda puts a function into a VPC, and the actions of Systems "
    "Manager on a command that was sent accept no other resource. cloudwatch:DescribeAlarms shows composite alarms "
    "only if the permission is for all alarms (CloudWatch API Reference)."
)


def python_function(
    scope: Construct,
    construct_id: str,
    module: str,
    *,
    names: Names,
    code: lambda_.Code,
    timeout: Duration,
    lost: str,
    memory_size: int = 512,
) -> lambda_.Function:
    """The function whose handler is in `module`. `lost` says why it has no queue for events that it did not handle."""
    kept = logs.RetentionDays.SIX_MONTHS
    log_group = logs.LogGroup(scope, f"{construct_id}Logs", retention=kept, removal_policy=RemovalPolicy.DESTROY)
    role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    function = lambda_.Function(
        scope,
        construct_id,
        code=code,
        handler=f"{module}.handler",
        runtime=lambda_.Runtime.PYTHON_3_13,
        architecture=lambda_.Architecture.ARM_64,
        memory_size=memory_size,
        timeout=timeout,
        role=role,
        log_group=log_group,
        # What Lambda itself logs, such as an uncaught exception, is one line of JSON too.
        logging_format=lambda_.LoggingFormat.JSON,
        tracing=lambda_.Tracing.ACTIVE,
        environment={"POWERTOOLS_SERVICE_NAME": names.cutover, "POWERTOOLS_METRICS_NAMESPACE": names.stack},
    )
    current = {"AwsSolutions::AwsSolutions-L1": RUNTIME, "Serverless::Serverless-LambdaLatestVersion": RUNTIME}
    acknowledge(function, current | {"Serverless::Serverless-LambdaDLQ": lost})
    acknowledge_wildcards(role, {"*": EVERYTHING})
    return function
