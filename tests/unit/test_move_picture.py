"""The picture of moves: each dot is where its rank is, the axis can be read, and equal levels share a label."""

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance.move_picture import DARK, LIGHT, Point, curve, draw, labels, points, ticks
from tests.acceptance.move_waits import Wait

WAITS = [Wait(False, 0.034), Wait(False, 0.479), Wait(False, 0.12), Wait(True, 0.2)]


@pytest.mark.parametrize(("is_dark", "colours"), [(False, LIGHT), (True, DARK)])
def test_a_panel_has_a_dot_for_each_move_and_the_colours_of_its_page(
    tmp_path: Path, is_dark: bool, colours: object
) -> None:
    draw(tmp_path / "a.svg", {"time one": WAITS, "time two": WAITS[:2]}, title="4 moves", is_dark=is_dark)
    picture = ET.parse(tmp_path / "a.svg")  # noqa: S314  # written just before

    def dots(panel: str, kind: str) -> int:
        (group,) = picture.findall(f".//*[@id='{panel}']//*[@id='{kind}']")
        return len([each for each in group.iter() if each.tag.endswith("}use")])

    assert [dots("time-one", "full"), dots("time-one", "hollow"), dots("time-two", "full")] == [3, 1, 2]
    text = (tmp_path / "a.svg").read_text()
    assert isinstance(colours, tuple)
    assert f"fill: {colours[0]}" in text
    for label in ("4 moves", "time one", "time two", "p50  120 ms", "more than 200 ms", "share of moves", "100 ms"):
        assert label in text


def test_a_wait_whose_end_was_not_seen_is_where_it_was_seen_last_and_ranks_behind_every_other() -> None:
    assert points(WAITS) == [
        Point(0.034, 0.25, is_hollow=False),
        Point(0.12, 0.5, is_hollow=False),
        Point(0.479, 0.75, is_hollow=False),
        Point(0.2, 1.0, is_hollow=True),
    ]


@pytest.mark.parametrize("waits", [WAITS, [Wait(True, 1)], [Wait(True, 0.001), *WAITS, Wait(False, 0)]])
def test_the_curve_never_runs_backwards(waits: list[Wait]) -> None:
    corners = curve(points(waits), left=0.0005)
    assert all(before[0] <= after[0] and before[1] < after[1] for before, after in pairwise(corners))


def test_levels_that_coincide_share_a_label() -> None:
    assert labels([Wait(False, 0.034), Wait(False, 0.479)]) == [
        (0.034, "p50  34 ms"),
        (0.479, "p90, p99, maximum  479 ms"),
    ]
    assert labels([Wait(False, 1)]) == [(1, "p50, p90, p99, maximum  1.00 s")]


@pytest.mark.parametrize(("smallest", "largest"), [(0.034, 0.479), (0.02, 0.021), (0.001, 60), (5, 10), (0.9, 1.1)])
def test_the_axis_names_some_values_and_not_too_many(smallest: float, largest: float) -> None:
    named = ticks(smallest / 2, largest * 2)
    assert 3 <= len(named) <= 8
    assert smallest / 2 <= named[0]
    assert named[-1] <= largest * 2
