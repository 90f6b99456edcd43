"""The page of `make demo` with a small run, as Chromium shows it on a laptop, in dark mode and on a phone."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from local.child_process import ChildProcess
from local.deployment import ROOT
from local.page import Run, page
from local.timeline import Band, Panel, Request

SECONDS = 120
BITTYBOT, TAO = "bittybot, release 1", "tao, release <2> & $x$"
REFUSED = "status 500 <b>"
# Before the move, while no answer is good, and after it.
BEFORE = [Request(100 + 0.1 * number, 2 + number % 5, BITTYBOT, None) for number in range(20)]
DURING = [Request(102 + 0.1 * number, 7.5, TAO, REFUSED) for number in range(4)] + [
    Request(102.4, 900, None, "timed out")
]
AFTER = [Request(103.3 + 0.1 * number, 3 + number % 4, TAO, None) for number in range(10)]
STATES = [
    Band("AcquireLock", 100.1, 100.1),
    Band("Preflight", 100.1, 101.8),
    Band("DisassociateStaging", 101.8, 101.85),
    Band("ReassociateProduction", 101.85, 101.95),
    Band("ReassociateStaging", 101.95, 102.0),
    Band("HealthCheckProduction", 102.0, 103.9),
    Band("CutOver", 103.95, 103.95),
]
RUN = Run(
    story="<script>alert(1)</script> is deployed.",
    outcome="CUT_OVER",
    cause="an <img src=http://127.0.0.1:9/> & more",
    live_before="bittybot",
    live_after="tao",
    panel=Panel("A release of <i>tao</i>", [*BEFORE, *DURING, *AFTER], STATES),
)
DRAWN = {"run-0-panel-0-answered-bittybot": BEFORE, "run-0-panel-0-failed": DURING, "run-0-panel-0-answered-tao": AFTER}
pytestmark = pytest.mark.parametrize("view", ["laptop", "night", "phone"])
# Paper, and the colours of the three groups, as they are on it.
DAY = ("#ffffff", {"bittybot": "#0072b2", "tao": "#e69f00", "failed": "#d0021b"})
NIGHT = ("#0d1117", {"bittybot": "#56b4e9", "tao": "#e69f00", "failed": "#ff5a5f"})
COLOURS = {"laptop": DAY, "night": NIGHT, "phone": DAY}

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """What Chromium saw, in each view; its screenshots are in the folder."""
    file, temporary = folder / "demo.html", folder / "tmp"
    file.write_text(page("A cutover", [RUN]), encoding="utf-8")
    temporary.mkdir()
    command: list[str | Path] = ["node", ROOT / "tests/local/look.mjs", file, folder]
    with (
        (folder / "seen.json").open("wb") as out,
        ChildProcess(command, env=os.environ | {"TMPDIR": str(temporary)}, stdout=out) as browser,
    ):
        assert browser.wait(SECONDS) == 0, "Chromium could not open the page; its errors are above"
    return dict(json.loads((folder / "seen.json").read_text()))


def picture(seen: dict[str, Any], view: str) -> dict[str, Any]:
    (only,) = seen[view]["pictures"]
    return dict(only)


def inside(inner: Box, outer: Box) -> bool:
    left, top, right, bottom = inner
    return outer[0] <= left < right <= outer[2] and outer[1] <= top < bottom <= outer[3]


def overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def distance(colour: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum((a - b) ** 2 for a, b in zip(colour, other, strict=True))


def test_the_browser_reports_no_problem_and_loads_nothing_but_the_file(seen: dict[str, Any], view: str) -> None:
    assert (seen[view]["problems"], seen[view]["requested"]) == ([], ["the page"])


def test_every_request_is_a_dot_or_a_cross_within_the_picture(seen: dict[str, Any], view: str) -> None:
    shown = picture(seen, view)
    assert {group: len(boxes) for group, boxes in shown["requests"].items()} == {
        group: len(requests) for group, requests in DRAWN.items()
    }
    assert all(inside(box, shown["box"]) for boxes in shown["requests"].values() for box in boxes)


def test_a_dot_is_at_the_time_of_its_request_and_higher_if_the_request_was_slower(
    seen: dict[str, Any], view: str
) -> None:
    boxes = [box for group in DRAWN for box in picture(seen, view)["requests"][group]]
    requests = [request for group in DRAWN.values() for request in group]
    by_time = sorted(range(len(boxes)), key=lambda number: boxes[number][0] + boxes[number][2])
    assert [requests[number].at for number in by_time] == sorted(request.at for request in requests)
    highest = min(range(len(boxes)), key=lambda number: boxes[number][1] + boxes[number][3])
    assert requests[highest].milliseconds == 900


def test_a_request_has_the_colour_of_its_server_or_of_a_failure(seen: dict[str, Any], view: str, folder: Path) -> None:
    pixels = imread(folder / f"{view}.png")
    paper, colours = COLOURS[view]
    for group, boxes in picture(seen, view)["requests"].items():
        for left, top, right, bottom in boxes:
            pixel = tuple(map(float, pixels[int((top + bottom) / 2), int((left + right) / 2)][:3]))
            nearest = min([paper, *colours.values()], key=lambda colour: distance(pixel, rgb(colour)))
            assert nearest == colours[group.rpartition("-")[2]], f"{group} at {left:.0f}, {top:.0f} in {view}.png"


def test_the_names_of_the_states_are_shown_and_overlap_neither_each_other_nor_the_edge(
    seen: dict[str, Any], view: str
) -> None:
    shown = picture(seen, view)
    assert [band["name"] for band in shown["bands"]] == [state.name for state in STATES[1:]]
    assert all(inside(band["box"], shown["box"]) for band in shown["bands"])
    for band, other in itertools.combinations(shown["bands"], 2):
        assert not overlap(band["box"], other["box"]), (band["name"], other["name"])


def test_pointing_at_a_request_shows_who_answered_when_and_how_long_it_took(seen: dict[str, Any], view: str) -> None:
    assert seen[view]["shown"] == {
        "run-0-panel-0-answered-bittybot": "bittybot, release 1 · at 1.90 s · 6 ms",
        "run-0-panel-0-failed": "no server · at 2.40 s · 900 ms · timed out",
        "run-0-panel-0-answered-tao": "tao, release <2> & $x$ · at 4.20 s · 4 ms",
    }


def test_the_page_says_what_happened_and_shows_text_from_servers_as_text(seen: dict[str, Any], view: str) -> None:
    text = " ".join(seen[view]["text"].split())
    for part in (
        "1. A release of <i>tao</i>",
        "<script>alert(1)</script> is deployed.",
        "Outcome: CUT_OVER",
        "an <img src=http://127.0.0.1:9/> & more",
        "live before bittybot live after tao requests sent 35 failed 5",
        # From the answer to the last request before the move, sent at 1.9 s, to the first good one after, at 3.3 s.
        "longest time without a good answer 1.40 s slowest request 900 ms",
    ):
        assert part in text
