"""AWS's rules for the whole stack (cdk-nag): each finding is fixed, or stays for a reason (`nag_reasons.py`)."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from stacks.pipeline import PipelineStack
from tests.stacks.contexts import RELEASES, VPC, pair
from tests.stacks.nag_reasons import REASONS, Reason
from tests.stacks.synthesis import CONTEXT, PROJECT
from tests.stacks.test_ci_access import CREATED, EXISTING
from tests.stacks.test_pipeline import FROM_BRANCH, FROM_OBJECT
from two_servers import TwoServers

# A finding: the path of the construct below the stack, and what the rule found there.
Finding = tuple[str, str]


def findings(folder: Path, stack_of: Any = CutoverStack, **options: Any) -> set[Finding]:
    """What the rules find in a stack."""
    app = cdk.App(context=CONTEXT, outdir=str(folder))
    stack_of(app, "EipCutover", **options)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    report = folder / "validation-report.json"
    try:
        app.synth()
    except RuntimeError:  # a finding stops the synthesis; the report says which
        if not report.exists():
            raise
    packs = json.loads(report.read_text())["pluginReports"]
    names = {pack["pluginName"] for pack in packs}
    # A pipeline may have nothing for the second, and the third, the CDK's, reports only what is suppressed.
    assert {"AwsSolutions"} <= names <= {"AwsSolutions", "Serverless", "CloudFormation Validate"}
    return {
        (construct["constructPath"].partition("/")[2], f"{pack['pluginName']}::{rule['ruleName']}")
        for pack in packs
        for rule in pack.get("violations", ())
        for construct in rule["violatingConstructs"]
    }


def reasons_for(finding: Finding) -> list[Reason]:
    return [reason for reason in REASONS if reason.explains(*finding)]


def unexplained(every: set[Finding]) -> set[Finding]:
    return {finding for finding in every if not reasons_for(finding)}


def settings(**keys: Any) -> Any:
    return {"settings": configured((CONTEXT | keys).get)}


SHIPPED = settings()
WITH_RELEASES = settings(pairs={"web": pair(**RELEASES)})
IN_VPC = {"via": "private"}
STACKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "as shipped": (CutoverStack, SHIPPED),
    "with mails": (CutoverStack, settings(notifications={"emails": ["ops@example.com"]})),
    "with a role for CI": (CutoverStack, settings(ciAccess=EXISTING)),
    "with a role for CI and its provider": (CutoverStack, settings(ciAccess=CREATED)),
    "with releases": (CutoverStack, WITH_RELEASES),
    "with a check from inside a VPC": (CutoverStack, settings(pairs={"web": pair(healthCheck=IN_VPC)}, vpc=VPC)),
    "with an account": (
        CutoverStack,
        WITH_RELEASES | {"env": cdk.Environment(account="123456789012", region="eu-central-1")},
    ),
    "the pipeline of a branch": (PipelineStack, {"names": FROM_BRANCH.names, "pipeline": FROM_BRANCH.pipeline}),
    "the pipeline of an object": (PipelineStack, {"names": FROM_OBJECT.names, "pipeline": FROM_OBJECT.pipeline}),
    "the test pair": (TwoServers, {"zone": "eu-west-1b", "port": 80}),
}


@pytest.fixture(scope="module")
def by_stack(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Finding]]:
    return {
        name: findings(tmp_path_factory.mktemp("nag"), stack, **options) for name, (stack, options) in STACKS.items()
    }


def test_every_finding_of_cdk_nag_stays_for_one_reason(by_stack: dict[str, set[Finding]]) -> None:
    for name, of_stack in by_stack.items():
        assert of_stack, name
        for finding in of_stack:
            assert len(reasons_for(finding)) == 1, f"{name}: {finding} has the reasons {reasons_for(finding)}"


def test_every_reason_is_still_needed(by_stack: dict[str, set[Finding]]) -> None:
    every = set().union(*by_stack.values())
    for reason in REASONS:
        assert any(reason.explains(*finding) for finding in every), f"nothing is found any more for {reason}"
        assert len(reason.text.split()) >= 7, f"{reason} has no reason"


def test_a_new_wildcard_in_a_policy_is_found(tmp_path: Path) -> None:
    class Open(CutoverStack):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            cdk.aws_sns.Topic(self, "Open")
            describing: Any = self.node.find_child("Functions").node.find_child("DescribeAddressesRole")
            anything = cdk.aws_iam.PolicyStatement(actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/*"])
            describing.add_to_policy(anything)

    paths = {path for path, _ in unexplained(findings(tmp_path, Open, **SHIPPED))}
    assert paths == {"Open/Resource", "Functions/DescribeAddressesRole/DefaultPolicy/Resource"}


def test_deploying_does_not_need_cdk_nag() -> None:
    for module in [PROJECT / "app.py", *(PROJECT / "stacks").rglob("*.py")]:
        assert "import cdk_nag" not in module.read_text(), module
    assert "cdk-nag" not in (PROJECT / "requirements.txt").read_text()
