"""The stack of any pairs, synthesized, and what is in its template."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.configuration.settings import configured
from stacks.cutover_stack import CutoverStack
from tests.workflow.account import definition

PROJECT = Path(__file__).parents[2]
CONTEXT = json.loads((PROJECT / "cdk.json").read_text())["context"]
WORKFLOWS = ("eip-cutover", "eip-cutover-repair", "eip-cutover-readiness")


def template_of(folder: Path, context: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The template of the stack of a context."""
    app = cdk.App(outdir=str(folder), context=CONTEXT)
    settings = configured(context.get)
    stack = CutoverStack(app, settings.names.stack, settings, **options)
    template: dict[str, Any] = app.synth().get_stack_by_name(stack.stack_name).template
    return template


def many_pairs(count: int, *, interfaces: int = 0) -> dict[str, Any]:
    def by_server(prefix: str, number: int) -> dict[str, str]:
        return {"one": f"{prefix}-{number:017x}", "two": f"{prefix}-{number + 1000:017x}"}

    return {
        f"pair-{number}": {
            "production": f"eipalloc-{number:017x}",
            "staging": f"eipalloc-{number + 1000:017x}",
            "servers": by_server("i", number),
        }
        | ({"networkInterfaces": by_server("eni", number)} if number < interfaces else {})
        for number in range(count)
    }


def resources(template: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] == kind}


def workflow_of(template: dict[str, Any], name: str = "eip-cutover") -> dict[str, Any]:
    """The definition of a state machine, with names in place of what is deployed beside it."""
    workflow: dict[str, Any] = json.loads(definition(template, table="locks", topic="outcomes", name=name))
    return workflow
