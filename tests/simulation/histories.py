"""The history of an execution as Step Functions shows it (GetExecutionHistory), divided by branches."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TRY = re.compile(r"(?:Task|LambdaFunction)(\w+)")
ENDS = {"Succeeded", "Failed", "TimedOut", "SubmitFailed", "StartFailed", "ScheduleFailed"}
OF_PARALLEL = {"ParallelStateSucceeded", "ParallelStateFailed", "ParallelStateExited"}
# Nothing that a replay compares: it finds out itself what cannot be evaluated.
LEFT_OUT = {"TaskStarted", "TaskSubmitted", "LambdaFunctionStarted", "EvaluationFailed", *OF_PARALLEL} - {
    "ParallelStateExited"
}


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is Entered, Exited, Forked, Scheduled, or how a try ended: Succeeded, Failed, TimedOut."""

    id: int
    kind: str
    details: Mapping[str, Any]
    at: float

    @property
    def name(self) -> str:
        return str(self.details.get("name", ""))


@dataclass(slots=True)
class Strand:
    """The events of an execution, or of a branch of it, in order. `parent` is where the branch comes from."""

    parent: "Strand | None" = None
    events: list[Event] = field(default_factory=list)
    read: int = 0

    @property
    def next(self) -> Event | None:
        return self.events[self.read] if self.read < len(self.events) else None

    @property
    def unread(self) -> list[Event]:
        return self.events[self.read :]


class History:
    """`end` is the last event of an execution that has ended: ExecutionSucceeded, ExecutionFailed, ..."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.root = Strand()
        self.branches: dict[tuple[int, str], Strand] = {}
        self.end: tuple[str, Mapping[str, Any]] | None = None
        strands: dict[int, Strand] = {}
        forks: set[int] = set()
        for event in sorted(events, key=lambda each: int(each["id"])):
            kind, previous = str(getattr(event["type"], "value", event["type"])), int(event["previousEventId"])
            details = _details(event)
            strand = strands.get(previous, self.root)
            if kind in OF_PARALLEL:
                strand = strand.parent or strand
            elif previous in forks and kind.endswith("StateEntered"):
                strand = self.branches[previous, details["name"]] = Strand(strand)
            strands[event["id"]] = strand
            if kind.startswith("Execution"):
                self.end = (kind, details) if kind not in {"ExecutionStarted", "ExecutionRedriven"} else None
            elif kind not in LEFT_OUT:
                strand.events.append(Event(event["id"], _kind(kind), details, _seconds(event["timestamp"])))
            if kind == "ParallelStateStarted":
                forks.add(event["id"])

    def unread(self) -> Iterator[Event]:
        for strand in (self.root, *self.branches.values()):
            yield from strand.unread


def _details(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((value for key, value in event.items() if key.endswith("EventDetails")), {})


def _kind(kind: str) -> str:
    if kind.endswith("StateEntered"):
        return "Entered"
    if kind.endswith("StateExited"):
        return "Exited"
    if kind == "ParallelStateStarted":
        return "Forked"
    if (of_try := TRY.fullmatch(kind)) and of_try[1] in {"Scheduled", *ENDS}:
        return of_try[1]
    raise ValueError(f"an event of the type {kind} is not known here")


def _seconds(moment: Any) -> float:
    return (moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))).timestamp()


def parsed(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text
