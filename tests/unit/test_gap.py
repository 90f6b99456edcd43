"""The measured gap: failed requests, the longest time without a good answer, and the new server's first answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.pair import Json
from health.check import Answered
from health.result import Probe
from health.verdict import judge
from measure_gap import gap_of
from tests.unit.checks import BAD, answer, production

CHECK = production(identity_header="X-Server", release_header="X-Release")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TAO_2 = Answered(identity="tao", release="2")
FORMER = answer(X_Server="kai", X_Release="1")
NEW = answer(X_Server="tao", X_Release="2")


def gap(*probes: tuple[float, Probe], until: float, new_server: Answered = TAO_2) -> Json:
    """What was measured from 100 s on; each request ended so many seconds later."""
    results = [(judge(CHECK, probe, 0), 100 + seconds, BEGAN + timedelta(seconds=seconds)) for seconds, probe in probes]
    return gap_of(results, new_server, began=100, now=100 + until)


def test_an_outcome_reports_requests_failures_and_when_the_new_server_answered_first() -> None:
    assert gap((0.1, FORMER), (0.25, BAD), (0.4, NEW), (0.5, NEW), until=0.7) == {
        "requests": 4, "failed": 1, "longestMs": 300, "newServerAt": "2026-01-01T00:00:00.400Z", "seconds": 0.7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("probes", "until", "longest_ms"),
    [
        ([(0.1, FORMER), (0.2, BAD), (0.9, NEW), (1.0, NEW)], 1.1, 800),
        ([(0.7, FORMER), (0.8, FORMER)], 0.9, 700),
        ([(0.1, FORMER), (0.2, BAD)], 3.1, 3000),
        ([], 2, 2000),
        # Requests do not wait for one another, so their answers may come in any order.
        ([(0.5, FORMER), (0.4, FORMER), (0.6, NEW)], 0.7, 500),
    ],
    ids=["between two good answers", "to the first", "since the last", "without any", "out of order"],
)
def test_the_longest_time_between_good_answers_is_found(
    probes: list[tuple[float, Probe]], until: float, longest_ms: int
) -> None:
    assert gap(*probes, until=until)["longestMs"] == longest_ms


@pytest.mark.parametrize(
    ("new_server", "probes", "at"),
    [
        (TAO_2, [FORMER, NEW, NEW], 1), (TAO_2, [FORMER, replace(NEW, status=500)], 1),
        (TAO_2, [FORMER, answer(X_Server="kai", X_Release="2")], None), (Answered(release="2"), [FORMER, NEW], 1),
        (Answered(release="2"), [NEW, NEW], None), (Answered(), [FORMER, NEW, BAD], None),
    ],
    ids=["its identity", "also of an error", "not its release", "its release", "the same release", "nothing"],
)  # fmt: skip
def test_the_new_server_is_recognized_by_its_headers(new_server: Answered, probes: list[Probe], at: int | None) -> None:
    measured = gap(*enumerate(probes), until=9, new_server=new_server)
    assert measured["newServerAt"] == (at and f"2026-01-01T00:00:0{at}.000Z")
