"""Synthesizes the stack and writes what the simulation needs of it: `python -m tests.simulation.synthesis FILE`."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.simulation.synthesized import WORKFLOWS
from tests.simulation.world.world import TABLE, TOPIC
from tests.stacks.synthesis import CONTEXT, resources, template_of
from tests.workflow.account import definition
from tests.workflow.conftest import OF_A_RELEASE


def main(file: Path) -> None:
    pairs = {name: {**pair, "bakeSeconds": 60, **OF_A_RELEASE} for name, pair in CONTEXT["pairs"].items()}
    with TemporaryDirectory() as folder:
        template = template_of(Path(folder), {"pairs": pairs})
    synthesized = {
        "definitions": {name: definition(template, table=TABLE, topic=TOPIC, name=name) for name in WORKFLOWS},
        "functions": dict(map(_function, resources(template, "AWS::Lambda::Function").values())),
    }
    new = file.with_suffix(".new")
    new.write_text(json.dumps(synthesized, indent=1))
    new.replace(file)


def _function(resource: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    properties = resource["Properties"]
    module = properties["Handler"].removesuffix(".handler")
    variables = properties["Environment"]["Variables"]
    environment = {name: value for name, value in variables.items() if isinstance(value, str)}
    if "LOCK_TABLE" in variables:
        environment["LOCK_TABLE"] = TABLE
    return module, {"module": module, "timeout_seconds": properties["Timeout"], "environment": environment}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
