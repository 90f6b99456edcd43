"""What a release runs: the pair's `deploy` and its hooks, the document with all their commands, and a command as it is
written into the item of the pair's lock. Pure. The stack and the function that sends commands compute the document from
the pair, so a command is sent with the hash of what was deployed."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from domain.events import in_json
from domain.pair import NAME_PATTERN, Json, Pair
from domain.text import printable, shortened

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
# Systems Manager User Guide, "Understanding command statuses", and API Reference, SendCommand.
GOING_ON, UNKNOWN = ("Pending", "InProgress", "Delayed", "Cancelling"), "Unknown"
DELIVERY_SECONDS, RESERVE_SECONDS = 60, 80  # for the agent to fetch a command, the least; and beside its timeout
# So long after it was written into the item, a command was sent, or never is: both are tried `ONCE`, within 5 s each.
SENT_WITHIN_SECONDS = 15
LONGEST_LINE, LONGEST_OUTPUT = 200, 2_000


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


@dataclass(frozen=True)
class Command:
    """A command, or a call of a hook's function, which has no `instance_id`. `id` is Systems Manager's, None until
    SendCommand has answered. `sent` and `until`, in seconds since 1970: when it was written into the item before it was
    sent, and when it has ended in any case. `done` are the commands of the same moment before it, `warnings` theirs."""

    step: str
    server: str
    instance_id: str | None
    sent: float
    until: float
    id: str | None = None
    status: str = "Pending"
    line: str = ""
    ended: bool = False
    seconds: float = 0
    failure: str | None = None
    done: tuple[Json, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """What its text has, and the text of no other command."""
        return f'"sent": "{_moment(self.sent)}"'

    @property
    def result(self) -> Json:
        """What the state returns about it."""
        return in_json(self, "step", "server", "status", "seconds", "line")

    def ends(self, status: str, failure: str | None = None, line: str = "") -> "Command":
        return replace(self, status=status, failure=failure, line=line or self.line, ended=True)

    def to_text(self) -> str:
        return json.dumps({**asdict(self), "sent": _moment(self.sent), "until": _moment(self.until)})

    @staticmethod
    def from_text(text: str) -> "Command | None":
        """None for any other text: a person wrote it. Another version of this class may have more keys."""
        try:
            known = {each.name for each in fields(Command)}
            value: Json = {key: each for key, each in json.loads(text).items() if key in known}
            seconds = {key: datetime.fromisoformat(value[key]).timestamp() for key in ("sent", "until")}
            return Command(**{**value, **seconds, **{key: tuple(value[key]) for key in ("done", "warnings")}})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def last_line(output: str) -> str:
    """The last line that is not empty, safe to print."""
    lines = [line for line in output.split("\n") if line.strip()]
    return printable(lines[-1].strip(), LONGEST_LINE) if lines else ""


def quoted(output: str) -> str:
    """The last lines of an output, each after "| ", so that no line of it is taken for a command to copy."""
    lines = [f"| {printable(line.rstrip(), LONGEST_LINE)}" for line in output.split("\n") if line.strip()]
    text = "\n".join(lines)
    shown = text if len(text) <= LONGEST_OUTPUT else "..." + text[-LONGEST_OUTPUT:]
    return f"\n{shown}\nThe output ends here." if lines else " (nothing)."


def parameter(text: str) -> str:
    """A text as a parameter of the document: what a shell could take for more than a word is replaced."""
    return shortened(re.sub("[^A-Za-z0-9:/_.@+=-]", "_", text), 512)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
