"""The topic that is told of every outcome, and of every alarm; and its key.

A CloudWatch alarm publishes as CloudWatch itself, which the policy of AWS's own key for SNS (`alias/aws/sns`) does not
let use it; nobody can change that policy. So the topic has a key of its own, and who publishes may have to use it.
Source: SNS Developer Guide, "Managing Amazon SNS encryption keys and costs", on event sources from AWS services.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.cdk_nag import acknowledge

# What the SNS Developer Guide asks of a service that publishes to an encrypted topic (docs/decisions/0014).
USE_KEY = ["kms:Decrypt", "kms:GenerateDataKey*"]
NEEDED_BY_SNS = (
    "What SNS needs of who publishes to an encrypted topic (docs/decisions/0014); through SNS only, with the key of "
    "this topic only."
)


class OutcomesTopic(sns.Topic):
    """Encrypted, by TLS only. The alarms of these names may publish to it, and no others."""

    def __init__(self, scope: Construct, construct_id: str, *, alarms: Sequence[str], **options: Any) -> None:
        # Nothing that is encrypted with it outlives the topic, so neither does the key.
        self._key = kms.Key(
            scope,
            f"{construct_id}Key",
            description="Encrypts what eip-cutover publishes to its topic.",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        super().__init__(scope, construct_id, enforce_ssl=True, master_key=self._key, **options)
        stack = Stack.of(self)
        arns = [stack.format_arn(service="cloudwatch", resource=f"alarm:{name}") for name in alarms]
        ours = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnEquals": {"aws:SourceArn": arns}}
        allowed = partial(
            iam.PolicyStatement, principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")], conditions=ours
        )
        self._key.add_to_resource_policy(allowed(sid="AlarmsUseTheKey", actions=USE_KEY, resources=["*"]))
        self.add_to_resource_policy(allowed(sid="AlarmsPublish", actions=["sns:Publish"], resources=[self.topic_arn]))

    def allow_encrypting(self, role: iam.IRole) -> None:
        """Lets a role use the key that may publish to the topic already; the CDK's task for that leaves it out."""
        stack = Stack.of(self)
        by_sns = {"StringEquals": {"kms:ViaService": f"sns.{stack.region}.{stack.url_suffix}"}}
        use = iam.PolicyStatement(actions=USE_KEY, resources=[self._key.key_arn], conditions=by_sns)
        role.add_to_principal_policy(use)
        acknowledge(role, {"AwsSolutions::AwsSolutions-IAM5[Action::kms:GenerateDataKey*]": NEEDED_BY_SNS})
