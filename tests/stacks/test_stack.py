"""What the stack deploys, as the owner of the account sees it."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Annotations, Match

from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack, published
from tests.stacks.contexts import EVERY_PAIR_KEY, INTERFACES, VPC
from tests.stacks.policies import in_account
from tests.stacks.synthesis import CONTEXT, PROJECT, WORKFLOWS, many_pairs, resources, template_of
from tests.workflow.account import definition

PICTURES = dict(zip(WORKFLOWS, ("workflow.svg", "repair.svg", "readiness.svg"), strict=True))
FUNCTIONS = {
    "describe_addresses", "describe_restored", "check_servers", "health_check", "measure_gap", "disassociate_address",
    "associate_address",
}  # fmt: skip
REPORTS = {"report_outcome", "report_locks"}
STARTER = "start_evaluations"


def test_ten_functions_share_one_asset_for_python_3_13_on_arm64(template: dict[str, Any]) -> None:
    found = [function["Properties"] for function in resources(template, "AWS::Lambda::Function").values()]
    assert {function["Handler"].removesuffix(".handler") for function in found} == FUNCTIONS | REPORTS | {STARTER}
    assert {function["Runtime"] for function in found} == {"python3.13"}
    assert {tuple(function["Architectures"]) for function in found} == {("arm64",)}
    assert len({json.dumps(function["Code"]) for function in found}) == 1
    assert len({json.dumps(function["Role"]) for function in found}) == 10


def test_the_state_machines_are_standard_traced_and_logged(template: dict[str, Any]) -> None:
    machines = [found["Properties"] for found in resources(template, "AWS::StepFunctions::StateMachine").values()]
    assert {machine["StateMachineName"] for machine in machines} == {*WORKFLOWS}
    for machine in machines:
        assert machine["StateMachineType"] == "STANDARD"
        assert machine["TracingConfiguration"] == {"Enabled": True}
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert len(machine["LoggingConfiguration"]["Destinations"]) == 1


def test_every_log_group_has_a_retention(template: dict[str, Any]) -> None:
    groups = resources(template, "AWS::Logs::LogGroup")
    assert len(groups) == 13
    assert all("RetentionInDays" in group["Properties"] for group in groups.values())


def test_every_function_logs_under_the_services_name(template: dict[str, Any]) -> None:
    for function in resources(template, "AWS::Lambda::Function").values():
        assert function["Properties"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == "eip-cutover"


def parameters_of_pairs(template: dict[str, Any]) -> list[dict[str, Any]]:
    found = resources(template, "AWS::SSM::Parameter").values()
    return [each for each in found if "/pairs/" in each["Properties"]["Name"]]


def test_the_client_finds_the_workflow_the_lock_and_the_pairs_in_the_outputs(template: dict[str, Any]) -> None:
    assert {"StateMachineArn", "LockTableName", "PairsPath"} <= template["Outputs"].keys()
    (parameter,) = parameters_of_pairs(template)
    assert parameter["Properties"]["Name"] == template["Outputs"]["PairsPath"]["Value"] + "/web"
    assert parameter["Properties"]["Type"] == "String"
    pair = configured(CONTEXT.get).pairs["web"].as_json()
    keys = ("production", "staging", "servers", "healthCheck")
    assert json.loads(parameter["Properties"]["Value"]) == {key: pair[key] for key in keys}


def test_a_pair_is_published_with_its_interfaces_and_as_much_of_its_checks_as_fits() -> None:
    pair = configured({"pairs": {"web": EVERY_PAIR_KEY}, "vpc": VPC}.get).pairs["web"]
    everything = published(pair, 4096)
    read = json.loads(everything)
    assert read["networkInterfaces"] == INTERFACES
    assert read["healthCheck"] == json.loads(json.dumps(pair.as_json()["healthCheck"]))
    without = json.loads(published(pair, len(everything) - 1))
    assert without.keys() == {"production", "staging", "servers", "networkInterfaces"}


def synthesized(folder: Path, pairs: dict[str, Any]) -> cdk.Stack:
    app = cdk.App(outdir=str(folder), context=CONTEXT)
    return CutoverStack(app, "EipCutover", configured({"pairs": pairs}.get))


def test_the_shipped_placeholders_are_refused_and_real_ids_are_not(tmp_path: Path) -> None:
    shipped = CONTEXT["pairs"]
    refused = Match.string_like_regexp(".*placeholder ids.*pairs.web.production.*")
    Annotations.from_stack(synthesized(tmp_path / "shipped", shipped)).has_error("/EipCutover", refused)
    real = json.loads(json.dumps(shipped).replace("0aaaaaaaaaaaaaaaa", "1a2b3c4d").replace("0" + "b" * 16, "5e6f7a8b"))
    Annotations.from_stack(synthesized(tmp_path / "real", real)).has_no_error("/EipCutover", Match.any_value())


def characters_of(policy: dict[str, Any], template: Mapping[str, Any], partition: str, region: str) -> int:
    """As IAM counts them, in a partition and a Region; any account is as long as "123456789012"."""
    text = json.dumps(policy["PolicyDocument"])
    for name, value in (("Partition", partition), ("Region", region)):
        text = text.replace(json.dumps({"Ref": f"AWS::{name}"}), json.dumps(value))
    return len(json.dumps(in_account(json.loads(text), template), separators=(",", ":")))


def assert_within_quotas(template: dict[str, Any], partition: str, region: str) -> None:
    """IAM's: 10,240 characters of inline policies per role, 6,144 per managed policy, 10 of these per role."""
    inline, attached = Counter[str](), Counter[str]()
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in resources(template, kind).values():
            characters = characters_of(policy["Properties"], template, partition, region)
            (role,) = (each["Ref"] for each in policy["Properties"]["Roles"])
            if kind == "AWS::IAM::Policy":
                inline[role] += characters
            else:
                attached[role] += 1
                assert characters <= 6_144
    assert max(inline.values()) <= 10_240
    assert max(attached.values(), default=0) <= 10
    # CloudFormation's quota of resources in a template, and Parameter Store's of characters in a standard parameter.
    assert len(json.dumps(template)) < 1_000_000
    assert len(template["Resources"]) <= 500
    parameters = resources(template, "AWS::SSM::Parameter").values()
    assert all(len(parameter["Properties"]["Value"]) <= 4_096 for parameter in parameters)


@pytest.mark.parametrize(
    ("partition", "region", "known", "interfaces"),
    [
        ("aws", "ap-southeast-2", True, 0),
        ("aws", "ap-southeast-2", True, 150),
        ("aws", "ap-southeast-2", True, 300),
        ("aws-us-gov", "us-gov-west-1", True, 0),
        ("aws-us-gov", "us-gov-west-1", False, 300),  # as `make synth` has it, without credentials
    ],
)
def test_more_pairs_than_fit_into_a_role_are_refused_with_the_number_that_fits(
    tmp_path: Path, partition: str, region: str, known: bool, interfaces: int
) -> None:
    # As `cdk deploy` synthesizes it, with the account and the Region of the credentials: their ARNs count in full.
    env = cdk.Environment(account="123456789012", region=region) if known else None
    pairs = many_pairs(300, interfaces=interfaces)  # the number of pairs that have them, the first pairs
    with pytest.raises(InvalidConfiguration) as refused:
        template_of(tmp_path / "too-many", {"pairs": pairs}, env=env)
    (problem,) = refused.value.problems
    found, most = map(int, re.findall(r"\d+", problem))
    assert (found, problem.partition(":")[0]) == (300, "pairs")
    assert most >= (130 if interfaces == 300 else 200)  # docs/configuration.md says so
    fitting = dict(islice(pairs.items(), most + 1))
    with pytest.raises(InvalidConfiguration, match=f"the first {most} of them"):
        template_of(tmp_path / "one-too-many", {"pairs": fitting}, env=env)
    fitting.popitem()
    template = template_of(tmp_path / "most", {"pairs": fitting}, env=env)
    assert len(parameters_of_pairs(template)) == most
    assert_within_quotas(template, partition, region)


def test_the_template_passes_cfn_lint(template_folder: Path) -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    # W3005: the CDK says of some dependencies twice what is true.
    lint: list[str | Path] = [linter, "--ignore-checks", "W3005", "--", template_folder / "EipCutover.template.json"]
    linted = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_definitions_pass_the_asl_validator(template: dict[str, Any], tmp_path: Path, name: str) -> None:
    arn = "arn:aws:sns:us-east-1:123456789012:outcomes"
    (tmp_path / "workflow.asl.json").write_text(definition(template, table="locks", topic=arn, name=name))
    validated = subprocess.run(
        [PROJECT / "node_modules/.bin/asl-validator", "--json-path", tmp_path / "workflow.asl.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert validated.returncode == 0, validated.stdout + validated.stderr


@pytest.mark.parametrize(
    ("name", "picture"), zip(WORKFLOWS, ("workflow.svg", "repair.svg", "readiness.svg"), strict=True)
)
def test_the_pictures_show_the_workflows(template_folder: Path, tmp_path: Path, name: str, picture: str) -> None:
    drawn = tmp_path / picture
    draw: list[str | Path] = ["node", PROJECT / "docs/picture.mjs", template_folder / "EipCutover.template.json"]
    subprocess.run([*draw, drawn, name], check=True)
    assert drawn.read_text() == (PROJECT / "docs" / picture).read_text(), "run `make picture`"
