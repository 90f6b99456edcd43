"""`init`: from two addresses in EC2 to a stack that is synthesized from its output, unchanged."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.deployment import ROOT, Synthesis
from local.ec2 import Address
from tests.local.client.runs import CLIENT, environment
from tests.local.test_ec2_semantics import second_interface

Init = Callable[..., subprocess.CompletedProcess[str]]
PRODUCTION, STAGING = "127.0.0.31", "127.0.0.32"


@pytest.fixture
def init(quick_aws: LocalAws) -> Init:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*CLIENT, "init", "--production", PRODUCTION, "--staging", STAGING, *words]
        return subprocess.run(command, env=environment(quick_aws), capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def addresses(quick_aws: LocalAws) -> Any:
    """Two addresses that no other test uses, on no server yet."""
    allocated = [quick_aws.ec2.allocate(ip) for ip in (PRODUCTION, STAGING)]
    yield allocated
    for address in allocated:
        quick_aws.ec2.client().release_address(AllocationId=address.allocation_id)


def test_its_output_is_synthesized_unchanged(
    quick_aws: LocalAws, init: Init, addresses: list[Address], tmp_path: Path
) -> None:
    instances = [quick_aws.ec2.launch(name) for name in ("Web [blue]", "Web [green]")]
    for address, instance in zip(addresses, instances, strict=True):
        quick_aws.ec2.associate(address, instance)
    done = init("--name", "shop")
    assert done.returncode == 0
    printed = json.loads(done.stdout)
    servers = dict(zip(["Web-blue", "Web-green"], instances, strict=True))
    assert printed["shop"]["servers"] == servers
    assert "cdk.json" in done.stderr

    synthesis = Synthesis(pairs=printed, folder=tmp_path, app=ROOT / "app.py")
    with synthesis.process:
        assembly = synthesis.finish()
    template = json.loads((assembly / "EipCutover.template.json").read_text())
    (published,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::SSM::Parameter"]
    assert json.loads(published["Properties"]["Value"]) == printed["shop"]
    assert (
        not json.loads((assembly / "manifest.json").read_text())["artifacts"]["EipCutover"]
        .get("metadata", {})
        .get("/EipCutover")
    ), "the placeholder ids are not warned about"


def test_an_address_on_no_server_and_a_server_with_two_interfaces_are_refused_with_one_line(
    quick_aws: LocalAws, init: Init, addresses: list[Address]
) -> None:
    servers = [quick_aws.ec2.launch(name) for name in ("first", "second")]
    quick_aws.ec2.associate(addresses[0], servers[0])
    unassociated = init()
    quick_aws.ec2.associate(addresses[1], servers[1])
    second_interface(quick_aws.ec2.client(), servers[1])
    two_interfaces = init()
    for done in (unassociated, two_interfaces):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"staging address {STAGING} ({addresses[1].allocation_id}) is on no server" in unassociated.stderr
    assert f"{servers[1]} has 2 network interfaces" in two_interfaces.stderr


@pytest.mark.parametrize(
    "words",
    [["--staging", PRODUCTION], ["--staging", "tao"], ["--production", "::1"], ["--name", "a b"], ["--name", ""]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_refused_before_any_call_to_aws(init: Init, words: list[str]) -> None:
    done = init(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: Invalid value for" in done.stderr
