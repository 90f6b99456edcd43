"""A stack that checks staging servers from inside their VPC has one more function there, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.contexts import INTERFACES, pair
from tests.stacks.policies import listed
from tests.stacks.synthesis import resources, template_of, workflow_of
from tests.stacks.test_contract import patience, states_of

VPC = {"subnetIds": ["subnet-1a2b3c4d", "subnet-5e6f7a8b"], "securityGroupIds": ["sg-1a2b3c4d"]}
PAIR = pair(healthCheck={"via": "private"})


def synthesized(folder: Path, web: dict[str, Any], vpc: dict[str, Any] | None = None) -> dict[str, Any]:
    return template_of(folder, {"pairs": {"web": web}, "vpc": vpc})


def statements_in(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement with the logical id of the first role that has it."""
    for policy in of(template, "AWS::IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield policy["Roles"][0]["Ref"], statement


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return synthesized(tmp_path_factory.mktemp("inside"), PAIR, VPC)


def of(template: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [found["Properties"] for found in resources(template, kind).values()]


def test_only_the_health_check_function_is_in_the_vpc(inside: dict[str, Any]) -> None:
    functions = of(inside, "AWS::Lambda::Function")
    (in_vpc,) = (found for found in functions if "VpcConfig" in found)
    assert in_vpc["Handler"] == "health_check.handler"
    assert in_vpc["VpcConfig"] == {"SubnetIds": VPC["subnetIds"], "SecurityGroupIds": VPC["securityGroupIds"]}
    (outside,) = (found for found in functions if found["Handler"] == in_vpc["Handler"] and found is not in_vpc)
    assert outside["Role"] != in_vpc["Role"]


def test_lambda_may_make_network_interfaces_for_the_function_and_the_code_may_not(inside: dict[str, Any]) -> None:
    allowed, denied = (
        statement for _, statement in statements_in(inside) if "ec2:CreateNetworkInterface" in statement["Action"]
    )
    assert (allowed["Effect"], "Condition" in allowed) == ("Allow", False)
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Null": {"lambda:SourceFunctionArn": "false"}})
    assert set(denied["Action"]) == {action for action in allowed["Action"] if action.startswith("ec2:")}


def test_staging_is_checked_from_the_place_that_its_pair_configures(inside: dict[str, Any]) -> None:
    states = dict(states_of(workflow_of(inside)))
    assert states["StagingVia?"]["Choices"][0]["Next"] == "HealthCheckStagingInVpc"
    assert states["StagingVia?"]["Default"] == "HealthCheckStaging"
    inside_of_it, outside = states["HealthCheckStagingInVpc"], states["HealthCheckStaging"]
    assert inside_of_it["Arguments"]["Payload"] == outside["Arguments"]["Payload"]
    assert inside_of_it["Retry"][::2] == outside["Retry"][::2]


def test_the_workflow_waits_minutes_for_an_inactive_function_before_any_change(
    inside: dict[str, Any],
) -> None:
    workflow = workflow_of(inside)
    retried = {name: state["Retry"][1] for name, state in states_of(workflow) if name.endswith("InVpc")}
    branches = dict(states_of({"States": {"Preflight": workflow["States"]["Preflight"]}}))
    assert set(retried) == {"HealthCheckStagingInVpc"} <= set(branches)
    (retry,) = retried.values()
    of_the_api = {
        "CodeArtifactUserPending", "CodeArtifactUserDeleted", "ResourceNotReady", "ResourceConflict", "ENINotReady",
        "EC2Throttled", "EC2Unexpected",
    }  # fmt: skip
    of_the_sdk_for_java_2 = {"EniNotReady", "Ec2Throttled", "Ec2Unexpected"}
    assert set(retry["ErrorEquals"]) == {f"Lambda.{name}Exception" for name in of_the_api | of_the_sdk_for_java_2}
    tries, longest = patience({"Retry": [retry]})
    assert (tries, longest, retry["JitterStrategy"]) == (40, 1081, "FULL")


def test_without_a_pair_that_is_checked_privately_no_function_is_in_the_vpc(tmp_path: Path) -> None:
    template = synthesized(tmp_path, pair(), VPC)
    assert not any("VpcConfig" in found for found in of(template, "AWS::Lambda::Function"))
    assert "StagingVia?" not in dict(states_of(workflow_of(template)))


def test_only_the_configured_network_interfaces_may_be_changed(tmp_path: Path) -> None:
    template = synthesized(tmp_path, pair(networkInterfaces=INTERFACES))
    touched = {
        json.dumps(resource).rpartition("network-interface/")[2].split('"')[0]
        for _, statement in statements_in(template)
        for resource in listed(statement["Resource"])
        if "network-interface/" in json.dumps(resource)
    }
    assert touched == set(INTERFACES.values())


def test_only_the_functions_that_read_alarms_may_read_them_and_only_if_alarms_are_configured(tmp_path: Path) -> None:
    def lookers(template: dict[str, Any]) -> set[str]:
        return {
            role.removeprefix("Functions")[:8]
            for role, statement in statements_in(template)
            if "cloudwatch:DescribeAlarms" in statement["Action"]
        }

    assert lookers(synthesized(tmp_path / "with", pair(alarms=["web-5xx"]))) == {"Describe", "CheckSer", "HealthCh"}
    assert lookers(synthesized(tmp_path / "without", pair())) == set()
