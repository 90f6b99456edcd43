"""The picture of a run: every request as a dot, and the states of the workflow below, on the same time axis.

The position of a dot shows when its request was sent and how long it took (milliseconds, on a logarithmic scale). Its
colour shows the server that answered. A red cross is a failed request. Each state is a bar in its own row, with its
name beside the bar, so that the names of short states do not overlap.

matplotlib takes a second to load, so it is imported only when something is drawn: at the end of `make demo`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.run_folder import LOCAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# People with any colour vision can distinguish them, on white and on black (Okabe and Ito's blue and orange).
SERVER_COLOURS = {"bittybot": "#0072b2", "tao": "#e69f00"}
OTHER_SERVERS = "#009e73"
FAILED = "#d0021b"
INK, FAINT_INK, GRID, BAND, BAND_EDGE = "#1f2328", "#59636e", "#d8dee4", "#c5cdd6", "#8c959f"

WIDTH, DOTS_HEIGHT, ROW_HEIGHT = 6.4, 1.9, 0.185  # inches
LEFT, RIGHT, AXIS_HEIGHT, LEGEND_HEIGHT = 0.66, 0.14, 0.46, 0.32  # inches
TITLE_HEIGHT, UNTITLED_HEIGHT = 0.56, 0.3  # inches
TITLE_SIZE, TEXT_SIZE, BAND_SIZE = 12.5, 10.5, 9.5  # points
TOO_SHORT = 0.003  # of the time axis: less than a pixel in a README
HEADROOM = 1.6  # above the slowest and below the fastest request, as a factor


@dataclass(frozen=True)
class Request:
    """One request: when it was sent, in seconds, how long it took, and its error; None if the answer was good.

    `who` is the server and, after a comma, its release: "tao, release 2". None if no server answered.
    """

    at: float
    milliseconds: float
    who: str | None
    error: str | None


@dataclass(frozen=True)
class Band:
    """A period with a name, such as a state of the workflow; in seconds, on the clock of the requests."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Panel:
    """One run. Its time is counted from `zero`, or from the first request.

    Bands that are too short to be visible are left out; with `every_band`, they are drawn longer.
    """

    title: str
    requests: Sequence[Request] = ()
    bands: Sequence[Band] = ()
    zero: float | None = None
    every_band: bool = False

    @property
    def start(self) -> float:
        """Second 0 of the picture, on the clock of the requests."""
        if self.zero is not None:
            return self.zero
        moments = [request.at for request in self.requests] or [band.began for band in self.bands]
        return min(moments, default=0)

    @property
    def seconds(self) -> tuple[float, float]:
        """The first and the last moment to draw, counted from `start`."""
        moments = [request.at for request in self.requests]
        moments += [request.at + request.milliseconds / 1000 for request in self.requests]
        moments += [moment for band in self.bands for moment in (band.began, band.ended)]
        return min(moments, default=self.start) - self.start, max(moments, default=self.start + 1) - self.start


def bands(history: Sequence[Mapping[str, Any]], *, ahead: float) -> list[Band]:
    """The states in the events of an execution's history, in order, on the clock of the requests.

    The events have wall clock time. The wall clock is `ahead` by `time.time() - time.monotonic()` seconds. A state
    without an exit, such as the last state of a failed execution, ended at the entry of the next state, or at the end
    of the history.
    """
    moments = [event["timestamp"].timestamp() - ahead for event in history]
    entered = [
        (number, event["stateEnteredEventDetails"]["name"])
        for number, event in enumerate(history)
        if "stateEnteredEventDetails" in event
    ]
    states = []
    for (number, name), (following, _) in zip(entered, [*entered[1:], (len(history) - 1, "")], strict=True):
        exits = (
            later
            for later in range(number, len(history))
            if history[later].get("stateExitedEventDetails", {}).get("name") == name
        )
        states.append(Band(name, moments[number], moments[next(exits, following)]))
    return states


def server(request: Request) -> str | None:
    """The name of the server that answered, without its release."""
    return request.who.partition(",")[0] if request.who else None


def groups(panels: Sequence[Panel]) -> dict[str, list[Request]]:
    """The requests that look the same, in drawing order, by the id of their group in an SVG."""
    requests: dict[str, list[Request]] = {}
    for number, panel in enumerate(panels):
        for request in panel.requests:
            kind = "failed" if request.error is not None else f"answered-{server(request) or 'nobody'}"
            requests.setdefault(f"panel-{number}-{kind}", []).append(request)
    return requests


def draw(panels: Sequence[Panel], *, width: float = WIDTH) -> Figure:
    """The runs, one below the other on one time axis, `width` inches wide. `savefig` writes PNG or SVG."""
    os.environ.setdefault("MPLCONFIGDIR", str(LOCAL / "matplotlib"))  # its cache of fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  # see above
    from matplotlib.figure import Figure  # noqa: PLC0415

    spans = [panel.seconds for panel in panels]
    first, last = min((span[0] for span in spans), default=0), max((span[1] for span in spans), default=1)
    hair = (last - first) * TOO_SHORT
    seen = [list(long_enough(panel.bands, 0 if panel.every_band else hair)) for panel in panels]
    titles = [TITLE_HEIGHT if panel.title else UNTITLED_HEIGHT for panel in panels]
    height = LEGEND_HEIGHT + sum(titles) + DOTS_HEIGHT * len(panels) + ROW_HEIGHT * sum(map(len, seen)) + AXIS_HEIGHT
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    margin = (last - first) * 0.015 or 0.5
    limits = (first - margin, last + margin)
    edge = height - LEGEND_HEIGHT
    for number, (panel, bands, title) in enumerate(zip(panels, seen, titles, strict=True)):
        edge -= title + DOTS_HEIGHT
        axes = _axes(figure, edge, DOTS_HEIGHT, limits)
        _draw_requests(axes, panel, number)
        if bands:
            edge -= ROW_HEIGHT * len(bands)
            axes = _axes(figure, edge, ROW_HEIGHT * len(bands), limits)
            _draw_bands(axes, panel, bands, number, shortest=2 * hair if panel.every_band else 0)
        if number == len(panels) - 1:
            axes.tick_params(axis="x", labelbottom=True)
            axes.set_xlabel("seconds", fontsize=TEXT_SIZE, color=FAINT_INK, labelpad=2)
    _draw_legend(figure, panels)
    return figure


def as_svg(figure: Figure) -> str:
    """The picture as an `<svg>` element for a page, with its text as text."""
    import matplotlib  # noqa: PLC0415  # see above

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "timeline"}):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", facecolor="none", metadata=no_metadata)
    return out.getvalue()[out.getvalue().index("<svg") :]


def long_enough(bands: Sequence[Band], seconds: float) -> Iterator[Band]:
    """The bands of at least so many seconds, in order of time. The last band always stays."""
    ordered = sorted(bands, key=lambda band: band.began)
    for number, band in enumerate(ordered, start=1):
        if band.ended - band.began >= seconds or number == len(ordered):
            yield band


def _axes(figure: Figure, bottom: float, height: float, limits: tuple[float, float]) -> Axes:
    """Axes as wide as the figure allows, `bottom` inches above its lower edge."""
    width, whole = figure.get_figwidth(), figure.get_figheight()
    box = (LEFT / width, bottom / whole, (width - LEFT - RIGHT) / width, height / whole)
    axes = figure.add_axes(box, facecolor="none", xlim=limits)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.7)
    axes.tick_params(axis="both", which="both", length=0, labelsize=TEXT_SIZE, labelcolor=FAINT_INK, labelbottom=False)
    for side in axes.spines.values():
        side.set_color(GRID)
    return axes


def _draw_requests(axes: Axes, panel: Panel, number: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator  # noqa: PLC0415

    failed = sum(request.error is not None for request in panel.requests)
    axes.set_title(
        f"{len(panel.requests):,} requests, {failed:,} failed",
        loc="left", fontsize=TEXT_SIZE, color=FAILED if failed else FAINT_INK, pad=5, parse_math=False,
    )  # fmt: skip
    title = axes.annotate(
        panel.title, (0, 1), xycoords="axes fraction", xytext=(0, 21), textcoords="offset points",
        fontsize=TITLE_SIZE, fontweight="bold", color=INK, parse_math=False,
    )  # fmt: skip
    left, right = _extent(title)
    title.set_fontsize(TITLE_SIZE * min(1, 0.95 * axes.get_window_extent().width / max(right - left, 1)))
    axes.set_yscale("log")
    times = [request.milliseconds for request in panel.requests if request.milliseconds > 0] or [1, 100]
    axes.set_ylim(min(1, *times) / HEADROOM, max(100, *times) * HEADROOM)
    axes.yaxis.set_major_locator(LogLocator(base=10))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: milliseconds(value)))
    for group, requests in groups([panel]).items():
        at = [request.at - panel.start for request in requests]
        took = [max(request.milliseconds, axes.get_ylim()[0]) for request in requests]
        gid = group.replace("panel-0-", f"panel-{number}-", 1)
        if group.endswith("-failed"):
            axes.scatter(at, took, s=22, marker="x", color=FAILED, linewidths=1.1, gid=gid, zorder=4)
        else:
            # Square points: large enough to see a few dots, small enough to see many.
            size = min(25, max(9, 5000 / len(panel.requests)))
            axes.scatter(
                at, took, s=size, color=_colour(server(requests[0])), linewidths=0, alpha=0.7, gid=gid, zorder=3
            )


def _draw_bands(axes: Axes, panel: Panel, bands: Sequence[Band], number: int, *, shortest: float) -> None:
    """A row for each band, at least `shortest` seconds long.

    The name is to the right of the bar if there is room, or else to the left if there is room, or else on the bar.
    """
    axes.set_ylim(len(bands) - 0.5, -0.5)
    axes.set_yticks([])
    left, right = axes.get_window_extent().intervalx
    for row, band in enumerate(bands):
        began = band.began - panel.start
        ended = max(band.ended - panel.start, began + shortest)
        axes.barh(row, ended - began, left=began, height=0.62, color=BAND, edgecolor=BAND_EDGE, linewidth=1, zorder=3)
        label = axes.annotate(
            band.name, (ended, row), xytext=(5, 0), textcoords="offset points", va="center_baseline", ha="left",
            fontsize=BAND_SIZE, color=INK, zorder=4, parse_math=False,
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


def _draw_legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """The legend: the servers, each with its releases, and the cross if a request failed."""
    from matplotlib.lines import Line2D  # noqa: PLC0415

    everything = [request for panel in panels for request in panel.requests]
    seen: dict[str, dict[str, None]] = {}
    for request in everything:
        if request.who and request.error is None:
            seen.setdefault(server(request) or "", {})[request.who.partition(",")[2].strip()] = None
    entries = [
        Line2D([], [], marker="o", markersize=7, linestyle="", color=_colour(name), label=_named(name, list(runs)))
        for name, runs in sorted(seen.items())
    ]
    if any(request.error is not None for request in everything):
        cross = Line2D([], [], marker="x", markersize=7, markeredgewidth=1.8, linestyle="", color=FAILED)
        cross.set_label("failed")
        entries.append(cross)
    legend = figure.legend(
        handles=entries, loc="upper left", ncols=max(len(entries), 1), frameon=False, fontsize=TEXT_SIZE,
        labelcolor=INK, borderaxespad=0.3, borderpad=0, handletextpad=0.1, columnspacing=1.6, handlelength=1.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    room = figure.get_figwidth() - legend.get_window_extent().width / figure.dpi
    legend.set_bbox_to_anchor((min(LEFT, max(room, 0)) / figure.get_figwidth(), 1), transform=figure.transFigure)


def _named(name: str, runs: Sequence[str]) -> str:
    """`tao, release 2`; for a server that changed meanwhile, `tao, release 2, release 4`."""
    return ", ".join([name, *filter(None, runs)])


def _colour(name: str | None) -> str:
    return SERVER_COLOURS.get(name or "", OTHER_SERVERS)


def milliseconds(value: float) -> str:
    """`1.5 ms`, `20 ms`, `3 s`."""
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"
