"""`make try` and `make try-destroy`, with the real CDK CLI, on the local AWS: half way, to the end, and away again."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local import environment
from local.aws import LocalAws
from local.deployment import ROOT
from local.faults import Fault
from local.service_quotas import QUOTAS

PROGRAM = ROOT / "examples" / "two-servers" / "try_pair.py"


def run(aws: LocalAws, *words: str) -> tuple[int, str]:
    """The exit code and the output of the program that `make` runs."""
    variables = {**environment.with_users_proxy(), **aws.environment}
    command = [sys.executable, str(PROGRAM), *words]
    done = subprocess.run(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def shell(aws: LocalAws, command: str) -> tuple[int, str]:
    """As someone types it in the folder of the project."""
    variables = {**environment.of_this_machine(), **aws.environment}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)  # noqa: S602
    return done.returncode, done.stdout + done.stderr


def stacks(aws: LocalAws) -> list[str]:
    listed: Any = aws.client("cloudformation").describe_stacks()["Stacks"]
    return sorted(each["StackName"] for each in listed if each["StackStatus"] != "DELETE_COMPLETE")


def servers(aws: LocalAws) -> dict[str, str]:
    """The state of each instance, by its id."""
    pages = aws.client("ec2").get_paginator("describe_instances").paginate()
    instances = [each for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]]
    return {each["InstanceId"]: each["State"]["Name"] for each in instances}


@pytest.fixture
def before(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """The local AWS without the stacks of a test that failed, and with room for what other tests have left."""
    for quota in QUOTAS.values():
        monkeypatch.setitem(quota, "Value", 1000.0)
    yield aws
    run(aws, "destroy")


def test_what_make_try_makes_and_prints_works_and_make_try_destroy_removes_it(before: LocalAws) -> None:
    aws = before
    own, others = stacks(aws), servers(aws)
    addresses = len(aws.client("ec2").describe_addresses()["Addresses"])

    # It is interrupted between the two addresses.
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="denied", nth=2))
    code, output = run(aws, "create", "--port", str(aws.server_port))
    assert code == 1, output
    assert "AssociateAddress is not permitted" in output
    assert "Both servers are replaced" not in output
    assert "The stacks now: TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist." in output
    assert re.search("This continues from there:\n    AWS_REGION=[a-z0-9-]+ make try PORT=[0-9]+\n", output)

    code, output = run(aws, "create")
    assert code == 0, output
    assert "The pair is not sound: something was interrupted." in output
    assert "Release 2 is live on tao. Before, bittybot was live." in output
    assert "Both servers are replaced" not in output
    assert re.search(r"production  http://[0-9.]+:[0-9]+/  tao, release 2\n", output)
    assert re.search(r"staging     http://[0-9.]+:[0-9]+/  bittybot, release 1\n", output)

    # What it says to type works, in its order.
    commands = re.findall(r"^ +(AWS_REGION=.* \./cutover\.py .*)$", output, re.MULTILINE)
    codes = {command.partition("cutover.py ")[2]: shell(aws, command) for command in commands}
    assert [code for code, _ in codes.values()] == [0, 0, 0, 12], codes
    assert list(codes) == ["status", "start --release 3", "rollback", "start --release 4-unhealthy"]
    assert re.search(r"is live +tao", codes["rollback"][1])

    # It is interrupted before it takes the addresses off.
    aws.ec2.faults.inject(Fault(action="DisassociateAddress", kind="denied"))
    code, output = run(aws, "destroy")
    assert code == 1, output
    assert "The stacks now: TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist." in output

    code, output = run(aws, "destroy")
    assert code == 0, output
    assert "the stack TwoServers: two servers, two Elastic IP addresses, the network" in output
    assert stacks(aws) == own
    assert {state for id_, state in servers(aws).items() if id_ not in others} == {"terminated"}
    assert len(aws.client("ec2").describe_addresses()["Addresses"]) == addresses
    tables = aws.client("dynamodb").list_tables()["TableNames"]
    assert [each for each in tables if each.startswith("EipCutoverTry")] == []
    assert run(aws, "destroy")[1].splitlines()[-1].startswith("There is nothing to remove")
