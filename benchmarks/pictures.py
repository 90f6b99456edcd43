"""A picture of each case: the requests during the three methods, and the states of the workflow or the calls to EC2."""

from __future__ import annotations

from typing import Any

from benchmarks.cases import CASES
from benchmarks.methods import METHODS
from benchmarks.report import PICTURES
from benchmarks.traffic import Run, Runs
from local.aws import LocalAws
from local.timeline import Band, Panel, Request, bands, draw

DOTS_PER_INCH = 150


def draw_all(aws: LocalAws, runs: Runs) -> None:
    """Write `pictures/<case>.png` for every case."""
    PICTURES.mkdir(exist_ok=True)
    for case in CASES:
        every = [runs[case, method] for method in METHODS]
        figure = draw([_panel(aws, run) for run in every])
        figure.savefig(PICTURES / f"{case.name}.png", dpi=DOTS_PER_INCH, facecolor="white")


def history(aws: LocalAws, execution: str) -> list[dict[str, Any]]:
    """All events of an execution, in order."""
    pages = aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    return [event for page in pages for event in page["events"]]


def _panel(aws: LocalAws, run: Run) -> Panel:
    """The panel of a run, with the states of the workflow or with every call of a script, which takes milliseconds."""
    names = {address.allocation_id: role for role, address in aws.addresses.items()}
    requests = [Request(each.sent, each.milliseconds, each.who, each.error) for each in run.answers]
    states = [
        band
        for execution in run.ended.executions
        for band in bands(history(aws, execution), ahead=run.wall_clock_ahead)
    ]
    calls = [
        Band(
            f"{call.action}, {names[call.allocation_id]}" if call.allocation_id else call.action, call.began, call.ended
        )
        for call in run.calls
    ]
    title = f"{run.method.name}: {run.case.title}"
    return Panel(title, requests, states or calls, zero=run.ended.began, every_band=not states)
