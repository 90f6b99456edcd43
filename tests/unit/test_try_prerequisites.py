"""What `make try` finds before it creates anything, and what it says about it."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from local.service_quotas import QUOTAS
from prerequisites import ADDRESSES, NETWORKS, VCPUS, Findings, check
from tests.unit.try_world import BOOTSTRAP, TAG, WITHOUT_IMAGES, TryWorld
from try_pair import main
from try_stacks import CUTOVER, SERVERS


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[TryWorld]:
    monkeypatch.setenv(*WITHOUT_IMAGES)
    with mock_aws():
        yield TryWorld()


def problems(findings: Findings) -> str:
    return "\n".join(f"{each.found}\n{each.do}" for each in findings.obstacles)


def status_of(world: TryWorld, name: str, status: str, reason: str = "") -> None:
    """From now on, CloudFormation shows this status of an existing stack."""
    stack = {**(world.stack(name) or {}), "StackStatus": status, "StackStatusReason": reason}
    world.answer_call("DescribeStacks", {"Stacks": [stack]})


def test_an_account_that_is_ready_has_no_problem_and_no_warning(world: TryWorld) -> None:
    findings = check(world.account)
    assert (findings.obstacles, findings.warnings, findings.zone) == ([], [], "eu-west-1a")
    assert world.calls == []


def test_a_missing_region_and_missing_credentials_are_both_named(
    world: TryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    assert main(["create"], machine=world, session=boto3.Session()) == 1
    assert "Cannot begin: 2 problems. Nothing was changed." in world.lines
    assert "1. No Region is set." in world.lines
    assert "2. There are no AWS credentials in the environment." in world.lines
    assert world.commands == []


def test_two_kinds_of_credentials_are_refused_because_the_cdk_may_use_the_other(
    world: TryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert main(["create"], machine=world, session=world.session) == 1
    assert world.lines[2].startswith("1. Both AWS_PROFILE and AWS_ACCESS_KEY_ID are set")


def test_expired_credentials_are_named_and_nothing_else_is_checked(world: TryWorld) -> None:
    world.refuse("GetCallerIdentity", "ExpiredToken")
    assert main(["create"], machine=world, session=world.session) == 1
    assert "Cannot begin: 1 problem. Nothing was changed." in world.lines
    assert "1. AWS does not accept these credentials (ExpiredToken). Renew them" in world.output_text
    assert "What exists" not in world.output_text


@pytest.mark.parametrize("command", ["create", "destroy"])
def test_a_profile_that_does_not_exist_is_named(world: TryWorld, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert main([command], machine=world) == 1
    assert "Cannot begin: 1 problem. Nothing was changed." in world.lines
    assert "nobody" in world.output_text
    assert world.lines[-1] == "   aws configure list-profiles"


def test_a_malformed_region_is_named(world: TryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu west 1")
    assert main(["create"], machine=world) == 1
    assert "Cannot begin: 1 problem. Nothing was changed." in world.lines
    assert "eu west 1" in world.output_text
    assert world.lines[-1] == "   Set AWS_REGION to the name of a Region, such as AWS_REGION=eu-west-1."


def test_a_region_that_is_not_enabled_is_said_to_be_a_possible_cause(world: TryWorld) -> None:
    world.refuse("GetCallerIdentity", "InvalidClientTokenId")
    assert main(["create"], machine=world, session=world.session) == 1
    assert "Cannot begin: 1 problem. Nothing was changed." in world.lines
    assert "If they work in other Regions, eu-west-1 is not enabled in this account" in world.output_text
    assert world.lines[-1] == "   aws account enable-region --region us-east-1 --region-name eu-west-1"


def test_an_endpoint_that_does_not_answer_is_named_with_the_usual_causes(world: TryWorld) -> None:
    def unreachable() -> Any:
        raise EndpointConnectionError(endpoint_url="https://sts.eu-west-99.amazonaws.com/")

    world.answer_by("GetCallerIdentity", unreachable)
    assert main(["create"], machine=world, session=world.session) == 1
    assert "Cannot begin: 1 problem. Nothing was changed." in world.lines
    assert "sts.eu-west-99.amazonaws.com" in world.output_text
    assert "Is eu-west-1 the name of a Region (AWS_REGION)?" in world.output_text
    assert "Is AWS_ENDPOINT_URL set by mistake?" in world.output_text


@pytest.mark.parametrize("version", [None, "5"])
def test_a_missing_or_old_bootstrap_of_the_cdk_is_named_with_the_command(world: TryWorld, version: str | None) -> None:
    world.unseen("ssm").delete_parameter(Name=BOOTSTRAP["Name"])
    if version:
        world.unseen("ssm").put_parameter(**BOOTSTRAP, Value=version)
    found = problems(check(world.account))
    assert "bootstrap" in found
    assert "AWS_REGION=eu-west-1 make bootstrap" in found


@pytest.mark.parametrize("operation", ["GetParameter", "DescribeAddresses", "DescribeVpcs", "DescribeInstances"])
def test_a_check_that_is_not_permitted_is_a_warning(world: TryWorld, operation: str) -> None:
    world.refuse(operation, "AccessDenied", "not\x1b[31m authorized")
    findings = check(world.account)
    assert findings.obstacles == []
    (warning,) = findings.warnings
    assert warning.startswith("Not checked: ")
    assert f"{operation} is not permitted. AWS: not" in warning
    assert warning.isprintable()


@pytest.mark.parametrize("operation", ["DescribeStacks", "DescribeInstanceTypeOfferings"])
def test_a_check_whose_answer_is_needed_must_be_permitted(world: TryWorld, operation: str) -> None:
    world.refuse(operation, "AccessDenied")
    assert f"{operation} is not permitted. AWS: AWS says why." in problems(check(world.account))


def test_the_zone_is_one_that_has_the_instance_type_and_is_available(world: TryWorld) -> None:
    offered = [{"InstanceType": "t4g.nano", "Location": f"eu-west-1{letter}"} for letter in "cb"]
    local_zone = {"InstanceType": "t4g.nano", "Location": "eu-west-1-abc-1a"}
    world.answer_call("DescribeInstanceTypeOfferings", {"InstanceTypeOfferings": [local_zone, *offered]})
    assert check(world.account).zone == "eu-west-1b"


def test_a_region_without_arm64_in_any_zone_is_named(world: TryWorld) -> None:
    world.answer_call("DescribeInstanceTypeOfferings", {"InstanceTypeOfferings": []})
    found = problems(check(world.account))
    assert "No available zone of Region eu-west-1 has the instance type t4g.nano (arm64)." in found
    assert "set AWS_REGION" in found


def test_existing_servers_stay_in_their_zone(world: TryWorld) -> None:
    world.make_servers(zone="eu-west-1c")
    findings = check(world.account)
    assert (problems(findings), findings.zone) == ("", "eu-west-1c")


def use_addresses(world: TryWorld, count: int) -> None:
    for _ in range(count):
        world.unseen("ec2").allocate_address()


def use_networks(world: TryWorld, count: int) -> None:
    for _ in range(count - 1):  # the default network is there
        world.unseen("ec2").create_vpc(CidrBlock="10.1.0.0/16")


@pytest.mark.parametrize(
    ("use", "used", "says"),
    [
        (use_addresses, 4, "Region eu-west-1 has 4 Elastic IP addresses, and the quota is 5. Needed: 2 more."),
        (use_networks, 5, "Region eu-west-1 has 5 VPCs, and the quota is 5. Needed: 1 more."),
    ],
)
def test_a_quota_that_is_used_up_is_named(
    world: TryWorld, use: Callable[[TryWorld, int], None], used: int, says: str
) -> None:
    use(world, used - 1)
    assert check(world.account).obstacles == []
    use_addresses(world, 1) if use is use_addresses else world.unseen("ec2").create_vpc(CidrBlock="10.2.0.0/16")
    found = problems(check(world.account))
    assert says in found
    assert "aws service-quotas request-service-quota-increase --region eu-west-1" in found


def test_a_raised_quota_counts(world: TryWorld) -> None:
    use_addresses(world, 5)
    use_networks(world, 5)
    world.answer_call("GetServiceQuota", {"Quota": {"Value": 20.0}})
    assert check(world.account).obstacles == []


def run_instances(world: TryWorld, kind: str, count: int = 1, **options: Any) -> None:
    image = {"ImageId": "ami-12c6146b", "MinCount": count, "MaxCount": count}
    world.unseen("ec2").run_instances(**image, InstanceType=kind, **options)


def test_a_quota_of_vcpus_that_is_used_up_is_named(world: TryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(QUOTAS["L-1216C47A"], "Value", 5.0)  # another test may have let moto know quotas of EC2
    run_instances(world, "t2.micro")  # 1 vCPU
    assert check(world.account).obstacles == []
    run_instances(world, "m5.large")  # 2
    found = problems(check(world.account))
    assert "Region eu-west-1 has 3 vCPUs of On-Demand Standard instances, and the quota is 5. Needed: 4 more." in found
    options = "--service-code ec2 --quota-code L-1216C47A --desired-value 7"
    assert f"aws service-quotas request-service-quota-increase --region eu-west-1 {options}" in found


def test_instances_that_the_quota_of_vcpus_does_not_count_are_not_in_the_way(world: TryWorld) -> None:
    for kind in ("inf1.xlarge", "g4dn.xlarge", "p3.2xlarge", "x1e.xlarge", "u-6tb1.metal"):
        run_instances(world, kind)
    run_instances(world, "m5.large", 2)
    instances = world.unseen("ec2").describe_instances()["Reservations"][-1]["Instances"]
    world.unseen("ec2").stop_instances(InstanceIds=[each["InstanceId"] for each in instances])
    run_instances(world, "m5.large", InstanceMarketOptions={"MarketType": "spot"})
    assert check(world.account).obstacles == []


def test_the_servers_of_an_earlier_run_are_not_counted_again(world: TryWorld) -> None:
    world.make_servers()
    run_instances(world, "t2.micro")
    assert check(world.account).obstacles == []


def test_addresses_that_the_account_brought_itself_do_not_count(world: TryWorld) -> None:
    own = {"AllocationId": "eipalloc-1", "PublicIp": "192.0.2.1", "PublicIpv4Pool": "ipv4pool-ec2-0123456789abcdef0"}
    world.answer_call("DescribeAddresses", {"Addresses": [own] * 5})
    assert check(world.account).obstacles == []


def test_the_addresses_and_the_network_of_an_earlier_run_are_not_needed_again(world: TryWorld) -> None:
    world.make_servers()
    use_addresses(world, 3)
    use_networks(world, 4)
    assert len(world.unseen("ec2").describe_addresses()["Addresses"]) == 5
    assert len(world.unseen("ec2").describe_vpcs()["Vpcs"]) == 5
    assert check(world.account).obstacles == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ServiceException"])
def test_if_the_quota_is_unknown_the_default_is_only_a_warning(world: TryWorld, code: str) -> None:
    world.refuse("GetServiceQuota", code)
    assert check(world.account).warnings == []
    use_addresses(world, 4)
    findings = check(world.account)
    assert findings.obstacles == []
    (warning,) = findings.warnings
    assert "5 is the default: the account's own quota is unknown" in warning


@pytest.mark.parametrize("name", [SERVERS, CUTOVER])
def test_a_stack_of_that_name_that_is_not_ours_is_named(world: TryWorld, name: str) -> None:
    world.make_servers(tags=[] if name == SERVERS else TAG)
    world.make_cutover(tags=[] if name == CUTOVER else TAG)
    found = problems(check(world.account))
    assert f"The stack {name} exists, and `make try` did not make it" in found
    assert f"aws cloudformation delete-stack --region eu-west-1 --stack-name {name}" in found


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("UPDATE_IN_PROGRESS", "CloudFormation is at work on the stack TwoServers (UPDATE_IN_PROGRESS: why)."),
        (
            "DELETE_FAILED",
            "The stack TwoServers is broken (DELETE_FAILED: why).\nRemove it, then run `make try` again.",
        ),
        ("UPDATE_ROLLBACK_FAILED", "The stack TwoServers is broken (UPDATE_ROLLBACK_FAILED: why)."),
        ("REVIEW_IN_PROGRESS", ""),  # it has no resources, and the CDK CLI goes on with it
        ("ROLLBACK_COMPLETE", ""),  # the CDK CLI replaces it
        ("UPDATE_ROLLBACK_COMPLETE", ""),
    ],
)
def test_a_stack_that_is_busy_or_broken_is_named(world: TryWorld, status: str, says: str) -> None:
    world.make_servers()
    status_of(world, SERVERS, status, "why")
    found = problems(check(world.account))
    assert says in found
    assert says or found == ""


@pytest.mark.parametrize("name", [SERVERS, CUTOVER])
def test_a_stack_that_has_only_a_change_set_is_not_in_the_way_although_it_shows_no_tags(
    world: TryWorld, name: str
) -> None:
    """A run that was interrupted has left it. On AWS it gets its tags when the change set is executed."""
    world.make_servers(tags=[]) if name == SERVERS else world.make_cutover(tags=[])
    status_of(world, name, "REVIEW_IN_PROGRESS")
    assert problems(check(world.account)) == ""


def test_what_aws_says_about_a_stack_is_printable(world: TryWorld) -> None:
    world.make_servers()
    status_of(world, SERVERS, "DELETE_FAILED", "a\x1b[2Jb\n##[error]c")
    assert "(DELETE_FAILED: a [2Jb # #[error]c)" in problems(check(world.account))


@pytest.mark.parametrize("output", ["ProductionAllocationId", "StagingAllocationId", "Bittybot", "Tao"])
def test_a_pair_that_is_not_tagged_is_named(world: TryWorld, output: str) -> None:
    world.make_servers()
    world.unseen("ec2").delete_tags(Resources=[world.output(output)], Tags=[{"Key": TAG[0]["Key"]}])
    found = problems(check(world.account))
    assert f"{world.output(output)} of the stack TwoServers is not tagged as a test pair." in found
    assert f"--tags Key=eip-cutover:test-pair,Value=true --resources {world.output(output)}" in found


@pytest.mark.parametrize(
    ("act", "says"),
    [("stop_instances", "aws ec2 start-instances"), ("terminate_instances", "AWS_REGION=eu-west-1 make try-destroy")],
)
def test_a_server_that_does_not_run_is_named(world: TryWorld, act: str, says: str) -> None:
    world.make_servers()
    getattr(world.unseen("ec2"), act)(InstanceIds=[world.output("Tao")])
    found = problems(check(world.account))
    assert f"The server tao ({world.output('Tao')}) is " in found
    assert says in found


@pytest.mark.parametrize(
    ("output", "says"), [([], "'StagingIp'"), ([{"OutputKey": "StagingIp", "OutputValue": "a; b"}], "in 'a; b'")]
)
def test_a_stack_of_ours_with_other_outputs_is_named(world: TryWorld, output: list[Any], says: str) -> None:
    world.make_servers()
    stack: dict[str, Any] = world.stack(SERVERS) or {}
    outputs = [each for each in stack["Outputs"] if each["OutputKey"] != "StagingIp"]
    world.answer_call("DescribeStacks", {"Stacks": [{**stack, "Outputs": [*outputs, *output]}]})
    found = problems(check(world.account))
    assert "The stack TwoServers lacks an output, or has a wrong one: " in found
    assert says in found


def test_all_problems_are_listed_at_once_before_anything_is_created(world: TryWorld) -> None:
    world.unseen("ssm").delete_parameter(Name=BOOTSTRAP["Name"])
    world.make_cutover(tags=[])
    world.answer_call("DescribeInstanceTypeOfferings", {"InstanceTypeOfferings": []})
    use_addresses(world, 5)
    use_networks(world, 5)
    assert main(["create"], machine=world, session=world.session) == 1
    numbers = [line[0] for line in world.lines if line[1:3] == ". "]
    assert numbers == ["1", "2", "3", "4", "5"]
    assert "Cannot begin: 5 problems. Nothing was changed." in world.lines
    assert (world.commands, world.calls) == ([], [])


def test_the_quotas_are_those_of_service_quotas() -> None:
    assert (ADDRESSES.service, ADDRESSES.code, ADDRESSES.needed) == ("ec2", "L-0263D0A3", 2)
    assert (NETWORKS.service, NETWORKS.code, NETWORKS.needed) == ("vpc", "L-F678F1CE", 1)
    assert (VCPUS.service, VCPUS.code, VCPUS.needed) == ("ec2", "L-1216C47A", 4)  # two t4g.nano have 2 each
