"""The topic of every outcome and every alarm, its key, and who gets which of them by mail.

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
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.cdk_nag import acknowledge

# What the SNS Developer Guide asks of a service that publishes to an encrypted topic (docs/decisions/0014).
USE_KEY = ["kms:Decrypt", "kms:GenerateDataKey*"]
# Of interest to who started the execution, who gets it as its result; it changed nothing.
NOT_MAILED = ["InvalidRequest", "CutoverInProgress"]
NEEDED_BY_SNS = (
    "What SNS needs of who publishes to an encrypted topic (docs/decisions/0014); through SNS only, with the key of "
    "this topic only."
)
LOST_MAIL = "What a mail says is in the execution and in the alarm as well; nobody would read a queue of lost mails."


class OutcomesTopic(sns.Topic):
    """Encrypted, by TLS only. The alarms of these names may publish to it, and no others.

    `for_alarms` are the topics that an alarm publishes to. The mails have one of their own: their filter policy would
    let no alarm pass, because CloudWatch's messages have no attributes, and `"exists": false` then matches nothing.
    Source: SNS Developer Guide, "Key matching".
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        alarms: Sequence[str],
        emails: Sequence[str],
        **options: Any,
    ) -> None:
        # Nothing that is encrypted with it outlives the topic, so neither does the key.
        self._key = kms.Key(
            scope,
            f"{construct_id}Key",
            description=f"Encrypts what {name} publishes to its topic.",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        super().__init__(scope, construct_id, enforce_ssl=True, master_key=self._key, **options)
        self.for_alarms: list[sns.Topic] = [self]
        if emails:
            mailed = sns.Topic(scope, f"{construct_id}MailedAlarms", enforce_ssl=True, master_key=self._key, **options)
            self.for_alarms.append(mailed)
            outcomes = {"outcome": sns.SubscriptionFilter.string_filter(denylist=NOT_MAILED)}
            for email in emails:
                for topic, only in ((self, outcomes), (mailed, None)):
                    mail = topic.add_subscription(subscriptions.EmailSubscription(email, filter_policy=only))
                    acknowledge(mail, {"Serverless::Serverless-SNSRedrivePolicy": LOST_MAIL})
        stack = Stack.of(self)
        arns = [stack.format_arn(service="cloudwatch", resource=f"alarm:{name}") for name in alarms]
        ours = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnEquals": {"aws:SourceArn": arns}}
        allowed = partial(
            iam.PolicyStatement, principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")], conditions=ours
        )
        self._key.add_to_resource_policy(allowed(sid="AlarmsUseTheKey", actions=USE_KEY, resources=["*"]))
        for topic in self.for_alarms:
            publish = allowed(sid="AlarmsPublish", actions=["sns:Publish"], resources=[topic.topic_arn])
            topic.add_to_resource_policy(publish)

    def allow_encrypting(self, role: iam.IRole) -> None:
        """Lets a role use the key that may publish to the topic already; the CDK's task for that leaves it out."""
        stack = Stack.of(self)
        by_sns = {"StringEquals": {"kms:ViaService": f"sns.{stack.region}.{stack.url_suffix}"}}
        use = iam.PolicyStatement(actions=USE_KEY, resources=[self._key.key_arn], conditions=by_sns)
        role.add_to_principal_policy(use)
        acknowledge(role, {"AwsSolutions::AwsSolutions-IAM5[Action::kms:GenerateDataKey*]": NEEDED_BY_SNS})
