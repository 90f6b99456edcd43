"""What an independent judge found in the stacks' templates."""

import pytest

from aws.stack_templates import moving_resources

defect = pytest.mark.xfail(strict=True, reason="found by the judge of readiness")
NAMES = {"eipalloc-0aaaaaaaaaaaaaaaa", "i-0aaaaaaaaaaaaaaaa", "eni-0aaaaaaaaaaaaaaaa", "Web", "Address"}


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
