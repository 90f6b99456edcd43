"""Metrics, alarms, their topic and the dashboard. No workflow waits for them, and they change nothing."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack, aws_cloudwatch as cloudwatch, aws_events as events, aws_kms as kms
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_events_targets import LambdaFunction
from aws_cdk.aws_iam import IRole, PolicyStatement, ServicePrincipal
from aws_cdk.aws_lambda import Function
from aws_cdk.aws_sns import SubscriptionFilter, Topic
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from aws_cdk.aws_stepfunctions import StateMachine
from constructs import Construct

from stacks.configuration.names import Names
from stacks.functions.functions import Functions
from stacks.monitoring.dashboard import EVERY_5_MINUTES, Metrics, dashboard
from stacks.workflow.notifications import DETAIL_TYPE
from stacks.workflow.retries import SERVICE_TIMEOUT_SECONDS
from stacks.workflow.state_machine import executions_of
from stacks.workflow.tasks import MEASURE_GAP_SECONDS, Resources, longest

# The permissions that a service needs to publish to an encrypted topic (SNS Developer Guide; docs/decisions/0014).
USE_KEY = ["kms:Decrypt", "kms:GenerateDataKey*"]
# These concern only the person who started the execution, who sees the result; nothing was changed.
NOT_MAILED = ["InvalidRequest", "CutoverInProgress"]
# What the alarms say, by their names after the stack's name. Fixed: the policies of the topic and its key name them.
ALARMS = {
    "rollback-failed": "A cutover failed, and so did its rollback. Production may be on the wrong server, and staging "
    "on no server. A person must act now. The cause of the failed execution of {names.cutover} says what was found, "
    "and has the aws ec2 commands that finish the rollback. "
    "Read docs/runbook.md#rollbackfailed-eip-cutover-rollback-failed",
    "repair-failed": "An execution was interrupted, and the repair failed. The repair did not move production; staging "
    "may be in the wrong place. A person must act: the cause of the failed execution of {names.repair} says what was "
    "found. Read docs/runbook.md#repairfailed-eip-cutover-repair-failed",
    "repair-ran": "An execution was stopped, timed out or was failed by Step Functions, and {names.repair} has "
    "repaired the pair. Production stayed where it was then, perhaps on the new server with its checks incomplete. "
    "Check the outcome of the repair, and which release production answers with. "
    "Read docs/runbook.md#aborted-timed_out-eip-cutover-repair-ran",
    "lock-held-too-long": "A lock has been held for longer than a cutover of the slowest pair takes, and no other "
    "cutover of that pair can start. If the execution that the lock names still runs, it is retrying or rolling back: "
    "check which state it is in. If it has ended, start a cutover: the cutover takes over the lock. "
    "Read docs/runbook.md#eip-cutover-lock-held-too-long-a-dead-lock",
    "not-ready": "A cutover of at least one pair would fail, now or soon, or its evaluations have stopped. Nothing was "
    "changed. ./cutover.py status says which pair is not ready, since when, and why. "
    "Read docs/runbook.md#evaluationfailed-eip-cutover-not-ready",
}


def alarm_names(names: Names) -> list[str]:
    return [f"{names.cutover}-{alarm}" for alarm in ALARMS]


def longest_cutover(functions: Functions) -> float:
    """The seconds of the slowest path through the workflow with the lock held, with each state once and at its slowest,
    with the longest bake and the longest wait for approval, after which it checks again. An execution that holds its
    lock longer retries, rolls back, or has ended. `tests/stacks/test_monitoring.py` finds this path in the graph."""
    move = max(longest(functions.associate_address), longest(functions.disassociate_address))
    checks = filter(None, (functions.health_check, functions.check_servers, functions.in_vpc))
    preflight = max(2 * longest(functions.associate_address), *map(longest, checks))
    services = MEASURE_GAP_SECONDS + 4 * SERVICE_TIMEOUT_SECONDS  # AcquireLock, ReleaseLock, Notify, PutEvent
    bake: float = functions.longest_bake_seconds
    if functions.bakes:  # RecordBake, and a last call that goes on beyond the end of the bake
        bake += SERVICE_TIMEOUT_SECONDS + longest(functions.health_check)
    release = len(functions.moments) * longest(functions.run_commands) if functions.run_commands else 0
    if functions.approves:  # NotifyApproval, PutApprovalEvent, RecordApproval
        release += functions.longest_approval_seconds + 3 * SERVICE_TIMEOUT_SECONDS + preflight
    return 4 * move + preflight + 2 * longest(functions.health_check) + bake + release + services


class Monitoring(Construct):
    """The reports of outcomes and locks, the alarms (`ALARMS`), which publish to `topics`, and the dashboard."""

    def __init__(
        self, scope: Construct, resources: Resources, workflow: StateMachine, repair: StateMachine, topics: list[Topic]
    ) -> None:
        super().__init__(scope, "Monitoring")
        functions, self._names, self._topics = resources.functions, resources.names, topics
        metrics = Metrics(self._names, evaluates=functions.evaluates)
        reports = self._reports(resources, [workflow, repair])
        alarms = [
            self._alarm("rollback-failed", metrics.failed_rollbacks),
            self._alarm("repair-failed", repair.metric_failed(period=EVERY_5_MINUTES, statistic="Sum")),
            self._alarm("repair-ran", metrics.repairs),
            self._alarm("lock-held-too-long", metrics.oldest_lock, over=longest_cutover(functions)),
        ]
        if metrics.ready:
            alarms.append(self._alarm("not-ready", metrics.ready, under=1))
        dashboard(self, metrics, alarms, {"cutover": workflow, "repair": repair}, [*functions.all, *reports])

    def _reports(self, resources: Resources, workflows: Sequence[StateMachine]) -> list[Function]:
        """The functions that report, and the rules that call them."""
        make = partial(resources.functions.python_function, self)
        outcome = make("ReportOutcome", "report_outcome", timeout=Duration.minutes(1))
        outcome.add_environment("WORKFLOWS", " ".join(workflow.state_machine_arn for workflow in workflows))
        executions = [executions_of(self, name) for name in self._names.workflows]
        outcome.add_to_role_policy(PolicyStatement(actions=["states:DescribeExecution"], resources=executions))
        about = "Reports how executions of the cutover and its repair ended."
        ended = events.EventPattern(source=[self._names.cutover], detail_type=[DETAIL_TYPE])
        events.Rule(self, "Ended", description=about, event_pattern=ended, targets=[LambdaFunction(outcome)])
        locks = make("ReportLocks", "report_locks", timeout=Duration.seconds(30))
        locks.add_environment("LOCK_TABLE", resources.lock_table.table_name)
        resources.lock_table.grant(locks, "dynamodb:Scan")
        about = "Reports how long the locks of the cutover have been held."
        often, calls = events.Schedule.rate(EVERY_5_MINUTES), [LambdaFunction(locks)]
        events.Rule(self, "EveryFiveMinutes", description=about, schedule=often, targets=calls)
        return [outcome, locks]

    def _alarm(self, name: str, metric: cloudwatch.Metric, *, over: float = 0, under: float = 0) -> cloudwatch.Alarm:
        """One period of five minutes beyond the threshold is enough for ALARM. A period without data is not."""
        alarm = cloudwatch.Alarm(
            self,
            name.title().replace("-", ""),
            alarm_name=f"{self._names.cutover}-{name}",
            alarm_description=ALARMS[name].format(names=self._names),
            metric=metric,
            threshold=under or over,
            comparison_operator=cloudwatch.ComparisonOperator[f"{'LESS' if under else 'GREATER'}_THAN_THRESHOLD"],
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(*[SnsAction(topic) for topic in self._topics])
        return alarm


class OutcomesTopic(Topic):
    """The topic of every outcome and every alarm, its key, and who gets which of them by mail. AWS's own key for SNS
    (`alias/aws/sns`) cannot allow an alarm to publish, so the topic has its own, which publishers may have to use.
    Source: SNS Developer Guide, "Managing Amazon SNS encryption keys and costs", on event sources from AWS services.
    Only the alarms with these names may publish, to each of `for_alarms`. Mails have a second topic for alarms: their
    filter policy drops every alarm, because CloudWatch's messages have no attributes, and `"exists": false` then
    matches nothing. Source: SNS Developer Guide, "Key matching"."""

    def __init__(self, scope: Construct, *, name: str, alarms: Sequence[str], emails: Sequence[str]) -> None:
        # Everything that is encrypted with the key is deleted with the topic, so the key is deleted too.
        use, gone = f"Encrypts what {name} publishes to its topic.", RemovalPolicy.DESTROY
        self._key = kms.Key(scope, "OutcomesKey", description=use, enable_key_rotation=True, removal_policy=gone)
        options: dict[str, Any] = {"display_name": "Elastic IP cutover", "enforce_ssl": True, "master_key": self._key}
        super().__init__(scope, "Outcomes", **options)
        self.for_alarms: list[Topic] = [self]
        if emails:
            self.for_alarms.append(mailed := Topic(scope, "OutcomesMailedAlarms", **options))
            outcomes = {"outcome": SubscriptionFilter.string_filter(denylist=NOT_MAILED)}
            for email in emails:
                for topic, only in ((self, outcomes), (mailed, None)):
                    topic.add_subscription(EmailSubscription(email, filter_policy=only))
        stack = Stack.of(self)
        arns = [stack.format_arn(service="cloudwatch", resource=f"alarm:{name}") for name in alarms]
        ours = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnEquals": {"aws:SourceArn": arns}}
        allowed = partial(PolicyStatement, principals=[ServicePrincipal("cloudwatch.amazonaws.com")], conditions=ours)
        self._key.add_to_resource_policy(allowed(sid="AlarmsUseTheKey", actions=USE_KEY, resources=["*"]))
        for topic in self.for_alarms:
            own = [topic.topic_arn]
            topic.add_to_resource_policy(allowed(sid="AlarmsPublish", actions=["sns:Publish"], resources=own))

    def allow_encrypting(self, role: IRole) -> None:
        """Lets a role that may publish to the topic use the key; the CDK's task does not grant this."""
        stack = Stack.of(self)
        by_sns = {"StringEquals": {"kms:ViaService": f"sns.{stack.region}.{stack.url_suffix}"}}
        use = PolicyStatement(actions=USE_KEY, resources=[self._key.key_arn], conditions=by_sns)
        role.add_to_principal_policy(use)
