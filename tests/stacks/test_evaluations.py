"""What starts the evaluations: the schedules of EventBridge Scheduler, and what it may do."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn

from stacks.configuration.settings import configured
from stacks.monitoring.evaluations import Evaluations
from tests.stacks.contexts import OTHER_PAIR, pair
from tests.stacks.synthesis import many_pairs, resources
from tests.stacks.test_nag import checked

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:eip-cutover-readiness"


class Evaluated(cdk.Stack):
    """A stack with nothing but the evaluations of a context, which start a state machine from elsewhere."""

    def __init__(self, app: cdk.App, construct_id: str, context: dict[str, Any], **options: Any) -> None:
        super().__init__(app, construct_id, **options)
        settings = configured(context.get)
        machine = sfn.StateMachine.from_state_machine_arn(self, "Readiness", MACHINE)
        Evaluations(self, "Evaluations", names=settings.names, machine=machine, pairs=settings.pairs)


def template_of(context: dict[str, Any]) -> dict[str, Any]:
    app = cdk.App()
    stack = Evaluated(app, "EipCutover", context)
    template: dict[str, Any] = app.synth().get_stack_by_name(stack.stack_name).template
    return template


def schedules(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = [schedule["Properties"] for schedule in resources(template, "AWS::Scheduler::Schedule").values()]
    return {schedule["Name"]: schedule for schedule in found}


def test_every_evaluated_pair_has_a_schedule_in_the_stacks_group_that_starts_its_evaluation() -> None:
    off = OTHER_PAIR | {"readiness": False}
    template = template_of({"name": "team-b", "pairs": {"web": pair(), "api": off}})
    ((group, properties),) = resources(template, "AWS::Scheduler::ScheduleGroup").items()
    assert properties["Properties"] == {"Name": "team-b-readiness"}
    (schedule,) = schedules(template).values()
    assert schedule["Name"] == "web"
    assert schedule["GroupName"] == {"Ref": group}
    assert schedule["ScheduleExpression"] == "rate(1 day)"
    assert schedule["Target"]["Arn"] == MACHINE
    assert json.loads(schedule["Target"]["Input"]) == {"pair": "web"}


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [
        ("rate(1 day)", 60), ("rate(4 hours)", 60), ("rate(1 hour)", 15), ("rate(20 minutes)", 5),
        ("rate(7 minutes)", 1), ("rate(5 minutes)", 1), ("cron(0 6 * * ? *)", 15), ("cron(0 * * * ? *)", 15),
        ("cron(0/20 * * * ? *)", 5), ("cron(0,50 * * * ? *)", 2), ("cron(0,50 6 * * ? *)", 12),
        ("cron(*/5 0-6,8 ? * MON#1 *)", 1),
    ],
)  # fmt: skip
def test_an_evaluation_starts_within_a_quarter_of_the_time_to_the_next(expression: str, minutes: int) -> None:
    context = {"readiness": {"scheduleExpression": expression}, "pairs": {"web": pair()}}
    schedule = schedules(template_of(context))["web"]
    assert schedule["ScheduleExpression"] == expression
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes}


def test_only_schedules_of_this_group_may_start_evaluations_and_nothing_else() -> None:
    template = template_of({"pairs": {"web": pair()}})
    ((name, role),) = resources(template, "AWS::IAM::Role").items()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    conditions = trust["Condition"]["StringEquals"]
    assert conditions["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert conditions["aws:SourceArn"]["Fn::Join"][1][-1] == ":schedule-group/eip-cutover-readiness"
    (policy,) = (each["Properties"] for each in resources(template, "AWS::IAM::Policy").values())
    assert policy["Roles"] == [{"Ref": name}]
    assert policy["PolicyDocument"]["Statement"] == [
        {"Action": "states:StartExecution", "Effect": "Allow", "Resource": MACHINE}
    ]
    assert schedules(template)["web"]["Target"]["RoleArn"] == {"Fn::GetAtt": [name, "Arn"]}


def test_no_schedule_exists_before_its_role_may_start_an_evaluation() -> None:
    """Scheduler refuses a role that it cannot assume, and a rate begins as soon as its schedule exists."""
    template = template_of({"pairs": {"web": pair()}})
    (group,) = resources(template, "AWS::Scheduler::ScheduleGroup").values()
    needed = {*resources(template, "AWS::IAM::Role"), *resources(template, "AWS::IAM::Policy")}
    assert {*group["DependsOn"]} == needed


def test_each_of_200_pairs_is_one_resource_more() -> None:
    template = template_of({"pairs": many_pairs(200)})
    assert len(schedules(template)) == 200
    assert len(template["Resources"]) == 203
    assert len(json.dumps(template)) < 100_000


def test_the_rules_of_cdk_nag_find_nothing(tmp_path: Path) -> None:
    class WithAFinding(Evaluated):
        """Without any finding, there is no report."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            cdk.aws_sns.Topic(self, "Open")

    found = checked(tmp_path, WithAFinding, context={"pairs": {"web": pair()}})
    assert {path for path, _ in found.found} == {"EipCutover/Open/Resource"}
    assert found.acknowledged == set()
