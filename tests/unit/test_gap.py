"""What is said of a gap: how many requests failed, the longest time without a good answer, when the new server came."""

from datetime import UTC, datetime, timedelta
from typing import Any

from health.gap import GapRecord
from health.verdict import Finding, judge
from tests.unit.checks import BAD, answer, production

CHECK = production(identity_header="X-Server", release_header="X-Release")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FORMER = answer(X_Server="kai", X_Release="1")
NEW = answer(X_Server="tao", X_Release="2")


def found(probe: Any) -> Finding:
    return judge(CHECK, probe, 0)


def recorded(*probes: tuple[float, Any], new: dict[str, Any] | None = None) -> GapRecord:
    """A record that began at 100 s; each request ended so many seconds later."""
    record = GapRecord(began=100, new=new or {"identity": "tao", "release": "2"})
    for seconds, probe in probes:
        record.add(found(probe), 100 + seconds, BEGAN + timedelta(seconds=seconds))
    return record


def test_requests_and_failures_are_counted() -> None:
    gap = recorded((0.1, FORMER), (0.2, BAD), (0.3, BAD), (0.4, NEW)).until(100.5)
    assert (gap.requests, gap.failed) == (4, 2)


def test_the_longest_time_without_a_good_answer_is_from_one_to_the_next() -> None:
    record = recorded((0.1, FORMER), (0.2, BAD), (0.9, NEW), (1.0, NEW))
    assert record.until(101.1).longest_ms == 800


def test_it_begins_with_the_first_request() -> None:
    assert recorded((0.7, FORMER), (0.8, FORMER)).until(100.9).longest_ms == 700


def test_it_goes_on_until_now() -> None:
    assert recorded((0.1, FORMER), (0.2, BAD)).until(103.1).longest_ms == 3000
    assert recorded().until(102).longest_ms == 2000


def test_a_good_answer_that_is_late_does_not_make_the_gap_before_it_longer() -> None:
    # Requests do not wait for one another, so their answers may come in any order.
    assert recorded((0.5, FORMER), (0.4, FORMER), (0.6, NEW)).until(100.7).longest_ms == 500


def test_the_new_server_is_known_by_its_identity() -> None:
    gap = recorded((0.1, FORMER), (0.25, NEW), (0.4, NEW)).until(101)
    assert gap.to_json()["newServerAt"] == "2026-01-01T00:00:00.250Z"


def test_no_answer_is_none_of_a_new_server_that_sends_no_release() -> None:
    record = recorded((0.1, answer(X_Release="1")), (0.2, BAD), new={"identity": None, "release": None})
    assert record.until(101).new_server_at is None


def test_an_error_that_the_new_server_answers_is_an_answer_of_it() -> None:
    sick = answer(X_Server="tao")
    gap = recorded((0.1, FORMER), (0.2, type(sick)(500, 10, headers=sick.headers))).until(101)
    assert (gap.failed, gap.new_server_at) == (1, BEGAN + timedelta(seconds=0.2))


def test_without_an_identity_it_is_known_by_a_release_that_the_former_one_does_not_have() -> None:
    new = {"identity": None, "release": "2"}
    assert recorded((0.1, FORMER), (0.2, NEW), new=new).until(101).new_server_at == BEGAN + timedelta(seconds=0.2)
    assert recorded((0.1, NEW), (0.2, NEW), new=new).until(101).new_server_at is None


def test_where_nothing_tells_the_servers_apart_nothing_is_said() -> None:
    gap = recorded((0.1, FORMER), (0.2, NEW), new={"identity": None, "release": None}).until(101)
    assert gap.to_json() == {"requests": 2, "failed": 0, "longestMs": 800, "newServerAt": None, "seconds": 1.0}


def test_it_is_news_once_that_the_new_server_has_answered() -> None:
    record = recorded((0.1, FORMER))
    assert not record.news.is_set()
    record.add(found(NEW), 100.2, BEGAN)
    assert record.news.is_set()
    record.news.clear()
    record.add(found(NEW), 100.3, BEGAN)
    assert not record.news.is_set()
