"""`docs/architecture.md` has every state and every variable of the workflows in its tables, and no other."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.contexts import RELEASES, VPC, pair
from tests.stacks.synthesis import CONTEXT, PROJECT, template_of, workflow_of
from tests.stacks.test_contract import states_of

# States that only a pair with such a key has.
WITH_A_BAKE = {"Bake?", "RecordBake", "Bake"}
IN_A_VPC = {"StagingVia?", "HealthCheckStagingInVpc"}
EVALUATED_IN_A_VPC = IN_A_VPC | {"HealthCheckStagingInVpcFailed"}
WITH_COMMANDS = {"CommandRuns?", "EndCommandOfHolder", "Undo?", "AfterRollback", "EndCommand"}
OF_A_RELEASE = WITH_COMMANDS | {
    "AwaitsApproval?", "EndApproval", "DeployRelease", "NotifyApproval", "PutApprovalEvent", "WaitForApproval",
    "RecordApproval", "BeforeCutover", "BeforeCutoverFailed?", "AfterCutover?", "AfterCutover", "AfterCutoverFailed?",
}  # fmt: skip
HEADINGS = {
    "eip-cutover": "States of a cutover", "eip-cutover-repair": "States of the repair",
    "eip-cutover-readiness": "States of an evaluation",
}  # fmt: skip
PRIVATE = {"protocol": "HTTP", "port": 80, "via": "private"}


def documented(workflow: str) -> set[str]:
    heading = HEADINGS[workflow]
    section = (PROJECT / "docs" / "architecture.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = section[section.index("| state |") :]
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", table, re.MULTILINE)
    return {state for cell in cells for state in re.findall(r"`([^`]+)`", cell)}


def deployed(template: dict[str, Any], workflow: str) -> set[str]:
    """All states except those in which an execution ends: they have the outcomes' names. And the common ending, which
    the document describes once."""
    states = states_of(workflow_of(template, workflow))
    return {name for name, state in states if state["Type"] not in ("Succeed", "Fail")}


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The template of a stack whose workflows have every state."""
    pairs = {"web": pair(healthCheck=PRIVATE, bakeSeconds=60) | RELEASES}
    context = {"name": CONTEXT.get("name", "eip-cutover"), "pairs": pairs, "vpc": VPC}
    return template_of(tmp_path_factory.mktemp("complete"), context)


def test_the_tables_have_the_states_of_the_cutover(template: dict[str, Any], complete: dict[str, Any]) -> None:
    optional = WITH_A_BAKE | IN_A_VPC | OF_A_RELEASE
    assert deployed(template, "eip-cutover") == documented("eip-cutover") - optional
    assert deployed(complete, "eip-cutover") == documented("eip-cutover") >= optional


def test_the_tables_have_the_states_of_the_repair(template: dict[str, Any], complete: dict[str, Any]) -> None:
    ending, states = {"ReleaseLock", "Notify", "PutEvent", "Outcome?"}, documented("eip-cutover-repair")
    assert deployed(template, "eip-cutover-repair") == (states - WITH_COMMANDS) | ending
    assert deployed(complete, "eip-cutover-repair") == states | ending


def test_the_tables_have_the_states_of_an_evaluation(template: dict[str, Any], complete: dict[str, Any]) -> None:
    states = documented("eip-cutover-readiness")
    assert deployed(template, "eip-cutover-readiness") == states - EVALUATED_IN_A_VPC
    assert deployed(complete, "eip-cutover-readiness") == states >= EVALUATED_IN_A_VPC


def assigned(state: Any) -> set[str]:
    """The variables that a state, or one within it, assigns."""
    if not isinstance(state, dict):
        return set().union(*map(assigned, state)) if isinstance(state, list) else set()
    return set(state.get("Assign", ())).union(*map(assigned, state.values()))


def test_the_table_of_variables_has_those_of_all_workflows(complete: dict[str, Any]) -> None:
    section = (PROJECT / "docs" / "architecture.md").read_text().split("\n## Variables of the workflows\n")[1]
    rows = re.findall(r"^\| (`\$.+?`) \|", section.split("\n## ")[0], re.MULTILINE)
    in_document = [variable for row in rows for variable in re.findall(r"`\$(\w+)`", row)]
    in_workflows = set().union(*(assigned(workflow_of(complete, name)) for name in HEADINGS))
    assert sorted(in_document) == sorted(in_workflows)


def test_the_picture_of_a_release_has_the_states_of_one(tmp_path: Path) -> None:
    """Drawn from a stack with a bake, a deployment, hooks and an approval, as `make picture` does."""
    context = {"pairs": json.loads((PROJECT / "docs" / "release-picture.json").read_text())}
    (tmp_path / "EipCutover.template.json").write_text(json.dumps(template_of(tmp_path / "cdk.out", context)))
    draw: list[str | Path] = ["node", PROJECT / "docs/picture.mjs", tmp_path / "EipCutover.template.json"]
    subprocess.run([*draw, tmp_path / "release.svg", "eip-cutover"], check=True)
    drawn = (tmp_path / "release.svg").read_text()
    assert drawn == (PROJECT / "docs" / "release.svg").read_text(), "run `make picture`"
