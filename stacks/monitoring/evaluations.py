"""What starts the evaluations: the schedules, and someone else than this stack who moves or releases an address.
EventBridge has such calls only if a trail of CloudTrail records them. A failed call and a dry run have an `errorCode`.
Source: EventBridge User Guide, "AWS service events delivered via AWS CloudTrail"."""

import json
from typing import Any

from aws_cdk import Duration, Stack, aws_events as events, aws_iam as iam, aws_scheduler as scheduler
from aws_cdk.aws_events_targets import LambdaFunction
from aws_cdk.aws_stepfunctions import IStateMachine
from constructs import Construct

from domain.pair import rate_of
from stacks.configuration.pairs import Pairs
from stacks.configuration.readiness import minutes_apart
from stacks.functions.functions import LONGEST_SECONDS
from stacks.workflow.tasks import Resources

VIA_CLOUDTRAIL = ["AWS API Call via CloudTrail"]
CALLS = ["AssociateAddress", "DisassociateAddress", "ReleaseAddress"]
MOSTLY_WAITS: dict[str, Any] = {"timeout": Duration.seconds(LONGEST_SECONDS), "memory_size": 256}


class Evaluations(Construct):
    """The function that starts `machine` for pairs, its rule, and its schedules, one for each expression. They call
    late, by at most a quarter of the time to the next call, so that not all stacks evaluate in the same minute."""

    def __init__(
        self, scope: Construct, construct_id: str, resources: Resources, *, machine: IStateMachine, pairs: Pairs
    ) -> None:
        super().__init__(scope, construct_id)
        functions, stack, name = resources.functions, Stack.of(self), resources.names.readiness
        function = functions.python_function(self, "StartEvaluations", "start_evaluations", **MOSTLY_WAITS)
        changing = functions.associate_address, functions.disassociate_address
        function.add_environment("OWN_ROLES", " ".join(each.role.role_arn for each in changing if each.role))
        function.add_environment("READINESS", machine.state_machine_arn)
        machine.grant_start_execution(function)
        function.add_to_role_policy(iam.PolicyStatement(actions=["ec2:DescribeAddresses"], resources=["*"]))

        succeeded = {"eventName": CALLS, "errorCode": [{"exists": False}]}
        pattern = events.EventPattern(source=["aws.ec2"], detail_type=VIA_CLOUDTRAIL, detail=succeeded)
        about = "Evaluates a pair when someone else has moved one of its addresses."
        events.Rule(self, "Moved", description=about, event_pattern=pattern, targets=[LambdaFunction(function)])

        arn = stack.format_arn(service="scheduler", resource="schedule-group", resource_name=name)
        ours = {"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": arn}}
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions=ours))
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]))
        group = scheduler.CfnScheduleGroup(self, "Group", name=name)
        group.node.add_dependency(role)  # and on its policy: a rate begins as soon as its schedule is there
        called: dict[str, Any] = {"arn": function.function_arn, "roleArn": role.role_arn}
        for expression in sorted({pair.readiness.scheduleExpression for pair in pairs.values() if pair.readiness}):
            longest = max(1, min(minutes_apart(expression) // 4, 60 if rate_of(expression) else 15))
            window = {"mode": "FLEXIBLE", "maximumWindowInMinutes": longest}
            when: dict[str, Any] = {"schedule_expression": expression, "flexible_time_window": window}
            target = called | {"input": json.dumps({"scheduleExpression": expression})}
            scheduler.CfnSchedule(self, expression, group_name=group.ref, target=target, **when)
