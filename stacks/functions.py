"""The four functions, one per kind of step, each with a role that allows that step and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.asset import lambda_code

# A call to EC2 ends within 21 s (`lambdas/addresses.py`); after this, no call of a function is in flight any more.
ADDRESS_TIMEOUT = Duration.seconds(30)
RESOURCES_PER_STATEMENT = 25


class Functions(Construct):
    """`describe_addresses`, `health_check`, `disassociate_address` and `associate_address`, from one asset."""

    def __init__(self, scope: Construct, construct_id: str, *, pairs: Mapping[str, Any]) -> None:
        super().__init__(scope, construct_id)
        self._code = lambda_code(pairs)
        production = [pair["production"] for pair in pairs.values()]
        staging = [pair["staging"] for pair in pairs.values()]
        instances = [instance for pair in pairs.values() for instance in pair["servers"].values()]
        slowest = max(pair["healthCheck"]["deadlineSeconds"] for pair in pairs.values())

        self.describe_addresses = self._function("DescribeAddresses", "describe_addresses", ADDRESS_TIMEOUT)
        self.health_check = self._function("HealthCheck", "health_check", Duration.seconds(slowest + 30))
        self.disassociate_address = self._function("DisassociateAddress", "disassociate_address", ADDRESS_TIMEOUT)
        self.associate_address = self._function("AssociateAddress", "associate_address", ADDRESS_TIMEOUT)

        # DescribeAddresses and DescribeInstances accept no resource but "*".
        self._allow(self.describe_addresses, "ec2:DescribeAddresses", ["*"])
        self._allow(self.disassociate_address, "ec2:DescribeAddresses", ["*"])
        self._allow(
            self.disassociate_address,
            "ec2:DisassociateAddress",
            [*self._arns("elastic-ip", staging), *self._arns("network-interface", ["*"])],
        )
        self._allow(self.associate_address, "ec2:DescribeAddresses", ["*"])
        self._allow(self.associate_address, "ec2:DescribeInstances", ["*"])
        self._allow(
            self.associate_address,
            "ec2:AssociateAddress",
            [
                *self._arns("elastic-ip", [*production, *staging]),
                *self._arns("instance", instances),
                *self._arns("network-interface", ["*"]),
            ],
        )

    def _function(self, construct_id: str, module: str, timeout: Duration) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            f"{construct_id}Logs",
            retention=logs.RetentionDays.SIX_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, f"{construct_id}Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        return lambda_.Function(
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
            environment={"POWERTOOLS_SERVICE_NAME": "eip-cutover"},
        )

    def _allow(self, function: lambda_.Function, action: str, resources: Sequence[str]) -> None:
        """In statements small enough for the CDK to spread them over as many policies as IAM's size limits ask for."""
        for start in range(0, len(resources), RESOURCES_PER_STATEMENT):
            part = list(resources[start : start + RESOURCES_PER_STATEMENT])
            function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=part))

    def _arns(self, kind: str, names: Sequence[str]) -> list[str]:
        stack = Stack.of(self)
        return [stack.format_arn(service="ec2", resource=kind, resource_name=name) for name in names]
