"""What starts the evaluations: a schedule of EventBridge Scheduler for each pair that has `readiness`."""

import json
from typing import Any

from aws_cdk import Stack, aws_iam as iam, aws_scheduler as scheduler, aws_stepfunctions as sfn
from constructs import Construct

from domain.pair import rate_of
from stacks.configuration.names import Names
from stacks.configuration.pairs import Pairs
from stacks.configuration.readiness import minutes_apart


class Evaluations(Construct):
    """The schedules, named like their pairs, in one group. Each starts `machine` a little later than it says, within a
    quarter of the time between two evaluations, so that not all pairs are evaluated in the same minute."""

    def __init__(
        self, scope: Construct, construct_id: str, *, names: Names, machine: sfn.IStateMachine, pairs: Pairs
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        arn = stack.format_arn(service="scheduler", resource="schedule-group", resource_name=names.readiness)
        ours = {"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": arn}}
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions=ours))
        machine.grant_start_execution(role)
        group = scheduler.CfnScheduleGroup(self, "Group", name=names.readiness)
        group.node.add_dependency(role)  # and on its policy: a rate begins as soon as its schedule is there
        target: dict[str, Any] = {"arn": machine.state_machine_arn, "roleArn": role.role_arn}
        expressions = {name: pair.readiness.scheduleExpression for name, pair in pairs.items() if pair.readiness}
        for name, expression in expressions.items():
            longest = max(1, min(minutes_apart(expression) // 4, 60 if rate_of(expression) else 15))
            schedule: dict[str, Any] = {
                "schedule_expression": expression,
                "flexible_time_window": {"mode": "FLEXIBLE", "maximumWindowInMinutes": longest},
                "target": target | {"input": json.dumps({"pair": name})},
            }
            scheduler.CfnSchedule(self, f"Pair {name}", name=name, group_name=group.ref, **schedule)
