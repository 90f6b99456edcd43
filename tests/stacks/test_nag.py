"""AWS's rules for the whole stack (cdk-nag): each finding is fixed, or acknowledged with its reason."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from cdk_nag import AwsSolutionsChecks, ServerlessChecks
from constructs import IConstruct

from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from stacks.pipeline import PipelineStack
from tests.stacks.contexts import RELEASES, pair
from tests.stacks.synthesis import CONTEXT, PROJECT
from tests.stacks.test_ci_access import CREATED, EXISTING
from tests.stacks.test_pipeline import FROM_BRANCH, FROM_OBJECT

# A finding: the path of the construct, and the id under which it can be acknowledged.
Finding = tuple[str, str]


@dataclass(frozen=True)
class Checked:
    """A stack as the rules see it: what they still find, and what they find that is acknowledged."""

    stack: cdk.Stack
    found: set[Finding]
    acknowledged: set[Finding]


def checked(folder: Path, stack_of: Any = CutoverStack, **options: Any) -> Checked:
    app = cdk.App(context=CONTEXT, outdir=str(folder))
    stack = stack_of(app, "EipCutover", **options)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    report = folder / "validation-report.json"
    try:
        app.synth()
    except RuntimeError:  # a finding stops the synthesis; the report says which
        if not report.exists():
            raise
    found = json.loads(report.read_text())["pluginReports"]
    packs = {pack["pluginName"] for pack in found}
    # A pipeline may have nothing for the second, and the third, the CDK's, reports only what is suppressed.
    assert {"AwsSolutions"} <= packs <= {"AwsSolutions", "Serverless", "CloudFormation Validate"}
    return Checked(stack, set(findings(found, "violations")), set(findings(found, "suppressedViolations")))


def findings(packs: list[dict[str, Any]], kind: str) -> Iterator[Finding]:
    for pack in packs:
        for rule in pack.get(kind, ()):
            for construct in rule["violatingConstructs"]:
                yield construct["constructPath"], f"{pack['pluginName']}::{rule['ruleName']}"


def acknowledgements(stack: IConstruct) -> dict[Finding, str]:
    key = cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
    return {
        (construct.node.path, finding): reason
        for construct in stack.node.find_all()
        for entry in construct.node.metadata
        if entry.type == key
        for finding, reason in entry.data.items()
    }


def settings(**keys: Any) -> Any:
    return {"settings": configured((CONTEXT | keys).get)}


SHIPPED = settings()
WITH_RELEASES = settings(pairs={"web": pair(**RELEASES)})
OPTIONAL: dict[str, tuple[Any, dict[str, Any]]] = {
    "as shipped": (CutoverStack, SHIPPED),
    "with mails": (CutoverStack, settings(notifications={"emails": ["ops@example.com"]})),
    "with a role for CI": (CutoverStack, settings(ciAccess=EXISTING)),
    "with a role for CI and its provider": (CutoverStack, settings(ciAccess=CREATED)),
    "the pipeline of a branch": (PipelineStack, {"names": FROM_BRANCH.names, "pipeline": FROM_BRANCH.pipeline}),
    "the pipeline of an object": (PipelineStack, {"names": FROM_OBJECT.names, "pipeline": FROM_OBJECT.pipeline}),
}


@pytest.fixture(scope="module", params=OPTIONAL.values(), ids=[*OPTIONAL])
def shipped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    stack_of, options = request.param
    return checked(tmp_path_factory.mktemp("nag"), stack_of, **options)


def test_the_rules_of_cdk_nag_find_only_acknowledged_problems(shipped: Checked) -> None:
    assert shipped.found == set()


def test_the_rules_also_find_only_acknowledged_problems_with_an_account(tmp_path: Path) -> None:
    somewhere = cdk.Environment(account="123456789012", region="eu-central-1")
    assert checked(tmp_path, env=somewhere, **WITH_RELEASES).found == set()


def test_the_rules_also_find_only_acknowledged_problems_with_releases(tmp_path: Path) -> None:
    with_releases = checked(tmp_path, **WITH_RELEASES)
    assert with_releases.found == set()
    assert any("RunCommandsRole" in path and "document/" in finding for path, finding in with_releases.acknowledged)


def test_every_acknowledgement_is_still_needed(shipped: Checked) -> None:
    for path, finding in acknowledgements(shipped.stack):
        needed = any(found.startswith(f"{path}/") and id_ == finding for found, id_ in shipped.acknowledged)
        assert needed, f"nothing at {path} has the finding {finding} any more"


def test_every_acknowledgement_has_one_finding_one_construct_and_a_reason(shipped: Checked) -> None:
    for (path, finding), reason in acknowledgements(shipped.stack).items():
        assert path.count("/") >= 2, f"{finding} is acknowledged for all of {path}"
        assert len(reason.split()) >= 7, f"{finding} at {path} has no reason"
        found = {where for where, id_ in shipped.acknowledged if where.startswith(f"{path}/") and id_ == finding}
        assert len(found) == 1, f"{finding} at {path} hides {len(found)} findings"


def test_the_rules_run(tmp_path: Path) -> None:
    class Open(CutoverStack):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            cdk.aws_sns.Topic(self, "Open")

    found = checked(tmp_path, Open, **SHIPPED).found
    assert {path for path, _ in found} == {"EipCutover/Open/Resource"}


def test_deploying_does_not_need_cdk_nag() -> None:
    for module in [PROJECT / "app.py", *(PROJECT / "stacks").rglob("*.py")]:
        assert "import cdk_nag" not in module.read_text(), module
    assert "cdk-nag" not in (PROJECT / "requirements.txt").read_text()
