"""The synthesized stack of cdk.json. The measurements in process run it without a deployment."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.report import Section

CONFIGURATION = Path(__file__).parent.parent / "cdk.json"


def synthesized(folder: Path) -> None:
    """Write the cloud assembly into the folder."""
    import aws_cdk as cdk  # noqa: PLC0415  # starts Node.js, in each process that imports it

    from stacks.configuration.settings import configured  # noqa: PLC0415
    from stacks.cutover_stack import CutoverStack  # noqa: PLC0415

    context = json.loads(CONFIGURATION.read_text())["context"]
    app = cdk.App(context=context, outdir=str(folder))
    CutoverStack(app, "EipCutover", configured(context.get))
    app.synth()


def template_of(folder: Path) -> dict[str, Any]:
    """The stack's template in a cloud assembly."""
    template: dict[str, Any] = json.loads((folder / "EipCutover.template.json").read_text())
    return template


def asset_of(folder: Path) -> Path:
    """The functions' asset in a cloud assembly."""
    (asset,) = (each for each in folder.glob("asset.*") if (each / "pairs.json").exists())
    return asset


def print_alone(measured: Callable[[Path], Section]) -> None:
    """Print the section of one part of the benchmark, without the others."""
    with tempfile.TemporaryDirectory() as name:
        synthesized(Path(name))
        section = measured(Path(name))
    print(f"## {section.title}\n\n{section.text}")
