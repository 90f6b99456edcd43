"""`init`: from two addresses in EC2 to a stack that is synthesized from its output, unchanged."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.deployment import ROOT, Synthesis
from local.ec2 import Address
from tests.local.client.runs import CLIENT, environment

PRODUCTION, STAGING = "127.0.0.31", "127.0.0.32"


@pytest.fixture
def addresses(quick_aws: LocalAws) -> Any:
    """Two addresses that no other test uses, on no server yet."""
    allocated = [quick_aws.ec2.allocate(ip) for ip in (PRODUCTION, STAGING)]
    yield allocated
    for address in allocated:
        quick_aws.ec2.client().release_address(AllocationId=address.allocation_id)


def test_its_output_is_synthesized_unchanged(quick_aws: LocalAws, addresses: list[Address], tmp_path: Path) -> None:
    instances = [quick_aws.ec2.launch(name) for name in ("Web [blue]", "Web [green]")]
    for address, instance in zip(addresses, instances, strict=True):
        quick_aws.ec2.associate(address, instance)
    words = [*CLIENT, "init", "--production", PRODUCTION, "--staging", STAGING, "--name", "shop"]
    done = subprocess.run(words, env=environment(quick_aws), capture_output=True, text=True, check=True)
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
    metadata = json.loads((assembly / "manifest.json").read_text())["artifacts"]["EipCutover"].get("metadata", {})
    assert not metadata.get("/EipCutover"), "the placeholder ids are not warned about"
