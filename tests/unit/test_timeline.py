"""The picture of a run: its states, its dots and its texts."""

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from local import timeline
from local.deployment import ROOT
from local.load import Answer
from local.palette import DARK, LIGHT, Palette
from local.panel import Band, Mark, Panel, bands, groups, long_enough
from local.run_folder import LOCAL

AHEAD = 1_700_000_000.0  # of the wall clock, over the one of the requests


def good(at: float, milliseconds: float = 10, who: str | None = "tao, release 2") -> Answer:
    return Answer(at, milliseconds, who, None)


def event(at: float, *, entered: str | None = None, exited: str | None = None) -> dict[str, Any]:
    moment = {"timestamp": datetime.fromtimestamp(AHEAD + at, UTC)}
    details = {"stateEnteredEventDetails": entered, "stateExitedEventDetails": exited}
    return moment | {key: {"name": name} for key, name in details.items() if name}


def names(panels: Sequence[Panel], width: float = timeline.WIDTH) -> list[Annotation]:
    figure = timeline.draw(panels, width=width)
    texts = [text for axes in figure.axes for text in axes.texts]
    return [text for text in texts if isinstance(text, Annotation) and "-band-" in (text.get_gid() or "")]


@pytest.mark.parametrize(
    ("history", "states"),
    [
        ([event(1), event(2, entered="A"), event(5, exited="A"), event(6, entered="B"), event(7, exited="B")],
         [Band("A", 2, 5), Band("B", 6, 7)]),
        ([event(2, entered="A"), event(4, entered="Fail"), event(4.5)], [Band("A", 2, 4), Band("Fail", 4, 4.5)]),
        ([event(1, entered="A"), event(1, entered="X"), event(3, exited="X"), event(4, exited="A")],
         [Band("A", 1, 4), Band("X", 1, 3)]),
        ([event(1, entered="A"), event(2, exited="A"), event(3, entered="A"), event(5, exited="A")],
         [Band("A", 1, 2), Band("A", 3, 5)]),
    ],
    ids=["to its exit", "without an exit, to the next entry or the end", "nested", "entered twice"],
)  # fmt: skip
def test_a_state_is_a_band_on_the_clock_of_the_requests(history: list[dict[str, Any]], states: list[Band]) -> None:
    assert bands(history, ahead=AHEAD) == states


def test_a_state_that_is_too_short_is_left_out_unless_it_is_the_last() -> None:
    states = [Band("Short", 1, 1.001), Band("Long", 1.001, 3), Band("End", 3, 3)]
    assert [band.name for band in long_enough(states, 0.01)] == ["Long", "End"]


def test_with_every_band_even_the_shortest_is_visible() -> None:
    calls = [Band("Describe", 1, 1.001), Band("Move", 1.002, 1.003), Band("Long", 2, 9)]
    seen = [text.get_text() for text in names([Panel("", bands=calls, every_band=True)])]
    assert seen == ["Describe", "Move", "Long"]
    figure = timeline.draw([Panel("", bands=calls, every_band=True)])
    widths = [bar.get_extents().width for axes in figure.axes for bar in axes.patches]  # in pixels
    assert min(widths) > 2


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_commands_of_a_release_have_a_colour_of_their_own_and_the_wait_for_approval_is_a_dashed_frame(
    palette: Palette,
) -> None:
    states = ["DeployRelease", "Preflight", "WaitForApproval", "BeforeCutover", "Bake", "AfterCutover", "AfterRollback"]
    moments = enumerate(states)
    panel = Panel("Run", [good(at) for at in range(8)], [Band(name, began, began + 1) for began, name in moments])
    figure = timeline.draw([panel], palette=palette)
    bars = [bar for axes in figure.axes for bar in axes.patches]
    colours = {name: to_hex(bar.get_facecolor(), keep_alpha=True) for name, bar in zip(states, bars, strict=True)}
    commands, others = ["DeployRelease", "BeforeCutover", "AfterCutover", "AfterRollback"], ["Preflight", "Bake"]
    assert {colours[name] for name in commands} == {f"{palette.edge}ff"}
    assert {colours[name] for name in others} == {f"{palette.band}ff"}
    assert colours["WaitForApproval"].endswith("00"), "nothing is in the frame"
    assert [name for name, bar in zip(states, bars, strict=True) if bar.get_linestyle() == "--"] == ["WaitForApproval"]


@pytest.mark.parametrize("width", [3.75, timeline.WIDTH, 8.6])
def test_names_of_states_never_overlap_and_stay_within_the_picture(width: float) -> None:
    """Many short states side by side, in the beginning, the middle and the end of a run."""
    moments = [0, 0.1, 0.2, 0.3, 4.4, 4.5, 4.6, 5, 5.1, 9.7, 9.8, 9.9, 10]
    states = [Band(f"StateNumber{began:.1f}OfVeryMany", began, ended) for began, ended in itertools.pairwise(moments)]
    panels = [Panel("Run", [good(at / 10) for at in range(100)], states)]
    labels = names(panels, width)
    assert len(labels) == len(states)
    boxes = [label.get_window_extent() for label in labels]
    assert not any(box.overlaps(other) for box, other in itertools.combinations(boxes, 2))
    for label, box in zip(labels, boxes, strict=True):
        assert label.axes
        assert label.axes.bbox.x0 <= box.x0
        assert box.x1 <= label.axes.bbox.x1


def test_a_server_has_the_same_colour_with_every_release() -> None:
    alone = groups([Panel("Run", [good(1), good(2, who="tao, release 4"), Answer(3, 9, "tao, release 4", "500")])])
    assert [*alone] == ["panel-0-answered-tao", "panel-0-failed"]
    assert all(palette.tao != palette.bittybot for palette in (LIGHT, DARK))


@pytest.mark.parametrize(
    "panel",
    [
        Panel("Nothing", []),
        Panel("Only states", [], [Band("A", 5, 6)]),
        Panel("One request", [good(5)]),
        Panel("One that took no time", [good(5, 0)]),
        Panel("A very slow one", [good(5, 600_000)]),
        Panel("A move and an open end", [good(5)], moves=[Mark("production moves to $x$", 5)], goes_on="goes $on$"),
        Panel("Nobody answered", [Answer(5, 5000, None, "timed out")]),
        Panel("An answer without a name", [good(5, who=None)]),
        Panel("Costs $5 or $6_^{", [good(5, who="$x^{, release $2")], [Band("$y_", 5, 6)]),
        Panel("A title that is far too long for the picture, which is why it gets smaller until it fits", [good(5)]),
    ],
    ids=lambda panel: panel.title,
)
def test_any_run_can_be_drawn(panel: Panel) -> None:
    for panels in ([], [panel], [panel, panel]):
        figure = timeline.draw(panels)
        titles = [text for axes in figure.axes for text in axes.texts if text.get_text() == panel.title]
        assert len(titles) == len(panels)
        assert all(title.get_window_extent().x1 <= figure.bbox.x1 for title in titles)
        figure.savefig(BytesIO(), format="png")
        assert timeline.as_svg(figure).startswith("<svg")


def test_the_runs_of_a_picture_share_a_time_axis_that_counts_from_the_zero_of_each_run() -> None:
    figure = timeline.draw([Panel("A", [good(100), good(103)]), Panel("B", [good(500), good(501)], zero=499)])
    first, second = figure.axes
    assert first.get_xlim() == second.get_xlim()
    (dots,) = second.collections
    assert [float(at) for at in np.asarray(dots.get_offsets())[:, 0]] == [1, 2]


def test_matplotlib_keeps_its_fonts_in_the_checkout() -> None:
    program = "from local import timeline; timeline.draw([]); import matplotlib; print(matplotlib.get_cachedir())"
    environment = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert Path(done.stdout.decode().strip()).is_relative_to(LOCAL)


OUTAGE = [*(good(at / 100) for at in range(100)), *(Answer(1 + at / 100, 3, None, "refused") for at in range(100))]
MOVES = [Mark("production moves to tao", 1), Mark("production moves to bittybot", 1.2)]


def labels(figure: Figure, kind: str) -> list[Annotation]:
    texts = [text for axes in figure.axes for text in axes.texts]
    return [text for text in texts if isinstance(text, Annotation) and f"-{kind}" in (text.get_gid() or "")]


def dots(axes: Axes) -> list[tuple[float, float]]:
    """The middle of every dot and cross, in pixels."""
    offsets = [np.asarray(group.get_offsets()) for group in axes.collections]
    return [tuple(axes.transData.transform(point)) for group in offsets for point in group]


@pytest.mark.parametrize("width", [3.75, timeline.WIDTH, 8.6])
@pytest.mark.parametrize("slowest", [20, 900, 30_000])
def test_a_move_is_a_line_through_requests_and_states_with_its_name_above_every_request(
    width: float, slowest: float
) -> None:
    panel = Panel("Run", [*OUTAGE, good(1.99, slowest)], [Band("A", 0.5, 2)], MOVES, goes_on="goes on", zero=0.5)
    figure = timeline.draw([panel], width=width)
    for axes in figure.axes:
        assert [list(map(float, np.asarray(line.get_xdata()))) for line in axes.lines] == [[0.5, 0.5], [0.7, 0.7]]
    names = labels(figure, "move-")
    assert [label.get_text() for label in names] == [move.name for move in MOVES]
    boxes = [label.get_window_extent() for label in [*names, *labels(figure, "goes-on")]]
    assert not any(box.overlaps(other) for box, other in itertools.combinations(boxes, 2))
    assert all(figure.axes[0].bbox.x0 <= box.x0 < box.x1 <= figure.axes[0].bbox.x1 for box in boxes)
    assert max(y for _, y in dots(figure.axes[0])) < min(box.y0 for box in boxes)


def test_the_line_of_a_move_ends_at_its_own_name_and_crosses_no_other() -> None:
    figure = timeline.draw([Panel("Run", OUTAGE, [], MOVES)])
    first, second = (label.get_window_extent() for label in labels(figure, "move-"))
    ends = [line.get_window_extent().y1 for line in figure.axes[0].lines]
    assert ends[1] <= first.y0 + 2
    assert ends[1] >= second.y0


def test_an_outage_that_did_not_end_has_an_open_end_to_the_edge_with_an_arrow_and_words() -> None:
    """Though another run is longer: its own observation ended, and its outage did not."""
    longer = Panel("Longer", [good(0), good(8)])
    for others in ([longer], []):
        panel = Panel("Run", OUTAGE, goes_on="goes on: nobody puts it back")
        figure = timeline.draw([panel, *others])
        axes = figure.axes[0]
        left, right = axes.get_xlim()
        (shaded,) = [patch for patch in axes.patches if patch.get_gid() == "panel-0-open-end"]
        began, ended = shaded.get_extents().transformed(axes.transData.inverted()).intervalx
        assert (began, ended) == (pytest.approx(1.99), pytest.approx(right))
        assert ended - began > 0.15 * (right - left)
        (arrow,) = [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch]
        assert tuple(map(float, arrow.xy)) == (right, 3)
        (words,) = labels(figure, "goes-on")
        assert (words.get_text(), words.get_color()) == ("goes on: nobody puts it back", LIGHT.failed)


def test_an_observation_in_which_nothing_goes_on_has_no_open_end() -> None:
    figure = timeline.draw([Panel("Run", OUTAGE)])
    assert (labels(figure, "goes-on"), list(figure.axes[0].patches)) == ([], [])


def test_a_state_that_goes_on_without_a_failure_is_not_red() -> None:
    (words,) = labels(timeline.draw([Panel("Run", [good(1), good(2)], goes_on="staging stays")]), "goes-on")
    assert words.get_color() == LIGHT.faint


def test_at_night_a_picture_has_no_colour_that_is_for_the_day() -> None:
    panel = Panel("Run", OUTAGE, [Band("A", 0.5, 2)], MOVES, goes_on="goes on")
    svg = timeline.as_svg(timeline.draw([panel], palette=DARK))
    same = {LIGHT.tao, LIGHT.other}
    assert [name for name, colour in asdict(LIGHT).items() if colour in svg and colour not in same] == []
    assert DARK.failed in svg
    assert to_hex(timeline.draw([panel], palette=DARK).get_facecolor()) == DARK.paper
