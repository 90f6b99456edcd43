"""The shipped stack, synthesized: what the measurements in process run, without a deployment."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.configuration import configured_pairs
from stacks.cutover_stack import CutoverStack

CONFIGURATION = Path(__file__).parent.parent / "cdk.json"


def synthesized(folder: Path) -> dict[str, Any]:
    """Fills the folder with the cloud assembly; its template."""
    context = json.loads(CONFIGURATION.read_text())["context"]
    app = cdk.App(context=context, outdir=str(folder))
    CutoverStack(app, "EipCutover", pairs=configured_pairs(context["pairs"]))
    app.synth()
    template: dict[str, Any] = json.loads((folder / "EipCutover.template.json").read_text())
    return template


def asset_of(folder: Path) -> Path:
    """The functions' asset in a cloud assembly."""
    (asset,) = (found for found in folder.glob("asset.*") if (found / "pairs.json").exists())
    return asset
