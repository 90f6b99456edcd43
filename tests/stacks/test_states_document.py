"""`docs/architecture.md` has every state of both workflows in its tables, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.contexts import VPC, pair
from tests.stacks.synthesis import CONTEXT, PROJECT, template_of, workflow_of
from tests.stacks.test_contract import states_of

# States that only a pair with such a key has.
WITH_A_BAKE = {"Bake?", "RecordBake", "Bake"}
IN_A_VPC = {"StagingVia?", "HealthCheckStagingInVpc"}
PRIVATE = {"protocol": "HTTP", "port": 80, "via": "private"}


def documented(workflow: str) -> set[str]:
    heading = {"eip-cutover": "States of a cutover", "eip-cutover-repair": "States of the repair"}[workflow]
    section = (PROJECT / "docs" / "architecture.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = section[section.index("| state |") :]
    cells = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", table, re.MULTILINE)
    return {state for cell in cells for state in re.findall(r"`([^`]+)`", cell)}


def deployed(template: dict[str, Any], workflow: str) -> set[str]:
    """All states except those in which an execution ends: they have the outcomes' names. And the common ending, which
    the document describes once."""
    states = states_of(workflow_of(template, workflow))
    return {name for name, state in states if state["Type"] not in ("Succeed", "Fail")}


@pytest.mark.parametrize("key", ["as shipped", "bake and VPC"])
def test_the_tables_have_the_states_of_the_cutover(template: dict[str, Any], tmp_path: Path, key: str) -> None:
    if key == "as shipped":
        assert deployed(template, "eip-cutover") == documented("eip-cutover") - WITH_A_BAKE - IN_A_VPC
        return
    pairs = {"web": pair(healthCheck=PRIVATE, bakeSeconds=60)}
    context = {"name": CONTEXT.get("name", "eip-cutover"), "pairs": pairs, "vpc": VPC}
    assert deployed(template_of(tmp_path, context), "eip-cutover") == documented("eip-cutover")


def test_the_tables_have_the_states_of_the_repair(template: dict[str, Any]) -> None:
    ending = {"ReleaseLock", "Notify", "PutEvent", "Outcome?"}
    assert deployed(template, "eip-cutover-repair") == documented("eip-cutover-repair") | ending
