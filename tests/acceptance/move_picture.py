"""Distributions of waits as a picture: the share of moves with a wait of at most so long, on logarithmic axes.

A dot is a move. A hollow dot, with a line to the right, is a wait whose end was not observed: it is longer than where
the dot is, and ranks behind every other. The dashed lines are the percentiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.move_waits import PERCENTILES, Wait, percentile

LEVELS = (*(f"p{percent}" for percent in PERCENTILES), "maximum")
WIDTH, HEIGHT_OF_A_PANEL = 6.4, 3.2  # inches
SMALLEST_SECONDS = 0.001
DECADES = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
STEPS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))  # of a decade: what the axis may name
FEWEST_TICKS = 3


class Colours(NamedTuple):
    paper: str
    ink: str
    faint: str
    line: str
    dot: str


LIGHT = Colours(paper="#ffffff", ink="#1f2328", faint="#59636e", line="#d8dee4", dot="#0072b2")
DARK = Colours(paper="#0d1117", ink="#e6edf3", faint="#9198a1", line="#2d343c", dot="#56b4e9")


class Point(NamedTuple):
    """Where a move's dot is. `is_hollow`: the end of its wait was not observed."""

    seconds: float
    share: float
    is_hollow: bool


def points(waits: Sequence[Wait]) -> list[Point]:
    """A dot for each wait, in the order of their ranks."""
    return [Point(_on_axis(wait), rank / len(waits), wait.at_least) for rank, wait in enumerate(sorted(waits), start=1)]


def curve(dots: Sequence[Point], left: float) -> list[tuple[float, float]]:
    """The corners of the curve, from the left edge through the full dots. It never runs backwards."""
    return [(left, 0.0), *((dot.seconds, dot.share) for dot in dots if not dot.is_hollow)]


def labels(waits: Sequence[Wait]) -> list[tuple[float, str]]:
    """Where the percentiles and the maximum are, and their labels: equal values share one."""
    values = [*(percentile(percent, waits) for percent in PERCENTILES), max(waits)]
    named = groupby(zip(values, LEVELS, strict=True), key=lambda pair: str(pair[0]))
    return [(_on_axis(group[0][0]), f"{', '.join(name for _, name in group)}  {text}") for text, group in
            ((text, list(pairs)) for text, pairs in named)]  # fmt: skip


def limits(dots: Sequence[Point]) -> tuple[float, float]:
    """The ends of the axis. Its last third is free for labels to the right of their lines, below the curve."""
    least, most = min(dot.seconds for dot in dots), max(dot.seconds for dot in dots)
    return least / 2, most * 2 * max(1, 0.72 * (most / least) ** 0.52)


def ticks(left: float, right: float) -> list[float]:
    """The values that an axis names: as few as possible, and at least `FEWEST_TICKS` if it can."""
    chosen: list[float] = []
    for steps in STEPS:
        chosen = [decade * step for decade in DECADES for step in steps if left <= decade * step <= right]
        if len(chosen) >= FEWEST_TICKS:
            break
    return chosen


def draw(file: Path, panels: Mapping[str, Sequence[Wait]], *, title: str, is_dark: bool) -> None:
    """Writes the picture as SVG, with a panel for each name. Raises ValueError if a panel has no waits."""
    import matplotlib  # noqa: PLC0415  # takes a second, and only a measurement needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    colours = DARK if is_dark else LIGHT
    figure = Figure(figsize=(WIDTH, HEIGHT_OF_A_PANEL * len(panels)), facecolor=colours.paper, layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(title, x=0.02, ha="left", color=colours.ink, fontsize=12.5, fontweight="bold")
    for number, (name, waits) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(len(panels), 1, number, facecolor="none", xscale="log", ylim=(0, 1.05))
        axes.set_gid(name.replace(" ", "-"))
        axes.set_xlabel(name, color=colours.faint, fontsize=10.5)
        _draw_panel(axes, waits, colours)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "moves"}):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))


def _draw_panel(axes: Any, waits: Sequence[Wait], colours: Colours) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter  # noqa: PLC0415

    dots = points(waits)
    left, right = limits(dots)
    axes.set_xlim(left, right)
    axes.step(*zip(*curve(dots, left), strict=True), where="post", color=colours.dot, linewidth=1.2, zorder=2)
    for is_hollow in (False, True):
        chosen = [dot for dot in dots if dot.is_hollow == is_hollow]
        axes.scatter(
            [dot.seconds for dot in chosen], [dot.share for dot in chosen], s=16, edgecolors=colours.dot, zorder=3,
            facecolors=colours.paper if is_hollow else colours.dot, gid="hollow" if is_hollow else "full",
        )  # fmt: skip
    for dot in dots:
        if dot.is_hollow:
            axes.plot((dot.seconds, right), (dot.share, dot.share), color=colours.dot, linewidth=0.8, linestyle=":")
    for row, (where, text) in enumerate(labels(waits)):
        axes.axvline(where, color=colours.faint, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            text, (where, 0.42 - 0.11 * row), xytext=(5, 0), textcoords="offset points", va="center", ha="left",
            fontsize=9.5, color=colours.ink, zorder=4, parse_math=False,
            bbox={"facecolor": colours.paper, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(ticks(left, right)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _exactly(value)))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel("share of moves", color=colours.faint, fontsize=10.5)
    axes.grid(color=colours.line, linewidth=0.7)
    axes.tick_params(length=0, labelsize=10.5, labelcolor=colours.faint)
    for side in axes.spines.values():
        side.set_color(colours.line)


def _on_axis(wait: Wait) -> float:
    return max(wait.seconds, SMALLEST_SECONDS)


def _exactly(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"
