"""The page of `make demo` with a small run, as Chromium shows it on a laptop, in dark mode and on a phone."""

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from local.child_process import ChildProcess
from local.deployment import ROOT
from local.headline import Headline
from local.load import Answer
from local.page import Run, page
from local.palette import DARK, LIGHT
from local.panel import Band, Mark, Panel

SECONDS = 120
BITTYBOT, TAO = "bittybot, release 1", "tao, release <2> & $x$"
REFUSED = "status 500 <b>"
# Before the move, while no answer is good, and after it.
BEFORE = [Answer(100 + 0.1 * number, 2 + number % 5, BITTYBOT, None) for number in range(20)]
DURING = [Answer(102 + 0.1 * number, 7.5, TAO, REFUSED) for number in range(4)] + [
    Answer(102.4, 900, None, "timed out")
]
AFTER = [Answer(103.3 + 0.1 * number, 3 + number % 4, TAO, None) for number in range(10)]
STATES = [
    Band("AcquireLock", 100.1, 100.1),
    Band("Preflight", 100.1, 101.8),
    Band("DisassociateStaging", 101.8, 101.85),
    Band("ReassociateProduction", 101.85, 101.95),
    Band("ReassociateStaging", 101.95, 102.0),
    Band("HealthCheckProduction", 102.0, 103.9),
    Band("CutOver", 103.95, 103.95),
]
MOVES = [Mark("production moves to tao", 101.95), Mark("production moves to bittybot & $x$", 103.0)]
RUN = Run(
    headline=Headline("Bad for <b>1.4 s</b>, then back", good=False),
    story="<script>alert(1)</script> is deployed.",
    outcome="CUT_OVER",
    cause="an <img src=http://127.0.0.1:9/> & more",
    live_before="bittybot",
    live_after="tao",
    panel=Panel("A release of <i>tao</i>", [*BEFORE, *DURING, *AFTER], STATES, MOVES),
)
GOOD = replace(RUN, headline=Headline("No request failed", good=True), panel=Panel("Nothing failed", BEFORE, STATES))
DRAWN = {"run-0-panel-0-answered-bittybot": BEFORE, "run-0-panel-0-failed": DURING, "run-0-panel-0-answered-tao": AFTER}
pytestmark = pytest.mark.parametrize("view", ["laptop", "night", "phone"])
PALETTES = {"laptop": LIGHT, "night": DARK, "phone": LIGHT}

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """What Chromium saw, in each view; its screenshots are in the folder."""
    file, temporary = folder / "demo.html", folder / "tmp"
    file.write_text(page("A cutover", [RUN, GOOD]), encoding="utf-8")
    temporary.mkdir()
    command: list[str | Path] = ["node", ROOT / "tests/local/look.mjs", file, folder]
    with (
        (folder / "seen.json").open("wb") as out,
        ChildProcess(command, env=os.environ | {"TMPDIR": str(temporary)}, stdout=out) as browser,
    ):
        assert browser.wait(SECONDS) == 0, "Chromium could not open the page; its errors are above"
    return dict(json.loads((folder / "seen.json").read_text()))


def picture(seen: dict[str, Any], view: str) -> dict[str, Any]:
    return dict(seen[view]["pictures"][0])


def inside(inner: Box, outer: Box) -> bool:
    left, top, right, bottom = inner
    return outer[0] <= left < right <= outer[2] and outer[1] <= top < bottom <= outer[3]


def overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def css(colour: str) -> str:
    return f"rgb({', '.join(str(round(255 * part)) for part in rgb(colour))})"


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
    assert [requests[number].sent for number in by_time] == sorted(request.sent for request in requests)
    highest = min(range(len(boxes)), key=lambda number: boxes[number][1] + boxes[number][3])
    assert requests[highest].milliseconds == 900


def test_a_request_has_the_colour_of_its_server_or_of_a_failure(seen: dict[str, Any], view: str, folder: Path) -> None:
    pixels = imread(folder / f"{view}.png")
    palette = PALETTES[view]
    colours = {"bittybot": palette.bittybot, "tao": palette.tao, "failed": palette.failed}
    for group, boxes in picture(seen, view)["requests"].items():
        for left, top, right, bottom in boxes:
            pixel = tuple(map(float, pixels[int((top + bottom) / 2), int((left + right) / 2)][:3]))
            nearest = min([palette.paper, *colours.values()], key=lambda colour: distance(pixel, rgb(colour)))
            assert nearest == colours[group.rpartition("-")[2]], f"{group} at {left:.0f}, {top:.0f} in {view}.png"


def test_the_names_of_the_states_are_shown_and_overlap_neither_each_other_nor_the_edge(
    seen: dict[str, Any], view: str
) -> None:
    shown = picture(seen, view)
    assert [band["name"] for band in shown["bands"]] == [state.name for state in STATES[1:]]
    assert all(inside(band["box"], shown["box"]) for band in shown["bands"])
    for band, other in itertools.combinations(shown["bands"], 2):
        assert not overlap(band["box"], other["box"]), (band["name"], other["name"])


def test_a_move_of_production_is_named_above_the_requests_and_within_the_picture(
    seen: dict[str, Any], view: str
) -> None:
    shown = picture(seen, view)
    assert [move["name"] for move in shown["moves"]] == [move.name for move in MOVES]
    first, second = (move["box"] for move in shown["moves"])
    assert inside(first, shown["box"])
    assert inside(second, shown["box"])
    assert not overlap(first, second)
    highest = min(top for boxes in shown["requests"].values() for _, top, _, _ in boxes)
    assert max(first[3], second[3]) < highest
    assert seen[view]["pictures"][1]["moves"] == []


def test_the_verdict_is_in_the_headline_in_green_or_in_red(seen: dict[str, Any], view: str) -> None:
    palette = PALETTES[view]
    assert seen[view]["verdicts"] == [
        {"text": "Bad for <b>1.4 s</b>, then back", "colour": css(palette.failed)},
        {"text": "No request failed", "colour": css(palette.good)},
    ]


def test_pointing_at_a_request_shows_who_answered_when_and_how_long_it_took(seen: dict[str, Any], view: str) -> None:
    shown = {group: text for group, text in seen[view]["shown"].items() if group.startswith("run-0-")}
    assert shown == {
        "run-0-panel-0-answered-bittybot": "bittybot, release 1 · at 1.90 s · 6 ms",
        "run-0-panel-0-failed": "no server · at 2.40 s · 900 ms · timed out",
        "run-0-panel-0-answered-tao": "tao, release <2> & $x$ · at 4.20 s · 4 ms",
    }


def test_the_page_says_what_happened_and_shows_text_from_servers_as_text(seen: dict[str, Any], view: str) -> None:
    text = " ".join(seen[view]["text"].split())
    for part in (
        "1. A release of <i>tao</i>: Bad for <b>1.4 s</b>, then back",
        "2. Nothing failed: No request failed",
        "<script>alert(1)</script> is deployed.",
        "Outcome: CUT_OVER",
        "an <img src=http://127.0.0.1:9/> & more",
        "live before bittybot live after tao requests sent 35 failed 5",
        # From the answer to the last request before the move, sent at 1.9 s, to the first good one after, at 3.3 s.
        "longest time without a good answer 1.40 s slowest request 900 ms",
    ):
        assert part in text
