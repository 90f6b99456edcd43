"""What an independent judge found in the metric, the schedule expressions and the stacks' templates."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from aws.stack_templates import moving_resources
from domain.pair import Pair
from report_locks import readiness_of
from stacks.configuration.readiness import Readiness

defect = pytest.mark.xfail(strict=True, reason="found by the judge of readiness")
NOW = datetime.now(UTC)
NAMES = {"eipalloc-0aaaaaaaaaaaaaaaa", "i-0aaaaaaaaaaaaaaaa", "eni-0aaaaaaaaaaaaaaaa", "Web", "Address"}


def lowest(result: dict[str, Any], schedule: str) -> tuple[float, ...]:
    configured: dict[str, Any] = {
        "production": "eipalloc-1", "staging": "eipalloc-2", "servers": {"tao": "i-1", "kai": "i-2"}, "healthCheck": [],
        "bakeSeconds": 7200, "alarms": [], "readiness": {"scheduleExpression": schedule},
    }  # fmt: skip
    *_, of_all = readiness_of({"web": Pair.from_json("web", configured)}, {"web": result}, NOW)
    return of_all.values


@defect
def test_a_pair_that_an_execution_has_held_since_is_not_overdue() -> None:
    """A bake of two hours, or an approval of two days: meanwhile, no evaluation can be made."""
    result = {"ready": True, "checkedAt": (NOW - timedelta(hours=1, minutes=15)).isoformat()}
    assert lowest(result, "rate(5 minutes)") == (1,)


def test_a_pair_whose_evaluations_begin_again_or_more_often_is_overdue_at_once() -> None:
    """Not a promise: `readiness` was false for 40 days, or the rate was 1 day. It ends with the next evaluation."""
    assert lowest({"ready": True, "checkedAt": (NOW - timedelta(days=40)).isoformat()}, "rate(1 day)") == (0,)
    assert lowest({"ready": True, "checkedAt": (NOW - timedelta(hours=20)).isoformat()}, "rate(5 minutes)") == (0,)


def accepted(expression: str) -> bool:
    try:
        return bool(Readiness.model_validate({"scheduleExpression": expression}))
    except ValidationError:
        return False


@defect
@pytest.mark.parametrize("expression", ["cron(0 6 ? * MON-SUN *)"])
def test_all_days_of_the_week_are_a_schedule(expression: str) -> None:
    assert accepted(expression)


@defect
@pytest.mark.parametrize("days", ["MON/2", "*/2", "2/2"])
def test_a_step_of_weekdays_is_refused_because_the_documentation_has_no_slash_there(days: str) -> None:
    assert not accepted(f"cron(0 6 ? * {days} *)")


@defect
@pytest.mark.parametrize(
    "expression", ["cron(0 6 * * ? 2025)", "cron(0 6 1 1 ? 1970)", "cron(0 6 31 2 ? *)", "cron(0 6 30 FEB ? *)"]
)
def test_a_schedule_that_never_comes_is_refused(expression: str) -> None:
    assert not accepted(expression)


GOOD_STACKS = {
    "a comment behind a value": """
  Address:
    Type: AWS::EC2::EIP
    Properties:
      Domain: vpc  # no InstanceId: cutovers move it
""",
    "a tag": """
  Address:
    Type: AWS::EC2::EIP
    Properties:
      Tags: [{Key: InstanceId, Value: none}]
""",
    "an address of another server that waits for this one": """
  Other:
    Type: AWS::EC2::EIPAssociation
    DependsOn: Web
    Properties:
      AllocationId: !GetAtt OtherAddress.AllocationId
      InstanceId: !Ref OtherServer
""",
    "a resource whose condition is false": """
  Association:
    Type: AWS::EC2::EIPAssociation
    Condition: Never
    Properties:
      AllocationId: !GetAtt Address.AllocationId
      InstanceId: !Ref Web
""",
    "another address whose name is a server's logical id": """
  Other:
    Type: AWS::EC2::EIP
    Properties:
      InstanceId: !Ref OtherServer
      Tags: [{Key: Name, Value: Web}]
""",
}
BAD_STACKS = {
    "an interface of the stack, with an address from a parameter": """
  Web:
    Type: AWS::EC2::Instance
    Properties:
      NetworkInterfaces: [{DeviceIndex: 0, NetworkInterfaceId: !Ref Interface}]
  Interface:
    Type: AWS::EC2::NetworkInterface
  Association:
    Type: AWS::EC2::EIPAssociation
    Properties:
      AllocationId: !Ref AllocationId
      NetworkInterfaceId: !Ref Interface
""",
}


@defect
@pytest.mark.parametrize("stack", GOOD_STACKS)
def test_a_stack_that_moves_nothing_is_no_warning(stack: str) -> None:
    assert list(moving_resources(f"Resources:{GOOD_STACKS[stack]}", NAMES)) == []


@defect
@pytest.mark.parametrize("stack", BAD_STACKS)
def test_a_stack_that_moves_an_address_back_is_a_warning(stack: str) -> None:
    assert list(moving_resources(f"Resources:{BAD_STACKS[stack]}", NAMES)) == ["Association"]


@defect
@pytest.mark.parametrize(
    "template",
    [
        '"Resources":\n  "Address":\n    "Type": "AWS::EC2::EIP"\n    "Properties": {"InstanceId": {"Ref": "Web"}}\n',
        "Resources: {Address: {Type: 'AWS::EC2::EIP', Properties: {InstanceId: !Ref Web}}}\n",
    ],
)
def test_yaml_in_other_styles_is_read(template: str) -> None:
    assert list(moving_resources(template, NAMES)) == ["Address"]
