"""The stack as it is synthesized: the definitions of its workflows, and what each function is configured with. The
synthesis takes seconds, so its result is kept, by the digest of the sources that it follows from."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.simulation.states import Machine
from tests.simulation.world.world import TABLE, TOPIC

PROJECT = Path(__file__).parents[2]
KEPT = PROJECT / ".local" / "simulation"
CUTOVER, REPAIR, READINESS = WORKFLOWS = ("eip-cutover", "eip-cutover-repair", "eip-cutover-readiness")
SOURCES = (
    "stacks", "lambdas/domain", "cdk.json", "requirements-dev.txt", "tests/stacks/synthesis.py",
    "tests/workflow/account.py", "tests/workflow/conftest.py", "tests/simulation/synthesis.py",
)  # fmt: skip


# What a mutation changes in the definition of a workflow.
changes: list[Callable[[str, dict[str, Any]], dict[str, Any]]] = []


@dataclass(frozen=True)
class ConfiguredFunction:
    """A function of the stack, by the name that the definitions call it: its module, and what Lambda gives to it."""

    module: str
    timeout_seconds: float
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Synthesized:
    machines: Mapping[str, Machine]
    functions: Mapping[str, ConfiguredFunction]


@cache
def synthesized() -> Synthesized:
    """The stack with releases, hooks, approval and a bake, as `tests/workflow` has it."""
    read: dict[str, Any] = json.loads(kept_synthesis().read_text())
    return Synthesized(
        {name: Machine(_changed(name, json.loads(definition))) for name, definition in read["definitions"].items()},
        {name: ConfiguredFunction(**each) for name, each in read["functions"].items()},
    )


def kept_synthesis() -> Path:
    """The file with the result. It is made if it is missing, so ask for it before processes start that need it."""
    kept = KEPT / f"{_digest()}.json"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        # In a process of its own: the CDK needs the real standard library.
        environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'lambdas'}:{PROJECT}"}
        command = [sys.executable, "-m", "tests.simulation.synthesis", str(kept)]
        subprocess.run(command, check=True, cwd=PROJECT, env=environment, stdout=sys.stderr)
    return kept


def _changed(workflow: str, definition: dict[str, Any]) -> dict[str, Any]:
    for change in changes:
        definition = change(workflow, definition)
    return definition


def _digest() -> str:
    digest = sha256(f"{TABLE} {TOPIC}".encode())
    for path in _sources(PROJECT / each for each in SOURCES):
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _sources(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


if __name__ == "__main__":
    kept_synthesis()
