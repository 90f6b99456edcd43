"""The four functions, one per kind of step, each with a role that allows that step and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.acknowledged import acknowledge, acknowledge_wildcards
from stacks.asset import lambda_code

# One call to EC2 ends within 21 s (`lambdas/addresses.py`), a step is a few quick ones.
ADDRESS_TIMEOUT = Duration.seconds(30)
# How long after an execution has ended a call of it may still change an address: a cold start, and the timeout.
LAST_CALL = Duration.seconds(45)
RESOURCES_PER_STATEMENT = 25
RUNTIME = "Python 3.13 is a current runtime of Lambda; a newer one is taken when the handlers are tested with it."
EVERYTHING = "xray:Put*, ec2:DescribeAddresses and ec2:DescribeInstances accept no other resource."
INTERFACES = (
    "The ids of the servers' network interfaces are not configured; the addresses and servers of the same statement "
    "are exact (docs/decisions/0006-any-network-interface.md)."
)


class Functions(Construct):
    """`describe_addresses`, `health_check`, `disassociate_address` and `associate_address`, from one asset."""

    def __init__(self, scope: Construct, construct_id: str, *, pairs: Mapping[str, Any]) -> None:
        super().__init__(scope, construct_id)
        self._code = lambda_code(pairs)
        production = [pair["production"] for pair in pairs.values()]
        staging = [pair["staging"] for pair in pairs.values()]
        instances = [instance for pair in pairs.values() for instance in pair["servers"].values()]
        (interfaces,) = self._arns("network-interface", ["*"])
        slowest = max(pair["healthCheck"]["deadlineSeconds"] for pair in pairs.values())

        self.describe_addresses = self._function("DescribeAddresses", "describe_addresses", ADDRESS_TIMEOUT)
        self.health_check = self._function("HealthCheck", "health_check", Duration.seconds(slowest + 30))
        self.disassociate_address = self._function("DisassociateAddress", "disassociate_address", ADDRESS_TIMEOUT)
        self.associate_address = self._function("AssociateAddress", "associate_address", ADDRESS_TIMEOUT)

        self.all = (self.describe_addresses, self.health_check, self.disassociate_address, self.associate_address)

        # DescribeAddresses and DescribeInstances accept no resource but "*".
        self._allow(self.describe_addresses, "ec2:DescribeAddresses", ["*"])
        self._allow(self.disassociate_address, "ec2:DescribeAddresses", ["*"])
        self._allow(
            self.disassociate_address,
            "ec2:DisassociateAddress",
            [*self._arns("elastic-ip", staging), interfaces],
        )
        self._allow(self.associate_address, "ec2:DescribeAddresses", ["*"])
        self._allow(self.associate_address, "ec2:DescribeInstances", ["*"])
        self._allow(
            self.associate_address,
            "ec2:AssociateAddress",
            [
                *self._arns("elastic-ip", [*production, *staging]),
                *self._arns("instance", instances),
                interfaces,
            ],
        )
        for function in (self.disassociate_address, self.associate_address):
            acknowledge_wildcards(function.role, {interfaces: INTERFACES})

    def _function(self, construct_id: str, module: str, timeout: Duration) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            f"{construct_id}Logs",
            retention=logs.RetentionDays.SIX_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        function = lambda_.Function(
            self,
            construct_id,
            code=self._code,
            handler=f"{module}.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=512,
            timeout=timeout,
            role=role,
            log_group=log_group,
            # What Lambda itself logs, an uncaught exception above all, is one line of JSON too.
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE,
            environment={"POWERTOOLS_SERVICE_NAME": "eip-cutover"},
        )
        acknowledge(
            function,
            {
                "AwsSolutions::AwsSolutions-L1": RUNTIME,
                "Serverless::Serverless-LambdaLatestVersion": RUNTIME,
                "Serverless::Serverless-LambdaDLQ": "Only the workflow calls it, and waits for its answer: an event "
                "that could get lost, and so into a dead letter queue, does not exist.",
            },
        )
        acknowledge_wildcards(role, {"*": EVERYTHING})
        return function

    def _allow(self, function: lambda_.Function, action: str, resources: Sequence[str]) -> None:
        """In statements small enough for the CDK to spread them over as many policies as IAM's size limits ask for."""
        for start in range(0, len(resources), RESOURCES_PER_STATEMENT):
            part = list(resources[start : start + RESOURCES_PER_STATEMENT])
            function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=part))

    def _arns(self, kind: str, names: Sequence[str]) -> list[str]:
        stack = Stack.of(self)
        return [stack.format_arn(service="ec2", resource=kind, resource_name=name) for name in names]
