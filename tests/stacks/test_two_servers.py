"""The stack of a test pair: two servers and two Elastic IPs, which cutovers may move."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.synthesis import PROJECT, resources
from two_servers import SERVERS, STACK

APP = PROJECT / "examples" / "two-servers" / "two_servers.py"
CONTEXT = json.loads(APP.with_name("cdk.json").read_text())["context"]
TAG = {"Key": "eip-cutover:test-pair", "Value": "true"}
# CloudFormation has no tags for these.
WITHOUT_TAGS = {
    "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::IAM::InstanceProfile",
}


def synthesized(folder: Path) -> dict[str, Any]:
    """The template, as the CDK CLI runs the app, with the context of its cdk.json."""
    context = json.dumps(CONTEXT | {"zone": "eu-west-1b"})
    environment = os.environ | {"CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(folder)}
    subprocess.run([sys.executable, APP], env=environment, cwd=APP.parent, check=True)
    template: dict[str, Any] = json.loads((folder / f"{STACK}.template.json").read_text())
    return template


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cdk.out")


@pytest.fixture(scope="module")
def template(assembly: Path) -> dict[str, Any]:
    return synthesized(assembly)


def launch_templates(template: dict[str, Any]) -> list[dict[str, Any]]:
    launched = resources(template, "AWS::EC2::LaunchTemplate").values()
    return [each["Properties"]["LaunchTemplateData"] for each in launched]


def test_it_has_two_small_arm64_servers_and_two_addresses_and_no_nat_gateway(template: dict[str, Any]) -> None:
    kinds = [each["Type"] for each in template["Resources"].values()]
    expected = {"Instance": 2, "EIP": 2, "VPC": 1, "Subnet": 1, "NatGateway": 0, "SecurityGroup": 1}
    assert {kind: kinds.count(f"AWS::EC2::{kind}") for kind in expected} == expected
    (subnet,) = resources(template, "AWS::EC2::Subnet").values()
    assert subnet["Properties"]["AvailabilityZone"] == "eu-west-1b"
    assert subnet["Properties"]["MapPublicIpOnLaunch"] is True, "or a server without an Elastic IP has no agent"
    assert {each["InstanceType"] for each in launch_templates(template)} == {"t4g.nano"}
    (image,) = {each["ImageId"] for each in launch_templates(template)}
    assert image.startswith("resolve:ssm:"), "a new Amazon Linux would replace the servers"
    assert image.endswith("al2023-ami-kernel-default-arm64")


def test_no_update_of_the_stack_moves_an_address(template: dict[str, Any]) -> None:
    assert resources(template, "AWS::EC2::EIPAssociation") == {}
    for address in resources(template, "AWS::EC2::EIP").values():
        assert address["Properties"].keys() == {"Domain", "Tags"}


def test_everything_is_tagged_as_a_test_pair(template: dict[str, Any]) -> None:
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::EC2::LaunchTemplate":
            tagged = resource["Properties"]["LaunchTemplateData"]["TagSpecifications"]
            assert {each["ResourceType"] for each in tagged if TAG in each["Tags"]} == {"instance", "volume"}
            tagged = resource["Properties"]["TagSpecifications"]
            assert [TAG in each["Tags"] for each in tagged] == [True]
        elif resource["Type"] not in WITHOUT_TAGS:
            assert TAG in resource["Properties"]["Tags"], name


def test_only_the_port_of_the_web_server_is_open(template: dict[str, Any]) -> None:
    (group,) = resources(template, "AWS::EC2::SecurityGroup").values()
    assert resources(template, "AWS::EC2::SecurityGroupIngress") == {}
    (rule,) = group["Properties"]["SecurityGroupIngress"]
    assert (rule["CidrIp"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == ("0.0.0.0/0", "tcp", 80, 80)
    assert "KeyName" not in json.dumps(template)


def test_a_server_has_encrypted_disks_and_only_the_second_version_of_the_metadata_service(
    template: dict[str, Any],
) -> None:
    for each in launch_templates(template):
        assert each["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
        assert [disk["Ebs"] for disk in each["BlockDeviceMappings"]] == [
            {"Encrypted": True, "VolumeSize": 8, "VolumeType": "gp3"}
        ]


def test_a_server_may_only_be_managed_by_systems_manager(template: dict[str, Any]) -> None:
    (role,) = resources(template, "AWS::IAM::Role").values()
    (policy,) = role["Properties"]["ManagedPolicyArns"]
    assert policy["Fn::Join"][1][-1] == ":iam::aws:policy/AmazonSSMManagedInstanceCore"
    assert resources(template, "AWS::IAM::Policy") == {}


def test_a_server_boots_after_its_route_and_is_deleted_before_it(template: dict[str, Any]) -> None:
    (route,) = resources(template, "AWS::EC2::Route")
    for each in resources(template, "AWS::EC2::Instance").values():
        assert route in each["DependsOn"]


def test_the_outputs_name_the_pair(template: dict[str, Any]) -> None:
    assert template["Outputs"].keys() == {
        "ProductionAllocationId", "ProductionIp", "StagingAllocationId", "StagingIp", "Bittybot", "Tao", "Port",
    }  # fmt: skip
    for name in SERVERS:
        instance = template["Resources"][template["Outputs"][name.capitalize()]["Value"]["Ref"]]
        assert {"Key": "Name", "Value": name} in instance["Properties"]["Tags"]


def test_it_passes_cfn_lint(assembly: Path, template: dict[str, Any]) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    lint = [linter, assembly / f"{STACK}.template.json"]
    linted = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
