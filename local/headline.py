"""The verdict on a run, from its end and from what its load measured. Green is for a run in which no request failed."""

from __future__ import annotations

from dataclasses import dataclass

from local.aws import Execution
from local.summary import Summary, duration


@dataclass(frozen=True)
class Headline:
    """`good` says whether it is green; otherwise it is red."""

    text: str
    good: bool


def headline(execution: Execution, summary: Summary, *, moved: bool, back: bool) -> Headline:
    """`moved`: an address moved at some moment. `back`: production ended on the server that it was on before."""
    if summary.failing is not None:
        rest = ("back" if moved and back else "good") if summary.recovered else None
        bad = f"Bad for {duration(summary.failing)}"
        return Headline(f"{bad}, then {rest}" if rest else f"{bad}, and it goes on", good=False)
    if execution.status == "SUCCEEDED":
        return Headline("No request failed", good=True)
    if execution.status == "FAILED" and back and not moved:
        return Headline("Refused: nothing changed", good=True)
    if execution.error == "RolledBack" and back:
        return Headline("Rolled back: no request failed", good=True)
    return Headline(f"Not finished: {execution.error or execution.status}", good=False)
