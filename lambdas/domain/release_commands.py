"""What a release runs: the pair's `deploy` and its hooks, and the document with all their commands. The stack and the
function that sends commands compute it from the pair, so a command is sent with the hash of what was deployed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from domain.pair import NAME_PATTERN, Pair

Moment = Literal["deploy", "beforeCutover", "afterCutover", "afterRollback"]
HOOKS: tuple[Moment, ...] = ("beforeCutover", "afterCutover", "afterRollback")
RELEASE_PATTERN = "[A-Za-z0-9._+/=-]{1,128}"  # nothing that means something to a shell: the script has it as it is
PARAMETERS = {
    "Pair": NAME_PATTERN,
    "Server": NAME_PATTERN,
    "Release": f"(?:{RELEASE_PATTERN})?",
    "Execution": "[A-Za-z0-9:/_.@+=-]{1,512}",
    "TimeoutSeconds": "[0-9]{1,3}",
}
SCRIPT = Path(__file__).with_name("release_command.sh")


@dataclass(frozen=True)
class Step:
    """A command on the server in a role, or a call of a function (its ARN). With CONTINUE, a failure is a warning."""

    name: str
    server: Literal["idle", "live"]
    timeout_seconds: int
    command: str | None = None
    function: str | None = None
    on_failure: Literal["FAIL", "CONTINUE"] = "FAIL"


@dataclass(frozen=True)
class Document:
    """A document of Systems Manager, and its hash. Its name begins with the stack's prefix, and ends with `key`."""

    content: str
    hash: str
    key: str


def steps(pair: Pair, moment: Moment) -> list[Step]:
    """What the pair runs at this moment, in order."""
    if moment == "deploy":
        return [Step("deploy", "idle", pair.deploy["timeoutSeconds"], pair.deploy["command"])] if pair.deploy else []
    keys = ("server", "timeoutSeconds", "command", "function", "onFailure")  # in the order of `Step`
    hooks: Sequence[Any] = pair.hooks.get(moment, ())
    return [Step(f"{moment}{index}", *map(hook.get, keys)) for index, hook in enumerate(hooks)]


def document(pair: Pair) -> Document | None:
    """The document with the pair's commands; None if it has none. Pairs with the same commands share one."""
    every = [step for moment in ("deploy", *HOOKS) for step in steps(pair, moment)]
    commands = {step.name: step.command for step in every if step.command}
    if not commands:
        return None
    # Each in a shell of its own, so that a command with a syntax error fails alone.
    cases = [f"{name}) /bin/sh -c {quote(command)} ;;" for name, command in commands.items()]
    before, _, after = SCRIPT.read_text().partition("# COMMANDS\n")
    script = [line for line in before.splitlines() if not line.startswith("#")] + cases + after.splitlines()
    patterns = {
        name: {"type": "String", "allowedPattern": f"^{pattern}$", "description": f"${name.upper()}"}
        for name, pattern in PARAMETERS.items()
    }
    step = {"type": "String", "allowedValues": list(commands), "description": "Which command to run."}
    inputs = {"timeoutSeconds": "{{ TimeoutSeconds }}", "runCommand": script}
    content = {
        "schemaVersion": "2.2",
        "description": "Runs a command of a release on a server of a pair.",
        "parameters": {"Step": step, **patterns},
        "mainSteps": [{"action": "aws:runShellScript", "name": "run", "inputs": inputs}],
    }
    text = json.dumps(content, indent=1)
    digest = sha256(text.encode()).hexdigest()
    return Document(text, digest, digest[:16])
