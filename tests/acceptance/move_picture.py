"""The distribution of waits as a picture: the share of moves with a wait of at most so long, on a logarithmic axis.

A dot is a move. A hollow dot is a wait whose end was not observed. The dashed lines are the percentiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.move_waits import PERCENTILES, Wait, percentile

SIZE = (6.4, 3.4)  # inches
SMALLEST_SECONDS = 0.001
DECADES = (0.001, 0.01, 0.1, 1, 10, 100, 1000)
NARROW = 50  # of an axis: the largest value divided by the smallest


class Colours(NamedTuple):
    paper: str
    ink: str
    faint: str
    line: str
    dot: str


LIGHT = Colours(paper="#ffffff", ink="#1f2328", faint="#59636e", line="#d8dee4", dot="#0072b2")
DARK = Colours(paper="#0d1117", ink="#e6edf3", faint="#9198a1", line="#2d343c", dot="#56b4e9")


def draw(file: Path, waits: Sequence[Wait], *, title: str, is_dark: bool) -> None:
    """Writes the picture as SVG. Raises ValueError if there are no waits."""
    import matplotlib  # noqa: PLC0415  # takes a second, and only a measurement needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter  # noqa: PLC0415

    colours, ordered = DARK if is_dark else LIGHT, sorted(waits)
    levels = [(f"p{percent}", percentile(percent, waits)) for percent in PERCENTILES] + [("maximum", ordered[-1])]
    at = [max(wait.seconds, SMALLEST_SECONDS) for wait in ordered]
    shares = [number / len(ordered) for number in range(1, len(ordered) + 1)]
    figure = Figure(figsize=SIZE, facecolor=colours.paper, layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(facecolor="none", xscale="log", ylim=(0, 1.05))
    limits = min(at) / 2, max(at) * 2
    axes.set_xlim(limits)
    axes.set_title(title, loc="left", color=colours.ink, fontsize=12.5, fontweight="bold")
    axes.step([limits[0], *at], [0, *shares], where="post", color=colours.dot, linewidth=1.2, zorder=2)
    for is_hollow in (False, True):
        chosen = [index for index, wait in enumerate(ordered) if wait.at_least == is_hollow]
        face = colours.paper if is_hollow else colours.dot
        axes.scatter(
            [at[index] for index in chosen], [shares[index] for index in chosen], s=16, facecolors=face,
            edgecolors=colours.dot, zorder=3, gid="hollow" if is_hollow else "moves",
        )  # fmt: skip
    for row, (name, wait) in enumerate(levels):
        where = max(wait.seconds, SMALLEST_SECONDS)
        axes.axvline(where, color=colours.faint, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        is_right = where * where > limits[0] * limits[1]  # of the middle: its name is to the left of the line
        axes.annotate(
            f"{name}  {wait}", (where, 0.42 - 0.11 * row), xytext=(-5 if is_right else 5, 0),
            textcoords="offset points", va="center", ha="right" if is_right else "left", fontsize=9.5,
            color=colours.ink, zorder=4, parse_math=False,
            bbox={"facecolor": colours.paper, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    steps = (1, 2, 5) if limits[1] < NARROW * limits[0] else (1,)
    axes.xaxis.set_major_locator(FixedLocator([decade * step for decade in DECADES for step in steps]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: str(_exactly(value))))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("time without a good answer", color=colours.faint, fontsize=10.5)
    axes.set_ylabel("share of moves", color=colours.faint, fontsize=10.5)
    axes.grid(color=colours.line, linewidth=0.7)
    axes.tick_params(length=0, labelsize=10.5, labelcolor=colours.faint)
    for side in axes.spines.values():
        side.set_color(colours.line)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "moves"}):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))


def _exactly(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"
