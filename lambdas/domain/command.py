"""A command that an execution runs on a server: how it is written into the item of the pair's lock. Pure."""

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime

from domain.events import in_json
from domain.pair import Json
from domain.text import printable, shortened

# Systems Manager User Guide, "Understanding command statuses", and API Reference, SendCommand.
UNKNOWN = "Unknown"  # Systems Manager does not say
GOING_ON = ("Pending", "InProgress", "Delayed", "Cancelling", UNKNOWN)
DELIVERY_SECONDS, MARGIN_SECONDS = 60, 20  # for the agent to fetch a command; 60 is the least
# So long after it was written into the item, a command was sent, or never is: both are tried `ONCE`, within 5 s each.
SENT_WITHIN_SECONDS = 15
LONGEST_LINE, LONGEST_OUTPUT = 200, 2_000


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
    def goes_on(self) -> bool:
        return self.status in GOING_ON

    @property
    def result(self) -> Json:
        """What the state returns about it."""
        return in_json(self, "step", "server", "status", "seconds", "line")

    def ends(self, status: str, failure: str | None = None) -> "Command":
        return replace(self, status=status, failure=failure, ended=True)

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
