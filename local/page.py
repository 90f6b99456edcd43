"""The page of a demo: its runs with their pictures, in one HTML file that loads nothing else.

Text from a server is shown as text, never as HTML.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment

from local import timeline
from local.timeline import Panel, Request

TEMPLATE = Path(__file__).with_name("page.html")
WIDE, NARROW = 8.6, 3.75  # inches: the window of a laptop and of a phone
# Colours of the picture. The page defines them for light mode and for dark mode.
PAGE_COLOURS = {
    timeline.INK: "var(--ink)",
    timeline.FAINT_INK: "var(--faint)",
    timeline.GRID: "var(--line)",
    timeline.BAND: "var(--band)",
    timeline.BAND_EDGE: "var(--edge)",
    timeline.FAILED: "var(--failed)",
    timeline.SERVER_COLOURS["bittybot"]: "var(--blue)",
}


@dataclass(frozen=True)
class Run:
    """One run: what happened, its outcome, and who held the production address before and after."""

    story: str
    outcome: str
    cause: str | None
    live_before: str | None
    live_after: str | None
    panel: Panel


def page(title: str, runs: Sequence[Run]) -> str:
    """The HTML."""
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(TEMPLATE.read_text())
    requests = {
        f"run-{number}-{name}": [
            (round(request.at - run.panel.start, 3), round(request.milliseconds, 1), request.who, request.error)
            for request in group
        ]
        for number, run in enumerate(runs)
        for name, group in timeline.groups([run.panel]).items()
    }
    return template.render(
        title=title, runs=[_shown(number, run) for number, run in enumerate(runs)], requests=requests
    )


def longest_gap(requests: Sequence[Request]) -> float:
    """The longest time without a good answer, in seconds: from the arrival of a good answer to that of the next.

    The observation begins when the first request is sent, and ends when the last answer arrives.
    """
    if not requests:
        return 0
    ends = sorted(request.at + request.milliseconds / 1000 for request in requests if request.error is None)
    moments = [min(request.at for request in requests), *ends]
    moments.append(max(request.at + request.milliseconds / 1000 for request in requests))
    return max(later - earlier for earlier, later in itertools.pairwise(moments))


def _shown(number: int, run: Run) -> dict[str, object]:
    requests = run.panel.requests
    return {
        "title": run.panel.title,
        "story": run.story,
        "outcome": run.outcome,
        "cause": run.cause,
        "live_before": run.live_before or "nobody",
        "live_after": run.live_after or "nobody",
        "sent": len(requests),
        "failed": sum(request.error is not None for request in requests),
        "longest_gap": _took(longest_gap(requests)),
        "slowest": _took(max((request.milliseconds for request in requests), default=0) / 1000),
        "states": [(band.name, _took(band.ended - band.began)) for band in run.panel.bands],
        "wide": _picture(run.panel, f"run-{number}", "wide", WIDE),
        "narrow": _picture(run.panel, f"run-{number}", "narrow", NARROW),
    }


def _picture(panel: Panel, name: str, kind: str, width: float) -> str:
    """The panel with unique ids and the page's colours, without its title, because the page shows the title."""
    untitled = Panel("", panel.requests, panel.bands, panel.zero)
    svg = timeline.as_svg(timeline.draw([untitled], width=width))
    svg = svg.replace(
        "<svg ", f'<svg class="{kind}" role="img" aria-label="The requests and the states, over time" ', 1
    )
    svg = re.sub(r'\bid="(panel-0-(?:answered|failed)[^"]*)"', rf'data-requests="{name}-\1"', svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-{kind}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    return svg


def _took(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
