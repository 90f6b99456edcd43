"""Servers that CloudFormation creates on the local AWS: they boot, answer at their Elastic IPs, and run commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.deployment import ROOT, Synthesis
from tests.local.situation import until
from tests.local.stack_of_servers import (
    Outputs,
    answers,
    associate,
    delete,
    deploy,
    disassociate,
    failures,
    get,
    made_in_ec2,
    processes,
    run,
    settled,
    template,
)


@pytest.fixture(scope="module")
def created(running_aws: LocalAws) -> Iterator[Outputs]:
    """The outputs of a stack with two servers and two addresses."""
    running_aws.reset()  # the tests before may have left delays
    outputs = deploy(running_aws, "Servers", template(running_aws.server_port))
    yield outputs
    disassociate(running_aws, outputs)
    assert delete(running_aws, "Servers") == "DELETE_COMPLETE"


@pytest.fixture
def servers(running_aws: LocalAws, created: Outputs) -> Outputs:
    """The same, with production on bittybot and staging on tao, when both answer."""
    associate(running_aws, created, production="Bittybot", staging="Tao")
    until(lambda: all(answers(running_aws, created)))
    return created


def test_servers_of_a_stack_boot_and_answer_at_their_addresses(running_aws: LocalAws, servers: Outputs) -> None:
    assert answers(running_aws, servers) == ("bittybot", "tao")
    ids = [servers["Bittybot"], servers["Tao"]]
    described = running_aws.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    tags = [{tag["Key"]: tag["Value"] for tag in each["Instances"][0]["Tags"]} for each in described]
    assert [(each["Name"], each["eip-cutover:test-pair"]) for each in tags] == [("bittybot", "true"), ("tao", "true")]
    (address,) = running_aws.client("ec2").describe_addresses(PublicIps=[servers["StagingIp"]])["Addresses"]
    of_stack = {"Key": "Stack", "Value": "Servers"}
    assert of_stack in address["Tags"]
    assert [each["Stack"] for each in tags] == ["Servers", "Servers"]
    assert {each["Instances"][0]["Architecture"] for each in described} == {"arm64"}


def test_an_address_that_moves_leads_to_the_other_server(running_aws: LocalAws, servers: Outputs) -> None:
    associate(running_aws, servers, production="Tao")
    assert answers(running_aws, servers) == ("tao", None)  # EC2 has disassociated staging from tao
    associate(running_aws, servers, staging="Bittybot")
    assert answers(running_aws, servers) == ("tao", "bittybot")
    assert running_aws.holder("production") == "bittybot"  # the other pair of the local AWS has not moved


def test_commands_reach_a_server_and_what_they_start_lives_on(running_aws: LocalAws, servers: Outputs) -> None:
    deployed = run(running_aws, servers["Tao"], "deploy tao-8 && systemctl is-active web")
    assert (deployed["Status"], deployed["StandardOutputContent"]) == ("Success", "active\n")
    running_aws.systems_manager.core.forget_commands()  # ends what belongs to the command
    until(lambda: get(running_aws, servers["StagingIp"]) == "tao-8")
    assert get(running_aws, servers["ProductionIp"]) == "bittybot"
    run(running_aws, servers["Tao"], "deploy tao")
    stopped = run(running_aws, servers["Tao"], "systemctl stop web; systemctl is-active web; systemctl start web")
    assert stopped["StandardOutputContent"] == "inactive\n"
    failed = run(running_aws, servers["Tao"], "systemctl start nothing.service")
    assert (failed["Status"], failed["ResponseCode"]) == ("Failed", 1)


def test_a_service_that_dies_is_started_again(running_aws: LocalAws, servers: Outputs) -> None:
    before = run(running_aws, servers["Tao"], 'kill -9 "$(cat pid)"')
    assert before["Status"] == "Success"
    until(lambda: run(running_aws, servers["Tao"], "cat pid; kill -0 $(cat pid)")["Status"] == "Success")
    until(lambda: get(running_aws, servers["StagingIp"]) == "tao")


def test_systems_manager_lists_the_servers_of_the_stack_and_those_of_the_pair(
    running_aws: LocalAws, servers: Outputs
) -> None:
    of_pair = [server.instance_id for server in running_aws.servers.values()]
    ids = [servers["Bittybot"], servers["Tao"], *of_pair]
    pages = running_aws.client("ssm").get_paginator("describe_instance_information")
    listed = [each for page in pages.paginate(MaxResults=5) for each in page["InstanceInformationList"]]
    assert {each["InstanceId"]: each["PingStatus"] for each in listed} == dict.fromkeys(ids, "Online")
    one = [{"Key": "InstanceIds", "Values": [servers["Tao"]]}]
    (tao,) = running_aws.client("ssm").describe_instance_information(Filters=one)["InstanceInformationList"]
    assert (tao["InstanceId"], tao["PlatformType"]) == (servers["Tao"], "Linux")


def test_a_stopped_server_is_as_it_was_after_its_start(running_aws: LocalAws, servers: Outputs) -> None:
    run(running_aws, servers["Tao"], "deploy tao-9")
    running_aws.client("ec2").stop_instances(InstanceIds=[servers["Tao"]])
    assert answers(running_aws, servers) == ("bittybot", None)
    assert processes(servers["Tao"]) == []
    running_aws.client("ec2").start_instances(InstanceIds=[servers["Tao"]])
    until(lambda: get(running_aws, servers["StagingIp"]) == "tao-9")  # the user data did not run again
    run(running_aws, servers["Tao"], "deploy tao")


def test_a_second_deployment_replaces_a_server_only_if_its_user_data_changed(running_aws: LocalAws) -> None:
    port = running_aws.server_port
    first = deploy(running_aws, "Again", template(port))
    tagged = deploy(running_aws, "Again", template(port, owner="another"), again=True)
    (address,) = running_aws.client("ec2").describe_addresses(PublicIps=[first["ProductionIp"]])["Addresses"]
    changed = deploy(running_aws, "Again", template(port, greeting="new "), again=True)
    until(lambda: processes(changed["Tao"]))
    assert tagged == first
    assert {"Key": "Owner", "Value": "another"} in address["Tags"]
    assert changed["Tao"] != first["Tao"]
    assert changed["ProductionAllocationId"] == first["ProductionAllocationId"]
    assert processes(first["Tao"]) == []
    assert delete(running_aws, "Again") == "DELETE_COMPLETE"


def test_a_stack_whose_address_is_in_use_is_deleted_after_the_address_is_disassociated(
    running_aws: LocalAws, created: Outputs
) -> None:
    associate(running_aws, created, staging="Bittybot")
    before = made_in_ec2(running_aws)
    outputs = deploy(running_aws, "Gone", template(running_aws.server_port))
    until(lambda: processes(outputs["Tao"]))
    associate(running_aws, {**outputs, "Other": created["Tao"]}, production="Other")
    assert delete(running_aws, "Gone") == "DELETE_FAILED"
    assert any("InvalidIPAddress.InUse" in reason for reason in failures(running_aws, "Gone"))
    until(lambda: get(running_aws, outputs["ProductionIp"]) == "tao")
    disassociate(running_aws, outputs)
    assert delete(running_aws, "Gone") == "DELETE_COMPLETE"
    assert processes(outputs["Tao"]) == []
    assert get(running_aws, outputs["ProductionIp"]) is None
    assert made_in_ec2(running_aws) == before


def test_a_stack_that_cannot_be_created_leaves_nothing(running_aws: LocalAws) -> None:
    before = made_in_ec2(running_aws)
    body = template(running_aws.server_port)
    body["Resources"]["Group"]["Properties"]["SecurityGroupIngress"][0]["CidrIp"] = "everybody"
    running_aws.client("cloudformation").create_stack(StackName="Never", TemplateBody=json.dumps(body))
    assert settled(running_aws, "Never") == "ROLLBACK_COMPLETE"
    assert "everybody" in "".join(failures(running_aws, "Never"))
    assert made_in_ec2(running_aws) == before
    assert delete(running_aws, "Never") == "DELETE_COMPLETE"


def test_the_two_servers_of_make_try_boot_deploy_and_go_away(running_aws: LocalAws, tmp_path: Path) -> None:
    context = {"port": running_aws.server_port, "zone": "us-east-1a"}
    synthesis = Synthesis(context, folder=tmp_path, app=ROOT / "examples" / "two-servers" / "two_servers.py")
    with synthesis.process:
        body = json.loads((synthesis.finish() / "TwoServers.template.json").read_text())
    del body["Parameters"], body["Rules"]  # the version of the CDK's bootstrap stack
    before = made_in_ec2(running_aws)
    outputs = deploy(running_aws, "TwoServers", body)
    associate(running_aws, outputs, production="Bittybot", staging="Tao")
    until(lambda: all(answers(running_aws, outputs)))
    deployed = run(running_aws, outputs["Tao"], "PATH=$PATH:/usr/local/bin deploy 9-unhealthy")
    first, second = (json.loads(answer or "") for answer in answers(running_aws, outputs))
    disassociate(running_aws, outputs)
    assert (first["server"], first["release"], first["status"]) == ("bittybot", "1", 200)
    assert (second["server"], second["release"], second["status"]) == ("tao", "9-unhealthy", 200)
    assert deployed["StandardOutputContent"] == "release 9-unhealthy runs\n"
    assert delete(running_aws, "TwoServers") == "DELETE_COMPLETE"
    assert made_in_ec2(running_aws) == before
