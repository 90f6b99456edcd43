"""The functions of this project: all from one asset, each with its own role, log and traces."""

from typing import Any

from aws_cdk import Duration, RemovalPolicy, aws_iam as iam, aws_lambda as lambda_, aws_logs as logs
from constructs import Construct


def python_function(
    scope: Construct, construct_id: str, module: str, *, timeout: Duration, **options: Any
) -> lambda_.Function:
    """The function whose handler is in `module`, with `options` of the CDK: its code, its environment, its memory."""
    kept = logs.RetentionDays.SIX_MONTHS
    log_group = logs.LogGroup(scope, f"{construct_id}Logs", retention=kept, removal_policy=RemovalPolicy.DESTROY)
    role = iam.Role(scope, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    return lambda_.Function(
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
