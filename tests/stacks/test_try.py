"""What `make try` and `make try-destroy` take for granted about the stack that they deploy."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import prerequisites
import removal
import try_pair
import try_stacks
import two_servers
from stacks.configuration.names import Names
from stacks.configuration.settings import configured
from tests.stacks.synthesis import CONTEXT, resources, template_of
from try_servers import DEPLOY, PAIR, Pair
from try_stacks import CUTOVER, HERE, NAME, TEST_PAIR, Stack

IDS = {"production": "eipalloc-0123456789abcdef0", "staging": "eipalloc-0123456789abcdef1"}
SERVERS = {"bittybot": "i-0123456789abcdef0", "tao": "i-0123456789abcdef1"}
PAIR_OF_OUTPUTS = Pair(IDS, dict.fromkeys(IDS, "203.0.113.1"), SERVERS, 80)
SETTINGS = {"name": NAME, "pairs": PAIR_OF_OUTPUTS.context}  # as text, as the CDK CLI gives it


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("try")


@pytest.fixture(scope="module")
def template(folder: Path) -> dict[str, Any]:
    return template_of(folder, {**CONTEXT, **SETTINGS})


def test_the_pair_that_the_outputs_give_is_a_valid_configuration() -> None:
    pair = configured(SETTINGS.get).pairs[PAIR]
    assert pair.deploy is not None
    assert (pair.deploy.command, pair.deploy.timeoutSeconds) == (DEPLOY["command"], DEPLOY["timeoutSeconds"])
    assert Names(NAME).stack == CUTOVER


def test_the_lock_table_is_the_only_resource_that_outlives_its_stack(template: dict[str, Any]) -> None:
    """CloudFormation makes a snapshot only of resources that this stack does not have."""
    kept = {name for name, each in template["Resources"].items() if each.get("DeletionPolicy", "Delete") != "Delete"}
    assert kept == set(resources(template, "AWS::DynamoDB::Table"))
    (logical_id,) = kept
    assert "TableName" not in template["Resources"][logical_id]["Properties"]  # the name is the stack's and this id
    assert f"{CUTOVER}-{logical_id}".startswith(removal.LOCK_TABLE)
    assert template["Outputs"]["LockTableName"]["Value"] == {"Ref": logical_id}


def test_what_is_said_to_be_kept_is_what_aws_keeps_of_this_stack(template: dict[str, Any]) -> None:
    """A key is pending for 30 days unless PendingWindowInDays says another number. DynamoDB makes a system backup of a
    deleted table that has point-in-time recovery."""
    (key,) = resources(template, "AWS::KMS::Key").values()
    assert "PendingWindowInDays" not in key["Properties"]
    assert "in 30 days" in removal.KEPT["AWS::KMS::Key"]
    (table,) = resources(template, "AWS::DynamoDB::Table").values()
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "system backup of the lock table" in removal.KEPT["AWS::DynamoDB::Table"]
    assert resources(template, "AWS::StepFunctions::StateMachine")
    assert "AWS::S3::Bucket" not in {each["Type"] for each in template["Resources"].values()}


def test_the_bootstrap_that_is_asked_for_is_the_one_that_the_assembly_requires(
    folder: Path, template: dict[str, Any]
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    required = [
        each["properties"]["requiresBootstrapStackVersion"]
        for each in manifest["artifacts"].values()
        if "requiresBootstrapStackVersion" in each.get("properties", {})
    ]
    assert set(required) == {prerequisites.OLDEST_BOOTSTRAP}
    assert template["Parameters"]["BootstrapVersion"]["Default"] == prerequisites.BOOTSTRAP


def test_the_stack_of_the_servers_has_the_outputs_and_the_tag_that_make_try_reads() -> None:
    app = cdk.App()
    stack = two_servers.TwoServers(app, two_servers.STACK, zone="eu-west-1a", port=80)
    outputs = app.synth().get_stack_by_name(two_servers.STACK).template["Outputs"]
    values = {key: "203.0.113.1" if key.endswith("Ip") else "80" for key in outputs}
    pair = Pair.of(Stack(two_servers.STACK, outputs=values))
    assert (pair.ips["staging"], tuple(pair.instances), pair.port) == ("203.0.113.1", two_servers.SERVERS, 80)
    assert stack.tags.tag_values() == {TEST_PAIR: "true"}
    assert (two_servers.STACK, two_servers.INSTANCE_TYPE) == (try_stacks.SERVERS, prerequisites.INSTANCE_TYPE)


def test_the_workflow_is_deployed_with_the_feature_flags_that_it_is_shipped_with() -> None:
    """Only with those of examples/two-servers: it is deployed from there."""
    flags = json.loads((HERE / "cdk.json").read_text())["context"]
    assert {key: value for key, value in flags.items() if key.startswith("@")} == {
        key: value for key, value in CONTEXT.items() if key.startswith("@")
    }


def test_another_port_changes_what_make_try_compares_to_say_that_the_servers_are_replaced() -> None:
    def compared(port: int) -> dict[str, Any]:
        app = cdk.App()
        two_servers.TwoServers(app, two_servers.STACK, zone="eu-west-1a", port=port)
        template = app.synth().get_stack_by_name(two_servers.STACK).template
        return try_stacks.properties(template, try_pair.DECIDE_ABOUT_SERVERS)

    assert len(compared(80)) == 4  # a launch template and an instance for each server
    assert compared(80) == compared(80)
    assert compared(80) != compared(8080)
