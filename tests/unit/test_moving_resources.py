"""The resources in the template of a stack that may move an address back."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aws.stack_templates import LOGICAL_ID, STACK, moving_resources, names_by_stack
from domain.pair import Instance, NetworkInterface, Picture
from tests.unit.example_pair import BITTYBOT, TAO, planned

NAMES = {"Production", "eipalloc-0aaaaaaa", "198.51.100.1", "Tao", "i-0bbbbbbbb", "eni-0bbbbbbbb"}
ADDRESS, ASSOCIATION = "AWS::EC2::EIP", "AWS::EC2::EIPAssociation"
OF_ANOTHER = {"InstanceId": {"Ref": "Id"}}
ALLOCATED = {"Production": {"Type": ADDRESS, "Properties": {"Domain": "vpc"}}}
SERVER = {"Tao": {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": "ami-1"}}}
OF_PRODUCTION = {"AllocationId": {"Fn::GetAtt": ["Production", "AllocationId"]}, "InstanceId": {"Ref": "Id"}}


def association(**properties: Any) -> dict[str, Any]:
    return {"Back": {"Type": ASSOCIATION, "Properties": properties}}


def tags(**values: str) -> dict[str, Any]:
    return {"Tags": [{"Key": key, "Value": value} for key, value in values.items()]}


def as_json(resources: Mapping[str, Any]) -> Any:
    return {"Parameters": {"Id": {"Type": "String"}}, "Resources": resources, "Outputs": {}}


def as_yaml(resources: Mapping[str, Any], indent: int = 2) -> str:
    """A template as people write it: with a comment, an empty line, and something before and after the resources."""

    def lines(value: Any, depth: int) -> str:
        if not isinstance(value, dict) or any(key.startswith(("Fn::", "Ref")) for key in value):
            return f" {json.dumps(value)}\n"
        inner = "".join(f"{' ' * indent * depth}{key}:{lines(each, depth + 1)}" for key, each in value.items())
        return f"\n# {ASSOCIATION}: Production\n\n{inner}"

    around = "Parameters:\n  Id:\n    Type: String\n", "Outputs:\n  Name:\n    Value: Production\n"
    return f"{around[0]}Resources:{lines(resources, 1)}{around[1]}"


@pytest.mark.parametrize(
    "form", [as_json, as_yaml, lambda resources: as_yaml(resources, 4)], ids=["json", "yaml", "yaml-4"]
)
@pytest.mark.parametrize(
    ("resources", "moving"),
    [
        (ALLOCATED, []),
        (ALLOCATED | SERVER | association(**OF_PRODUCTION), ["Back"]),
        (association(AllocationId="eipalloc-0aaaaaaa", InstanceId={"Ref": "Id"}), ["Back"]),
        (association(EIP="198.51.100.1", InstanceId={"Ref": "Id"}), ["Back"]),
        (association(EIP="198.51.100.12", InstanceId={"Ref": "Id"}), []),
        (association(AllocationId={"Ref": "Id"}, InstanceId={"Ref": "Tao"}), ["Back"]),
        (association(AllocationId={"Ref": "Id"}, InstanceId={"Ref": "Tao2"}), []),
        (association(AllocationId={"Ref": "Id"}, InstanceId={"Fn::Sub": "${Tao}"}), ["Back"]),
        (association(AllocationId={"Ref": "Id"}, NetworkInterfaceId="eni-0bbbbbbbb"), ["Back"]),
        ({"Production": {"Type": ADDRESS, "Properties": {"InstanceId": {"Ref": "Id"}}}}, ["Production"]),
        ({"Another": {"Type": ADDRESS, "Properties": {"InstanceId": {"Ref": "Id"}}}}, []),
        ({"Another": {"Type": ADDRESS, "Properties": {"InstanceId": {"Ref": "Tao"}}}}, ["Another"]),
        ({"Another": {"Type": ADDRESS, "Properties": OF_ANOTHER | {"Address": "198.51.100.1"}}}, ["Another"]),
        ({"Another": {"Type": ADDRESS, "Properties": OF_ANOTHER | tags(Name="Tao")}}, []),
        ({"Another": {"Type": ADDRESS, "DependsOn": "Tao", "Properties": OF_ANOTHER}}, []),
        ({"Production": {"Type": ADDRESS, "Properties": tags(InstanceId="none")}}, []),
        ({"Production": {"Type": ADDRESS}}, []),
        ({"Another": {"Type": "AWS::EC2::Volume", "Properties": {"InstanceId": {"Ref": "Tao"}}}}, []),
    ],
)
def test_resources_that_associate_an_address_and_mention_the_pair_may_move_it_back(
    form: Any, resources: dict[str, Any], moving: list[str]
) -> None:
    assert list(moving_resources(form(resources), NAMES)) == moving


def test_the_short_forms_of_yaml_are_mentions() -> None:
    properties = "    Properties:\n      AllocationId: !GetAtt Production.AllocationId\n      InstanceId: !Ref Id\n"
    template = f"Resources:\n\n  'Back':\n    Type: '{ASSOCIATION}'\r\n{properties}"
    assert list(moving_resources(template, NAMES)) == ["Back"]


def test_the_name_of_a_resource_type_mentions_nothing() -> None:
    template = as_json({"Another": {"Type": ADDRESS, "Properties": {"InstanceId": {"Ref": "Id"}}}})
    assert list(moving_resources(template, {"EIP"})) == []


def test_a_resource_with_a_condition_may_exist_after_an_update() -> None:
    resource = {"Type": ASSOCIATION, "Condition": "Associated", "Properties": OF_PRODUCTION}
    (moving,) = moving_resources(as_json({"Back": resource}), NAMES)
    assert moving == "Back (if its condition Associated is true)"


@pytest.mark.parametrize(
    "template",
    [
        f'"Resources":\n  "Production":\n    "Type": "{ADDRESS}"\n    "Properties": {{"InstanceId": "i-0bbbbbbbb"}}\n',
        f"Resources: {{Production: {{Type: '{ADDRESS}', Properties: {{InstanceId: !Ref Tao}}}}}}\n",
        f"Resources:\n  Production:\n    Type: {ADDRESS}\n    Properties: {{InstanceId: !Sub '${{Tao}}'}}  # comment\n",
    ],
)
def test_yaml_in_any_style_is_read(template: str) -> None:
    assert list(moving_resources(template, NAMES)) == ["Production"]


def test_a_comment_behind_a_value_mentions_nothing() -> None:
    properties = "    Properties:\n      Domain: vpc  # no InstanceId: cutovers move it\n"
    template = f"Resources:\n  Production:\n    Type: {ADDRESS}\n{properties}"
    assert list(moving_resources(template, NAMES)) == []


def test_a_tag_that_names_no_resource_of_its_stack_is_left_out() -> None:
    instance = Instance("running", {}, {STACK: "base"})
    assert names_by_stack(planned(), Picture(dict.fromkeys((BITTYBOT.instance_id, TAO.instance_id), instance))) == {}


def test_a_stack_knows_every_id_and_the_logical_ids_of_what_it_made() -> None:
    plan = planned()
    plan = replace(plan, production=replace(plan.production, tags={STACK: "base", LOGICAL_ID: "Production"}))
    interface = NetworkInterface("eni-0", (), tags={STACK: "web", LOGICAL_ID: "Interface"})
    tao = Instance("running", {"eni-0": interface}, {STACK: "web", LOGICAL_ID: "Tao"})
    bittybot = Instance("running", {}, {STACK: "base", LOGICAL_ID: "Bittybot"})
    picture = Picture({BITTYBOT.instance_id: bittybot, TAO.instance_id: tao})
    ids = {BITTYBOT.instance_id, TAO.instance_id, "eni-0"}
    ids |= {name for each in (plan.production, plan.staging) for name in (each.allocation_id, each.public_ip)}
    assert names_by_stack(plan, picture) == {
        "base": ids | {"Production", "Bittybot"},
        "web": ids | {"Tao", "Interface"},
    }
