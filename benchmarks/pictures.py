"""A picture of each case: the requests during the three methods, and the states of the workflow or the calls to EC2.

Every picture is drawn for light and dark pages. The README's has two methods of one case, and is legible on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.cases import ANSWERS_500, CASES, Case
from benchmarks.methods import METHODS, SCRIPT, WORKFLOW
from benchmarks.report import PICTURES
from benchmarks.traffic import Run, Runs
from local.aws import LocalAws
from local.palette import DARK, LIGHT
from local.panel import Band, Panel, bands, marks
from local.summary import Summary
from local.timeline import WIDTH, draw

README = "readme"
README_WIDTH = 5.0  # inches
DOTS_PER_INCH, README_DOTS_PER_INCH = 150, 220  # the README's is also for the screens of phones

Panels = Mapping[tuple[Case, str], Panel]


def panels(aws: LocalAws, runs: Runs) -> Panels:
    """What is drawn of every case, by the case and the name of the method."""
    return {(case, method.name): _panel(aws, run) for (case, method), run in runs.items()}


def draw_all(drawn: Panels, folder: Path = PICTURES) -> None:
    """Write `<case>.png` and `<case>-dark.png` for every case, and the README's."""
    folder.mkdir(exist_ok=True)
    for case in CASES:
        _write(folder, case.name, [drawn[case, method.name] for method in METHODS], WIDTH, DOTS_PER_INCH)
    of_readme = [drawn[ANSWERS_500, method.name] for method in (SCRIPT, WORKFLOW)]
    _write(folder, README, of_readme, README_WIDTH, README_DOTS_PER_INCH)


def goes_on(summary: Summary, staging: str | None) -> str:
    """What did not end with the observation, in words. `staging` is the server that held the staging address then."""
    if not summary.recovered:
        return "goes on: nobody puts it back"
    return "" if staging else "staging stays on no server: nobody puts it back"


def _write(folder: Path, name: str, drawn: Sequence[Panel], width: float, dots_per_inch: int) -> None:
    for suffix, palette in (("", LIGHT), ("-dark", DARK)):
        draw(drawn, width=width, palette=palette).savefig(folder / f"{name}{suffix}.png", dpi=dots_per_inch)


def _panel(aws: LocalAws, run: Run) -> Panel:
    """The panel of a run, with the states of the workflow or with every call of a script, which takes milliseconds."""
    names = {address.allocation_id: role for role, address in aws.addresses.items()}
    states = [
        band for execution in run.ended.executions for band in bands(aws.history(execution), ahead=run.wall_clock_ahead)
    ]
    calls = [
        Band(
            f"{call.action}, {names[call.allocation_id]}" if call.allocation_id else call.action, call.began, call.ended
        )
        for call in run.calls
    ]
    return Panel(
        f"{run.method.name}: {run.case.title}",
        run.answers,
        states or calls,
        marks(run.moves),
        goes_on=goes_on(run.summary, run.staging),
        zero=run.ended.began,
        every_band=not states,
    )
