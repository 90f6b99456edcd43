"""The page of a demo: its runs with their pictures, in one HTML file that loads nothing else.

Text from a server is shown as text, never as HTML.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jinja2 import Environment

from local import timeline
from local.headline import Headline
from local.load import REQUESTS_A_SECOND
from local.palette import DARK, LIGHT
from local.panel import Panel, groups
from local.summary import summarized

TEMPLATE = Path(__file__).with_name("page.html")
WIDE, NARROW = 8.6, 3.75  # inches: a laptop's window, a phone's


@dataclass(frozen=True)
class Run:
    """One run: the verdict, what happened, its outcome, and who held the production address before and after."""

    headline: Headline
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
            (round(request.sent - run.panel.start, 3), round(request.milliseconds, 1), request.who, request.error)
            for request in group
        ]
        for number, run in enumerate(runs)
        for name, group in groups([run.panel]).items()
    }
    return template.render(
        title=title,
        runs=[_shown(number, run) for number, run in enumerate(runs)],
        requests=requests,
        requests_a_second=REQUESTS_A_SECOND,
        light=asdict(LIGHT),
        dark=asdict(DARK),
    )


def _shown(number: int, run: Run) -> dict[str, object]:
    summary = summarized(run.panel.requests)
    return {
        "headline": run.headline,
        "title": run.panel.title,
        "story": run.story,
        "outcome": run.outcome,
        "cause": run.cause,
        "live_before": run.live_before or "nobody",
        "live_after": run.live_after or "nobody",
        "sent": summary.sent,
        "failed": summary.failed,
        "longest_without": _took(summary.longest_without),
        "slowest": _took(summary.slowest / 1000),
        "states": [(band.name, _took(band.ended - band.began)) for band in run.panel.bands],
        "wide": _picture(run.panel, f"run-{number}", "wide", WIDE),
        "narrow": _picture(run.panel, f"run-{number}", "narrow", NARROW),
    }


def _picture(panel: Panel, name: str, kind: str, width: float) -> str:
    """The panel without its title, which the page has; with unique ids, and in the page's colours."""
    svg = timeline.as_svg(timeline.draw([replace(panel, title="")], width=width))
    svg = svg.replace(
        "<svg ", f'<svg class="{kind}" role="img" aria-label="The requests and the states, over time" ', 1
    )
    svg = re.sub(r'\bid="(panel-0-(?:answered|failed)[^"]*)"', rf'data-requests="{name}-\1"', svg)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-{kind}-", svg)
    for variable, colour in asdict(LIGHT).items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg


def _took(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
