"""A picture of each case: the requests of the three methods, and what EC2 or the workflow did meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.cases import CASES
from benchmarks.methods import METHODS
from benchmarks.report import PICTURES
from benchmarks.traffic import Run, Runs
from local.aws import LocalAws
from local.fault_layer import Call
from local.timeline import TOO_SHORT, Band, Panel, Request, bands, draw

DOTS_PER_INCH = 150


def draw_all(aws: LocalAws, runs: Runs) -> None:
    """Writes `pictures/<case>.png` for every case."""
    PICTURES.mkdir(exist_ok=True)
    for case in CASES:
        every = [runs[case, method] for method in METHODS]
        span = max(run.answers[-1].sent - run.answers[0].sent for run in every)
        figure = draw([_panel(aws, run, span) for run in every])
        figure.savefig(PICTURES / f"{case.name}.png", dpi=DOTS_PER_INCH, facecolor="white")


def history(aws: LocalAws, execution: str) -> list[dict[str, Any]]:
    """All events of an execution, in order."""
    pages = aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    return [event for page in pages for event in page["events"]]


def bands_of_calls(calls: Sequence[Call], names: Mapping[str, str], *, span: float) -> list[Band]:
    """A script's calls, a few milliseconds each, long enough to be seen in a picture of about `span` seconds."""
    shown = 2 * TOO_SHORT * span
    return [
        Band(
            f"{call.action}, {names[call.allocation_id]}" if call.allocation_id else call.action,
            call.began,
            max(call.ended, call.began + shown),
        )
        for call in calls
    ]


def _panel(aws: LocalAws, run: Run, span: float) -> Panel:
    names = {address.allocation_id: role for role, address in aws.addresses.items()}
    requests = [Request(each.sent, each.milliseconds, each.who, each.error) for each in run.answers]
    states = [
        band
        for execution in run.ended.executions
        for band in bands(history(aws, execution), ahead=run.wall_clock_ahead)
    ]
    steps = states or bands_of_calls(run.calls, names, span=span)
    return Panel(f"{run.method.name}: {run.case.title}", requests, steps, zero=run.ended.began)
