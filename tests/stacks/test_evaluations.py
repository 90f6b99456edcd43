"""What starts the evaluations: a function that schedules and CloudTrail's events call. In a stack with any machine."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb, aws_sns as sns, aws_stepfunctions as sfn
from moto.events.models import EventPattern

import start_evaluations
from stacks.configuration.settings import configured
from stacks.functions.functions import Functions
from stacks.monitoring.evaluations import Evaluations
from stacks.workflow.tasks import Resources
from tests.stacks.contexts import OTHER_PAIR, pair
from tests.stacks.policies import grants, in_account, statements_of
from tests.stacks.synthesis import CONTEXT, many_pairs, resources
from tests.stacks.test_nag import findings, unexplained
from tests.unit.test_start_evaluations import event

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:any"


class Evaluated(cdk.Stack):
    """A stack with the functions and the evaluations of a context, which start a state machine from elsewhere."""

    def __init__(self, app: cdk.App, construct_id: str, context: dict[str, Any], **options: Any) -> None:
        super().__init__(app, construct_id, **options)
        settings = configured(context.get)
        key = dynamodb.Attribute(name="pair", type=dynamodb.AttributeType.STRING)
        table, topic = dynamodb.Table(self, "Locks", partition_key=key), sns.Topic(self, "Topic")
        functions = Functions(self, settings.names, settings.pairs, table, settings.vpc)
        machine = sfn.StateMachine.from_state_machine_arn(self, "Machine", MACHINE)
        used = Resources(settings.names, functions, table, topic)
        Evaluations(self, "Evaluations", used, machine=machine, pairs=settings.pairs)


def template_of(folder: Path, context: dict[str, Any]) -> dict[str, Any]:
    app = cdk.App(outdir=str(folder), context=CONTEXT)
    stack = Evaluated(app, "EipCutover", context)
    template: dict[str, Any] = app.synth().get_stack_by_name(stack.stack_name).template
    return template


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return template_of(tmp_path_factory.mktemp("evaluations"), CONTEXT)


def schedules(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    each = [schedule["Properties"] for schedule in resources(template, "AWS::Scheduler::Schedule").values()]
    return {schedule["ScheduleExpression"]: schedule for schedule in each}


def starter(template: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The logical id and the properties of the function."""
    functions = resources(template, "AWS::Lambda::Function").items()
    ((name, function),) = (
        each for each in functions if each[1]["Properties"]["Handler"] == "start_evaluations.handler"
    )
    return name, function["Properties"]


def test_pairs_with_the_same_expression_share_a_schedule_of_the_stacks_group_that_calls_the_function(
    tmp_path: Path,
) -> None:
    other = OTHER_PAIR | {"readiness": {"scheduleExpression": "cron(0 6 ? * MON-FRI *)"}}
    off = {name: each | {"readiness": False} for name, each in many_pairs(1).items()}
    pairs = many_pairs(4) | off | {"web": pair(), "api": other}
    template = template_of(tmp_path, {"name": "team-b", "pairs": pairs})
    ((group, properties),) = resources(template, "AWS::Scheduler::ScheduleGroup").items()
    assert properties["Properties"] == {"Name": "team-b-readiness"}
    assert schedules(template).keys() == {"rate(1 day)", "cron(0 6 ? * MON-FRI *)"}
    for expression, schedule in schedules(template).items():
        assert schedule["GroupName"] == {"Ref": group}
        assert schedule["Target"]["Arn"] == {"Fn::GetAtt": [starter(template)[0], "Arn"]}
        assert json.loads(schedule["Target"]["Input"]) == {"scheduleExpression": expression}


WINDOWS = {
    "rate(1 day)": 60, "rate(4 hours)": 60, "rate(1 hour)": 15, "rate(20 minutes)": 5, "rate(7 minutes)": 1,
    "rate(5 minutes)": 1, "cron(0 6 * * ? *)": 15, "cron(0 * * * ? *)": 15, "cron(0/20 * * * ? *)": 5,
    "cron(0,50 * * * ? *)": 2, "cron(0,50 6 * * ? *)": 12, "cron(*/5 0-6,8 ? * MON#1 *)": 1,
}  # fmt: skip


def test_a_schedule_calls_within_a_quarter_of_the_time_to_the_next_call(tmp_path: Path) -> None:
    pairs = many_pairs(len(WINDOWS))
    for each, expression in zip(pairs.values(), WINDOWS, strict=True):
        each["readiness"] = {"scheduleExpression": expression}
    made = schedules(template_of(tmp_path, {"pairs": pairs})).items()
    windows = {expression: schedule["FlexibleTimeWindow"] for expression, schedule in made}
    assert windows == {each: {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": most} for each, most in WINDOWS.items()}


def test_only_schedules_of_this_group_may_call_the_function_and_nothing_else(template: dict[str, Any]) -> None:
    (schedule,) = schedules(template).values()
    role = schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
    (trust,) = template["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    conditions = trust["Condition"]["StringEquals"]
    assert conditions["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert conditions["aws:SourceArn"]["Fn::Join"][1][-1] == ":schedule-group/eip-cutover-readiness"
    function = in_account({"Fn::GetAtt": [starter(template)[0], "Arn"]}, template)
    assert grants(statements_of(template, role)) == {("lambda:InvokeFunction", function)}


def test_no_schedule_exists_before_its_role_may_call_the_function(template: dict[str, Any]) -> None:
    """Scheduler refuses a role that it cannot assume, and a rate begins as soon as its schedule exists."""
    (group,) = resources(template, "AWS::Scheduler::ScheduleGroup").values()
    (schedule,) = schedules(template).values()
    role = schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
    policies = resources(template, "AWS::IAM::Policy").items()
    (policy,) = (name for name, each in policies if each["Properties"]["Roles"] == [{"Ref": role}])
    assert {*group["DependsOn"]} == {role, policy}


def test_the_function_has_time_for_the_longest_spread_and_for_all_calls(template: dict[str, Any]) -> None:
    spread = start_evaluations.LONGEST_SPREAD_SECONDS
    assert spread + 300 <= starter(template)[1]["Timeout"] <= 900, "Lambda's longest"


def test_the_function_knows_the_machine_and_the_roles_that_may_change_addresses(template: dict[str, Any]) -> None:
    given = starter(template)[1]["Environment"]["Variables"].items()
    variables = {name: in_account(value, template) for name, value in given}
    assert variables["READINESS"] == MACHINE
    changing = {
        in_account({"Fn::GetAtt": [role, "Arn"]}, template)
        for role in resources(template, "AWS::IAM::Role")
        for statement in statements_of(template, role)
        if statement["Action"] in ("ec2:AssociateAddress", "ec2:DisassociateAddress")
    }
    assert len(changing) == 2
    assert set(variables["OWN_ROLES"].split()) == changing


def test_the_function_may_start_the_machine_and_describe_addresses(template: dict[str, Any]) -> None:
    granted = grants(statements_of(template, starter(template)[1]["Role"]["Fn::GetAtt"][0]))
    permissions = {grant for grant in granted if not grant[0].startswith(("logs:", "xray:"))}
    assert permissions == {("states:StartExecution", MACHINE), ("ec2:DescribeAddresses", "*")}


@pytest.fixture
def pattern(template: dict[str, Any]) -> EventPattern:
    """Of the rule that calls the function."""
    (rule,) = (each["Properties"] for each in resources(template, "AWS::Events::Rule").values())
    assert rule["Targets"][0]["Arn"] == {"Fn::GetAtt": [starter(template)[0], "Arn"]}
    return EventPattern.load(json.dumps(rule["EventPattern"]))


@pytest.mark.parametrize("action", ["AssociateAddress", "DisassociateAddress", "ReleaseAddress"])
def test_a_call_that_moves_or_releases_an_address_is_an_event_for_the_function(
    pattern: EventPattern, action: str
) -> None:
    assert pattern.matches_event(event(action))


def test_other_calls_dry_runs_failed_calls_and_events_of_others_are_not(pattern: EventPattern) -> None:
    assert not pattern.matches_event(event("AllocateAddress"))
    assert not pattern.matches_event(event() | {"source": "someone"})
    for code in ("Client.DryRunOperation", "Client.UnauthorizedOperation"):
        failed = event()
        failed["detail"]["errorCode"] = code
        assert not pattern.matches_event(failed), code


def test_what_cdk_nag_finds_in_the_evaluations_has_a_reason(tmp_path: Path) -> None:
    problems = unexplained(findings(tmp_path, Evaluated, context={"pairs": {"web": pair()}}))
    assert problems, "the bare table and topic"
    assert not [path for path, _ in problems if "/Evaluations/" in path]
