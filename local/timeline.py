"""The picture of a run: every request as a dot, and the states of the workflow below, on the same time axis.

The position of a dot is when its request was sent and how long it took (milliseconds, on a logarithmic scale); its
colour is that of the server that answered. A red cross is a request that failed. Each state is a bar in a row of its
own, with its name beside it, so that names never overlap, however short the states are. The bars of states that run
the commands of a release have a stronger colour, and the wait for approval is a dashed frame. A dashed line is a move
of production. A shaded end with an arrow is what did not end with the observation.

matplotlib takes a second to load, so it is imported only when something is drawn: at the end of `make demo`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from local.palette import LIGHT, Palette
from local.panel import Band, Panel, groups, long_enough, server
from local.run_folder import LOCAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH, DOTS_HEIGHT, ROW_HEIGHT = 6.4, 1.9, 0.185  # inches
LEFT, RIGHT, AXIS_HEIGHT, LEGEND_HEIGHT = 0.66, 0.14, 0.46, 0.32  # inches
TITLE_HEIGHT, UNTITLED_HEIGHT = 0.56, 0.3  # inches
TITLE_SIZE, TEXT_SIZE, BAND_SIZE = 12.5, 10.5, 9.5  # points
TOO_SHORT = 0.003  # of the time axis: less than a pixel in a README
HEADROOM = 1.6  # above the slowest and below the fastest request, as a factor
TEXT_ROW = 13  # points
MOVE_LINE: dict[str, Any] = {"linewidth": 1, "linestyle": (0, (4, 2)), "zorder": 2}
# The states that run the team's own commands, and the state in which nothing runs until a person answers.
COMMANDS, APPROVAL = ("DeployRelease", "BeforeCutover", "AfterCutover", "AfterRollback"), "WaitForApproval"
OPEN_END = 0.2  # of the time axis, at least


def draw(panels: Sequence[Panel], *, width: float = WIDTH, palette: Palette = LIGHT) -> Figure:
    """The runs below each other on one time axis, `width` inches wide. `savefig` of the figure writes PNG and SVG."""
    os.environ.setdefault("MPLCONFIGDIR", str(LOCAL / "matplotlib"))  # its cache of fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # see above
    from matplotlib.figure import Figure  # noqa: PLC0415

    spans = [panel.seconds for panel in panels]
    first, last = min((span[0] for span in spans), default=0), max((span[1] for span in spans), default=1)
    open_ends = [span[1] for panel, span in zip(panels, spans, strict=True) if panel.goes_on]
    last = max([last, *(end + OPEN_END * (last - first) for end in open_ends)])
    hair = (last - first) * TOO_SHORT
    seen = [list(long_enough(panel.bands, 0 if panel.every_band else hair)) for panel in panels]
    titles = [TITLE_HEIGHT if panel.title else UNTITLED_HEIGHT for panel in panels]
    height = LEGEND_HEIGHT + sum(titles) + DOTS_HEIGHT * len(panels) + ROW_HEIGHT * sum(map(len, seen)) + AXIS_HEIGHT
    figure = Figure(figsize=(width, height), facecolor=palette.paper)
    FigureCanvasAgg(figure)
    margin = (last - first) * 0.015 or 0.5
    limits = (first - margin, last + margin)
    edge = height - LEGEND_HEIGHT
    for number, (panel, bands, title) in enumerate(zip(panels, seen, titles, strict=True)):
        edge -= title + DOTS_HEIGHT
        axes = _axes(figure, edge, DOTS_HEIGHT, limits, palette)
        _draw_requests(axes, panel, number, palette)
        _draw_moves(axes, panel, number, palette)
        _draw_open_end(axes, panel, number, palette)
        if bands:
            edge -= ROW_HEIGHT * len(bands)
            axes = _axes(figure, edge, ROW_HEIGHT * len(bands), limits, palette)
            _draw_bands(axes, panel, bands, number, palette, shortest=2 * hair if panel.every_band else 0)
        if number == len(panels) - 1:
            axes.tick_params(axis="x", labelbottom=True)
            axes.set_xlabel("seconds", fontsize=TEXT_SIZE, color=palette.faint, labelpad=2)
    _draw_legend(figure, panels, palette)
    return figure


def as_svg(figure: Figure) -> str:
    """The picture as an `<svg>` element for a page, with its text as text."""
    import matplotlib  # noqa: PLC0415  # see above

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "timeline"}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", facecolor="none", metadata=no_metadata)
    return out.getvalue()[out.getvalue().index("<svg") :]


def _axes(figure: Figure, bottom: float, height: float, limits: tuple[float, float], palette: Palette) -> Axes:
    """Axes as wide as the figure allows, `bottom` inches above its lower edge."""
    width, whole = figure.get_figwidth(), figure.get_figheight()
    box = (LEFT / width, bottom / whole, (width - LEFT - RIGHT) / width, height / whole)
    axes = figure.add_axes(box, facecolor="none", xlim=limits)
    axes.set_axisbelow(True)
    axes.grid(color=palette.line, linewidth=0.7)
    axes.tick_params(
        axis="both", which="both", length=0, labelsize=TEXT_SIZE, labelcolor=palette.faint, labelbottom=False
    )
    for side in axes.spines.values():
        side.set_color(palette.line)
    return axes


def _draw_requests(axes: Axes, panel: Panel, number: int, palette: Palette) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415

    failed = sum(not request.good for request in panel.requests)
    axes.set_title(
        f"{len(panel.requests):,} requests, {failed:,} failed",
        loc="left", fontsize=TEXT_SIZE, color=palette.failed if failed else palette.faint, pad=5, parse_math=False,
    )  # fmt: skip
    title = axes.annotate(
        panel.title, (0, 1), xycoords="axes fraction", xytext=(0, 21), textcoords="offset points",
        fontsize=TITLE_SIZE, fontweight="bold", color=palette.ink, parse_math=False,
    )  # fmt: skip
    left, right = _extent(title)
    title.set_fontsize(TITLE_SIZE * min(1, 0.95 * axes.get_window_extent().width / max(right - left, 1)))
    axes.set_yscale("log")
    times = [request.milliseconds for request in panel.requests if request.milliseconds > 0] or [1, 100]
    lowest, highest = min(1, *times) / HEADROOM, max(times) * HEADROOM
    rows = len(panel.moves) + bool(panel.goes_on)
    free = 1 - (TEXT_ROW * rows + 3) / (DOTS_HEIGHT * 72) if rows else 1  # of the height, below the rows of text
    axes.set_ylim(lowest, max(100 * HEADROOM, lowest * (highest / lowest) ** (1 / free)))
    axes.yaxis.set_major_locator(LogLocator(base=10))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    for group, requests in groups([panel]).items():
        at = [request.sent - panel.start for request in requests]
        took = [max(request.milliseconds, axes.get_ylim()[0]) for request in requests]
        gid = group.replace("panel-0-", f"panel-{number}-", 1)
        if group.endswith("-failed"):
            axes.scatter(at, took, s=22, marker="x", color=palette.failed, linewidths=1.1, gid=gid, zorder=4)
        else:
            # Square points: large enough to see a few dots, small enough to see many.
            size = min(25, max(9, 5000 / len(panel.requests)))
            axes.scatter(
                at, took, s=size, color=palette.server(server(requests[0])), linewidths=0, alpha=0.7, gid=gid, zorder=3
            )


def _draw_moves(axes: Axes, panel: Panel, number: int, palette: Palette) -> None:
    """A line for each move, with its name in a row of its own above the requests, to its right if there is room."""
    for row, move in enumerate(panel.moves):
        at = move.at - panel.start
        # Up to its own name, so that it crosses no other.
        axes.axvline(at, 0, 1 - TEXT_ROW * row / (DOTS_HEIGHT * 72), color=palette.ink, **MOVE_LINE)
        name = axes.annotate(
            move.name, (at, 1), xycoords=axes.get_xaxis_transform(), xytext=(4, -3 - TEXT_ROW * row),
            textcoords="offset points", va="top", fontsize=BAND_SIZE, color=palette.ink, zorder=5, parse_math=False,
            gid=f"panel-{number}-move-{row}",
        )  # fmt: skip
        beyond = max(0, _extent(name)[1] + 2 - axes.get_window_extent().x1)
        if beyond:  # over its own line
            name.set_x(4 - beyond * 72 / axes.figure.dpi)
            name.set_bbox({"facecolor": palette.paper, "edgecolor": "none", "pad": 1})


def _draw_open_end(axes: Axes, panel: Panel, number: int, palette: Palette) -> None:
    """From the last request to the edge: shaded, with an arrow at the height of the last requests, and in words."""
    if not panel.goes_on:
        return
    last = panel.requests[-1]
    colour = palette.faint if last.good else palette.failed
    began, edge = last.sent - panel.start, axes.get_xlim()[1]
    height = median(request.milliseconds for request in panel.requests[-20:])
    axes.axvspan(began, edge, color=colour, alpha=0.13, linewidth=0, zorder=1, gid=f"panel-{number}-open-end")
    axes.annotate(
        "", (edge, height), xytext=(began, height),
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 3, "shrinkB": 1}, zorder=5,
    )  # fmt: skip
    axes.annotate(
        panel.goes_on, (1, 1), xycoords="axes fraction", xytext=(-4, -3 - TEXT_ROW * len(panel.moves)),
        textcoords="offset points", va="top", ha="right", fontsize=BAND_SIZE, fontweight="bold", color=colour,
        zorder=5, parse_math=False, gid=f"panel-{number}-goes-on",
    )  # fmt: skip


def _draw_bands(
    axes: Axes, panel: Panel, bands: Sequence[Band], number: int, palette: Palette, *, shortest: float
) -> None:
    """A row for each band, at least `shortest` seconds long.

    The name is to the right of the bar if there is room, or else to the left if there is room, or else on the bar.
    """
    axes.set_ylim(len(bands) - 0.5, -0.5)
    axes.set_yticks([])
    for move in panel.moves:
        axes.axvline(move.at - panel.start, color=palette.edge, **MOVE_LINE)
    left, right = axes.get_window_extent().intervalx
    for row, band in enumerate(bands):
        began = band.began - panel.start
        ended = max(band.ended - panel.start, began + shortest)
        colour = palette.edge if band.name in COMMANDS else palette.band
        axes.barh(
            row, ended - began, left=began, height=0.62, facecolor="none" if band.name == APPROVAL else colour,
            linestyle="--" if band.name == APPROVAL else "-", edgecolor=palette.edge, linewidth=1, zorder=3,
        )  # fmt: skip
        label = axes.annotate(
            band.name, (ended, row), xytext=(5, 0), textcoords="offset points", va="center_baseline", ha="left",
            fontsize=BAND_SIZE, color=palette.ink, zorder=4, parse_math=False,
            gid=f"panel-{number}-band-{row}",
        )  # fmt: skip
        if _extent(label)[1] > right:
            label.xy = (began, row)
            label.set(position=(-5, 0), ha="right")
        if _extent(label)[0] < left:
            label.set(position=(5, 0), ha="left")
        if _extent(label)[1] > right:
            label.set(position=(-5, 0), ha="right")
            label.xy, label.xycoords = (1, row), axes.get_yaxis_transform()


def _extent(label: Text) -> tuple[float, float]:
    box = label.get_window_extent()
    return box.x0, box.x1


def _draw_legend(figure: Figure, panels: Sequence[Panel], palette: Palette) -> None:
    """The servers, each with the releases that ran on it; and the cross, if there is one."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    everything = [request for panel in panels for request in panel.requests]
    seen: dict[str, dict[str, None]] = {}
    for request in everything:
        if request.who and request.good:
            seen.setdefault(server(request) or "", {})[request.who.partition(",")[2].strip()] = None
    entries = [
        Line2D(
            [], [], marker="o", markersize=7, linestyle="", color=palette.server(name), label=_named(name, list(runs))
        )
        for name, runs in sorted(seen.items())
    ]
    if any(not request.good for request in everything):
        cross = Line2D([], [], marker="x", markersize=7, markeredgewidth=1.8, linestyle="", color=palette.failed)
        cross.set_label("failed")
        entries.append(cross)
    legend = figure.legend(
        handles=entries, loc="upper left", ncols=max(len(entries), 1), frameon=False, fontsize=TEXT_SIZE,
        labelcolor=palette.ink, borderaxespad=0.3, borderpad=0, handletextpad=0.1, columnspacing=1.6, handlelength=1.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    room = figure.get_figwidth() - legend.get_window_extent().width / figure.dpi
    legend.set_bbox_to_anchor((min(LEFT, max(room, 0)) / figure.get_figwidth(), 1), transform=figure.transFigure)


def _named(name: str, runs: Sequence[str]) -> str:
    """`tao, release 2`; for a server that changed meanwhile, `tao, release 2, release 4`."""
    return ", ".join([name, *filter(None, runs)])


def milliseconds(value: float) -> str:
    """`1.5 ms`, `20 ms`, `3 s`."""
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"
