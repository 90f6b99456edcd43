"""The topic of every outcome and every alarm, its key, and who gets which of them by mail. AWS's own key for SNS
(`alias/aws/sns`) cannot allow an alarm to publish, so the topic has its own, which publishers may have to use. Source:
SNS Developer Guide, "Managing Amazon SNS encryption keys and costs", on event sources from AWS services."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aws_cdk import RemovalPolicy, Stack, aws_iam as iam, aws_kms as kms, aws_sns as sns
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from constructs import Construct

# The permissions that a service needs to publish to an encrypted topic (SNS Developer Guide; docs/decisions/0014).
USE_KEY = ["kms:Decrypt", "kms:GenerateDataKey*"]
# These concern only the person who started the execution, who sees the result; nothing was changed.
NOT_MAILED = ["InvalidRequest", "CutoverInProgress"]


class OutcomesTopic(sns.Topic):
    """An encrypted topic that accepts only TLS. Only the alarms with these names may publish, to each of `for_alarms`.
    Mails have a second topic for alarms: their filter policy drops every alarm, because CloudWatch's messages have no
    attributes, and `"exists": false` then matches nothing. Source: SNS Developer Guide, "Key matching"."""

    def __init__(self, scope: Construct, *, name: str, alarms: Sequence[str], emails: Sequence[str]) -> None:
        # Everything that is encrypted with the key is deleted with the topic, so the key is deleted too.
        use, gone = f"Encrypts what {name} publishes to its topic.", RemovalPolicy.DESTROY
        self._key = kms.Key(scope, "OutcomesKey", description=use, enable_key_rotation=True, removal_policy=gone)
        options: dict[str, Any] = {"display_name": "Elastic IP cutover", "enforce_ssl": True, "master_key": self._key}
        super().__init__(scope, "Outcomes", **options)
        self.for_alarms: list[sns.Topic] = [self]
        if emails:
            self.for_alarms.append(mailed := sns.Topic(scope, "OutcomesMailedAlarms", **options))
            outcomes = {"outcome": sns.SubscriptionFilter.string_filter(denylist=NOT_MAILED)}
            for email in emails:
                for topic, only in ((self, outcomes), (mailed, None)):
                    topic.add_subscription(EmailSubscription(email, filter_policy=only))
        stack = Stack.of(self)
        arns = [stack.format_arn(service="cloudwatch", resource=f"alarm:{name}") for name in alarms]
        ours = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnEquals": {"aws:SourceArn": arns}}
        cloudwatch = iam.ServicePrincipal("cloudwatch.amazonaws.com")
        allowed = partial(iam.PolicyStatement, principals=[cloudwatch], conditions=ours)
        self._key.add_to_resource_policy(allowed(sid="AlarmsUseTheKey", actions=USE_KEY, resources=["*"]))
        for topic in self.for_alarms:
            own = [topic.topic_arn]
            topic.add_to_resource_policy(allowed(sid="AlarmsPublish", actions=["sns:Publish"], resources=own))

    def allow_encrypting(self, role: iam.IRole) -> None:
        """Lets a role that may publish to the topic use the key; the CDK's task does not grant this."""
        stack = Stack.of(self)
        by_sns = {"StringEquals": {"kms:ViaService": f"sns.{stack.region}.{stack.url_suffix}"}}
        use = iam.PolicyStatement(actions=USE_KEY, resources=[self._key.key_arn], conditions=by_sns)
        role.add_to_principal_policy(use)
