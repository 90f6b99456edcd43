"""A stack whose staging servers are checked from inside their VPC: one more function, there, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.synthesis import template_of, workflow_of
from tests.stacks.test_contract import states_of

PAIR = {
    "production": "eipalloc-1a2b3c4d",
    "staging": "eipalloc-5e6f7a8b",
    "servers": {"one": "i-1a2b3c4d", "two": "i-5e6f7a8b"},
    "healthCheck": {"via": "private"},
}
VPC = {"subnetIds": ["subnet-1a2b3c4d", "subnet-5e6f7a8b"], "securityGroupIds": ["sg-1a2b3c4d"]}


def synthesized(folder: Path, pair: dict[str, Any], vpc: dict[str, Any] | None = None) -> dict[str, Any]:
    return template_of(folder, {"pairs": {"web": pair}, "vpc": vpc})


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("inside"), PAIR, VPC)


def of(template: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: found["Properties"] for name, found in template["Resources"].items() if found["Type"] == kind}


def test_one_function_is_in_the_vpc_and_it_is_the_health_check(inside: dict[str, Any]) -> None:
    functions = of(inside, "AWS::Lambda::Function").values()
    (in_vpc,) = (found for found in functions if "VpcConfig" in found)
    assert in_vpc["Handler"] == "health_check.handler"
    assert in_vpc["VpcConfig"] == {"SubnetIds": VPC["subnetIds"], "SecurityGroupIds": VPC["securityGroupIds"]}
    (outside,) = (found for found in functions if found["Handler"] == in_vpc["Handler"] and found is not in_vpc)
    assert outside["Role"] != in_vpc["Role"]


def test_lambda_may_make_interfaces_for_it_and_its_code_may_not(inside: dict[str, Any]) -> None:
    statements = [
        statement
        for policy in of(inside, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if "ec2:CreateNetworkInterface" in statement["Action"]
    ]
    allowed, denied = statements
    assert (allowed["Effect"], "Condition" in allowed) == ("Allow", False)
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Null": {"lambda:SourceFunctionArn": "false"}})
    assert set(denied["Action"]) == {action for action in allowed["Action"] if action.startswith("ec2:")}


def test_staging_is_checked_from_where_its_pair_says(inside: dict[str, Any]) -> None:
    states = dict(states_of(workflow_of(inside)))
    assert states["StagingVia?"]["Choices"][0]["Next"] == "HealthCheckStagingInVpc"
    assert states["StagingVia?"]["Default"] == "HealthCheckStaging"
    inside_of_it, outside = states["HealthCheckStagingInVpc"], states["HealthCheckStaging"]
    assert inside_of_it["Arguments"]["Payload"] == outside["Arguments"]["Payload"]
    assert inside_of_it["Retry"] == outside["Retry"]


def test_without_a_pair_that_asks_for_it_there_is_no_function_in_the_vpc(tmp_path: Path) -> None:
    template = synthesized(tmp_path, PAIR | {"healthCheck": {}}, VPC)
    assert not any("VpcConfig" in found for found in of(template, "AWS::Lambda::Function").values())
    workflow = workflow_of(template)
    assert "StagingVia?" not in dict(states_of(workflow))


def test_interfaces_that_are_configured_are_the_only_ones_that_may_be_touched(tmp_path: Path) -> None:
    interfaces = {"one": "eni-1a2b3c4d", "two": "eni-5e6f7a8b"}
    template = synthesized(tmp_path, PAIR | {"healthCheck": {}, "networkInterfaces": interfaces})
    touched = {
        json.dumps(resource).rpartition("network-interface/")[2].split('"')[0]
        for policy in of(template, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
        if "network-interface/" in json.dumps(resource)
    }
    assert touched == set(interfaces.values())


def test_alarms_may_be_looked_at_by_who_looks_at_them_and_only_if_there_are_any(tmp_path: Path) -> None:
    def lookers(template: dict[str, Any]) -> set[str]:
        return {
            policy["Roles"][0]["Ref"].removeprefix("Functions")[:8]
            for policy in of(template, "AWS::IAM::Policy").values()
            for statement in policy["PolicyDocument"]["Statement"]
            if "cloudwatch:DescribeAlarms" in statement["Action"]
        }

    with_alarms = synthesized(tmp_path / "with", PAIR | {"healthCheck": {}, "alarms": ["web-5xx"]})
    assert lookers(with_alarms) == {"Describe", "HealthCh"}
    assert lookers(synthesized(tmp_path / "without", PAIR | {"healthCheck": {}})) == set()
