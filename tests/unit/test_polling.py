"""The loops of the health check: one loop on a clock that does not wait, and several loops at once in threads."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from health.check import Check
from health.deadline import ProbeStopped, Stop
from health.polling import Polled, bake, poll, together
from health.probe import Target
from health.result import Probe
from health.verdict import Healthy, Unhealthy
from tests.unit.checks import BAD, CHECK, GOOD, REFUSED, SLOW, check


@dataclass
class Time(Stop):
    """A clock that moves only when someone waits or a probe takes its time; `stops_at` is when the loop is stopped."""

    now: float = 1000.0
    stops_at: float = float("inf")

    def clock(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout >= 0
        self.now = min(self.now + timeout, max(self.stops_at, self.now))
        return self.now >= self.stops_at


def looped(
    check: Check, result: Callable[[int], Probe], *, bakes: float | None = None, passing: Time | None = None
) -> tuple[Polled, list[float], float]:
    """How the loop ended, when each probe started and when it was over, in seconds; `result` gives probe n."""
    passing = passing or Time()
    starts: list[float] = []

    def probe(target: Target, stop: Stop) -> Probe:
        assert (target, stop) == (check, passing)
        starts.append(passing.now - 1000)
        outcome = result(len(starts) - 1)
        passing.now += outcome.milliseconds / 1000
        return outcome

    loop = poll if bakes is None else partial(bake, seconds=bakes)
    polled = loop(check, probe, stop=passing, clock=passing.clock)
    return polled, starts, passing.now - 1000


# Until there is a verdict


@pytest.mark.parametrize(
    ("result", "verdict", "starts", "over"),
    [
        (lambda _: Probe(200, 250), Healthy(), [0, 1, 2], 2.25),
        (lambda _: Probe(200, 1500), Healthy(), [0, 1.5, 3], 4.5),
        (lambda _: SLOW, Unhealthy("3 probes in a row failed: no answer within 2 s"), [0, 2, 4], 6),
        (lambda n: replace(REFUSED if n < 2 else GOOD, milliseconds=0), Healthy(), [0, 1, 2, 3, 4], 4),
    ],
    ids=["good", "slower than the interval", "dead", "good after two failures"],
)
def test_a_probe_starts_at_the_interval_or_at_once_after_a_slower_probe(
    result: Callable[[int], Probe], verdict: object, starts: list[float], over: float
) -> None:
    ended, started, ended_at = looped(CHECK, result)
    assert (ended.verdict, ended.probe_count, started, ended_at) == (verdict, len(starts), starts, over)


@pytest.mark.parametrize(("good", "bad"), [(GOOD, BAD), (GOOD, SLOW), (Probe(200, 1500), SLOW)])
@pytest.mark.parametrize("interval", [1, 2, 5])
def test_a_flapping_server_is_unhealthy_at_the_deadline(good: Probe, bad: Probe, interval: int) -> None:
    flapping = check(intervalSeconds=interval, deadlineSeconds=6 * max(interval, 2))
    ended, starts, over = looped(flapping, lambda n: good if n % 2 else bad)
    assert isinstance(ended.verdict, Unhealthy)
    assert ended.verdict.reason.startswith("it kept flapping: neither 3 good nor 3 bad probes came in a row within")
    assert len(starts) >= 6
    assert over <= flapping.deadline_seconds


@pytest.mark.parametrize(
    ("healthy", "unhealthy", "fails", "probes"),
    [(1, 1, 0, 1), (10, 1, 0, 10), (1, 10, 9, 10), (2, 10, 9, 12), (10, 2, 1, 12), (10, 10, 9, 20)],
)
def test_no_deadline_cuts_off_the_slowest_healthy_server(healthy: int, unhealthy: int, fails: int, probes: int) -> None:
    """Also by the shortest deadline that the configuration allows, and if each probe ends a little late."""
    counts: dict[str, Any] = {"healthyThresholdCount": healthy, "unhealthyThresholdCount": unhealthy}
    late = check(**counts, deadlineSeconds=probes * 2)
    ended, _, _ = looped(late, lambda n: replace(SLOW if n < fails else GOOD, milliseconds=2001))
    assert (ended.verdict, ended.probe_count) == (Healthy(), fails + healthy)


@pytest.mark.parametrize(("fails", "verdict", "last"), [(32, Healthy, 34), (99, Unhealthy, 32)])
def test_a_server_may_fail_for_its_start_period_and_a_few_probes_more(fails: int, verdict: type, last: float) -> None:
    starting = check(startPeriodSeconds=30, deadlineSeconds=60)
    ended, starts, _ = looped(starting, lambda n: REFUSED if n < fails else GOOD)
    assert isinstance(ended.verdict, verdict)
    assert starts[-1] == last


def test_a_stopped_loop_does_not_wait_for_its_interval() -> None:
    waiting = check(intervalSeconds=10, deadlineSeconds=60)
    ended, starts, over = looped(waiting, lambda _: GOOD, passing=Time(stops_at=1003))
    assert (ended.verdict, starts, over) == (None, [0], 3)


def test_a_verdict_counts_even_if_the_loop_was_stopped_meanwhile() -> None:
    once = check(healthyThresholdCount=1)
    assert looped(once, lambda _: GOOD, passing=Time(stops_at=1000.005))[0].verdict == Healthy()


def test_a_long_wait_does_not_delay_all_later_probes() -> None:
    class Late(Time):
        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(timeout + 0.25 if timeout else 0)

    _, starts, _ = looped(check(healthyThresholdCount=5, deadlineSeconds=30), lambda _: Probe(200, 0), passing=Late())
    assert starts == [0, 1.25, 2.25, 3.25, 4.25]


# The bake


@pytest.mark.parametrize(
    ("interval", "milliseconds", "seconds", "starts"),
    [(1, 10, 3.5, [1, 2, 3, 3.5]), (1, 0, 3, [1, 2, 3]), (60, 10, 5, [5]), (1, 1875, 5, [1, 2.875, 4.75])],
    ids=["at the interval and at its end", "once at its end", "shorter than the interval", "in flight at its end"],
)
def test_a_bake_sends_probes(interval: float, milliseconds: int, seconds: float, starts: list[float]) -> None:
    checked = check(intervalSeconds=interval, deadlineSeconds=360)
    ended, started, over = looped(checked, lambda _: Probe(200, milliseconds), bakes=seconds)
    assert (ended.verdict, started) == (Healthy(), starts)
    assert over == pytest.approx(starts[-1] + milliseconds / 1000)


@pytest.mark.parametrize(
    ("result", "verdict", "starts"),
    [
        (lambda n: BAD if n >= 2 else GOOD, Unhealthy, [1, 2, 3, 4, 5]),
        (lambda n: BAD if n in (2, 3) else GOOD, Healthy, [1, 2, 3, 4, 5]),
        (lambda n: BAD if n == 1 else GOOD, Healthy, [1, 2, 3]),
        (lambda n: SLOW if n >= 2 else GOOD, Unhealthy, [1, 2, 3, 5, 7]),
    ],
)
def test_a_bake_whose_last_probe_is_bad_continues_until_it_is_decided(
    result: Callable[[int], Probe], verdict: type, starts: list[float]
) -> None:
    ended, started, over = looped(CHECK, result, bakes=3)
    assert isinstance(ended.verdict, verdict)
    assert started == starts
    assert over <= 3 + (3 - 1) * 2 + 2, "which stacks/configuration/health_check.py leaves time for"


def test_a_dead_server_ends_the_bake_at_once_and_a_few_failures_do_not() -> None:
    ended, starts, over = looped(CHECK, lambda n: GOOD if n < 50 and n % 3 == 2 else REFUSED, bakes=600)
    assert ended.verdict == Unhealthy("3 probes in a row failed: connection refused")
    assert starts[-1] == 51
    assert over == pytest.approx(51.001)


def test_a_long_bake_keeps_its_last_20_findings() -> None:
    ended, starts, _ = looped(CHECK, lambda _: GOOD, bakes=600)
    assert (len(starts), ended.probe_count, len(ended.findings)) == (600, 600, 20)
    assert ended.findings[-1].at_seconds == 600


def test_a_stopped_probe_does_not_count() -> None:
    def stopped(_target: Target, _stop: Stop) -> Probe:
        raise ProbeStopped

    for ended in (poll(CHECK, stopped, Stop()), bake(CHECK, stopped, 0, Stop())):
        assert (ended.verdict, ended.findings, ended.probe_count) == (None, [], 0)


# Several at the same time


def test_loops_run_at_the_same_time_and_their_results_come_in_order() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def loop(number: int) -> Callable[[Stop], int]:
        return lambda _: barrier.wait() * 0 + number

    assert together([loop(1), loop(2), loop(3)], lambda _: False) == [1, 2, 3]


def test_a_final_result_or_an_exception_ends_the_waits_of_the_other_loops() -> None:
    def waits(stop: Stop) -> float:
        return stop.wait(30)

    began = time.monotonic()
    assert together([waits, lambda _: False], lambda result: result is False) == [True, False]
    with pytest.raises(ZeroDivisionError):
        together([waits, lambda _: 1 / 0], lambda _: False)
    assert time.monotonic() - began < 5
