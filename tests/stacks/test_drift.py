"""The rule and the function that evaluate a pair when someone else moves an address: in a stack with any machine."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb as dynamodb, aws_sns as sns, aws_stepfunctions as sfn
from moto.events.models import EventPattern

from stacks.configuration.settings import configured
from stacks.functions.functions import Functions
from stacks.monitoring.drift import Drift
from stacks.workflow.resources import Resources
from tests.stacks.policies import grants, in_account, statements_of
from tests.stacks.synthesis import CONTEXT, resources
from tests.stacks.test_nag import checked
from tests.unit.test_detect_drift import event

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:any"


class Bare(cdk.Stack):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        settings = configured(CONTEXT.get)
        key = dynamodb.Attribute(name="pair", type=dynamodb.AttributeType.STRING)
        table, topic = dynamodb.Table(self, "Locks", partition_key=key), sns.Topic(self, "Topic")
        functions = Functions(self, settings.names, settings.pairs, table, settings.vpc)
        machine = sfn.StateMachine.from_state_machine_arn(self, "Machine", MACHINE)
        Drift(self, "Drift", Resources(settings.names, functions, table, topic), machine=machine)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app = cdk.App(outdir=str(tmp_path_factory.mktemp("drift")), context=CONTEXT)
    found: dict[str, Any] = Bare(app, "Bare").node.root.synth().get_stack_by_name("Bare").template  # type: ignore[attr-defined]
    return found


@pytest.fixture
def function(template: dict[str, Any]) -> dict[str, Any]:
    functions = [each["Properties"] for each in resources(template, "AWS::Lambda::Function").values()]
    return next(each for each in functions if each["Handler"] == "detect_drift.handler")


def test_the_function_knows_the_machine_and_the_roles_that_may_change_addresses(
    template: dict[str, Any], function: dict[str, Any]
) -> None:
    variables = {name: in_account(value, template) for name, value in function["Environment"]["Variables"].items()}
    assert variables["READINESS"] == MACHINE
    changing = {
        in_account({"Fn::GetAtt": [role, "Arn"]}, template)
        for role in resources(template, "AWS::IAM::Role")
        for statement in statements_of(template, role)
        if statement["Action"] in ("ec2:AssociateAddress", "ec2:DisassociateAddress")
    }
    assert len(changing) == 2
    assert set(variables["OWN_ROLES"].split()) == changing


def test_the_function_may_start_the_machine_and_describe_addresses(
    template: dict[str, Any], function: dict[str, Any]
) -> None:
    granted = grants(statements_of(template, function["Role"]["Fn::GetAtt"][0]))
    permissions = {grant for grant in granted if not grant[0].startswith(("logs:", "xray:"))}
    assert permissions == {("states:StartExecution", MACHINE), ("ec2:DescribeAddresses", "*")}


@pytest.fixture
def pattern(template: dict[str, Any], function: dict[str, Any]) -> EventPattern:
    """Of the rule that calls the function."""
    calling = [each["Properties"] for each in resources(template, "AWS::Events::Rule").values()]
    (rule,) = calling
    assert template["Resources"][rule["Targets"][0]["Arn"]["Fn::GetAtt"][0]]["Properties"] == function
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


def test_the_rules_of_cdk_nag_find_only_acknowledged_problems(tmp_path: Path) -> None:
    found = checked(tmp_path, Bare).found
    assert found, "the bare table and topic"
    assert not [path for path, _ in found if "/Drift/" in path]
