"""The loops of the health check: without waiting, on a clock of their own; and several at the same time, in threads."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from health.check import Check
from health.deadline import ProbeStopped, Stop
from health.polling import Polled, bake, poll, together
from health.probe import Probe
from health.verdict import Healthy, Stopped, Unhealthy
from tests.unit.checks import BAD, CHECK, GOOD, REFUSED, SLOW, check


@dataclass
class Time:
    """A clock that moves only when somebody waits or a probe takes its time; `stops_at` is when the loop is stopped."""

    now: float = 1000.0
    stops_at: float = float("inf")

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        assert seconds >= 0
        self.now = min(self.now + seconds, max(self.stops_at, self.now))
        return self.now >= self.stops_at


def looped(
    check: Check, found: Callable[[int], Probe], *, bakes: float | None = None, stops_after: float = float("inf")
) -> tuple[Polled, list[float], float]:
    """How the loop ended, when each probe started and when it was over, in seconds; `found` gives probe n."""
    passing = Time(stops_at=1000 + stops_after)
    starts: list[float] = []

    def probe_once() -> Probe:
        one = found(len(starts))
        starts.append(passing.now - 1000)
        passing.now += one.milliseconds / 1000
        return one

    if bakes is None:
        polled = poll(check, probe_once, passing.clock, passing.wait)
    else:
        polled = bake(check, probe_once, bakes, passing.clock, passing.wait)
    assert polled.probe_count == len(starts)
    assert polled.seconds == passing.now - 1000
    return polled, starts, passing.now - 1000


def polled(check: Check, found: Callable[[int], Probe]) -> tuple[object, list[float], float]:
    ended, starts, over = looped(check, found)
    return ended.verdict, starts, over


# Until there is a verdict


def test_three_good_probes_at_one_second_take_two_seconds_and_the_last_answer() -> None:
    verdict, starts, over = polled(CHECK, lambda _: Probe(200, 250))
    assert verdict == Healthy()
    assert starts == [0, 1, 2]
    assert over == 2.25


def test_after_a_slow_probe_the_next_starts_at_once() -> None:
    verdict, starts, over = polled(CHECK, lambda _: Probe(200, 1500))
    assert verdict == Healthy()
    assert starts == [0, 1.5, 3]
    assert over == 4.5


def test_a_dead_address_fails_after_its_timeouts_and_not_at_the_deadline() -> None:
    verdict, _, over = polled(CHECK, lambda _: SLOW)
    assert verdict == Unhealthy("3 probes in a row failed: no answer within 2 s")
    assert over == 6


def test_a_server_that_is_well_after_two_failures_is_healthy() -> None:
    verdict, starts, _ = polled(CHECK, lambda n: REFUSED if n < 2 else GOOD)
    assert verdict == Healthy()
    assert len(starts) == 5


@pytest.mark.parametrize(("good", "bad"), [(GOOD, BAD), (GOOD, SLOW), (Probe(200, 1500), SLOW)])
@pytest.mark.parametrize("interval", [1, 2, 5])
def test_flapping_ends_by_the_deadline_as_unhealthy(good: Probe, bad: Probe, interval: int) -> None:
    flapping = check(intervalSeconds=interval, deadlineSeconds=6 * max(interval, 2))
    verdict, starts, over = polled(flapping, lambda n: good if n % 2 else bad)
    assert isinstance(verdict, Unhealthy)
    assert verdict.reason.startswith(f"it kept flapping: in {flapping.deadline_seconds} s neither")
    assert len(starts) >= 6
    assert over <= flapping.deadline_seconds


@pytest.mark.parametrize("thresholds", [(1, 1), (2, 10), (10, 2), (10, 10)])
def test_the_slowest_server_that_is_healthy_after_all_is_not_cut_off_by_the_deadline(
    thresholds: tuple[int, int],
) -> None:
    healthy, unhealthy = thresholds
    late = check(
        healthyThresholdCount=healthy, unhealthyThresholdCount=unhealthy, deadlineSeconds=(healthy + unhealthy) * 2
    )
    verdict, starts, _ = polled(
        late, lambda n: replace(SLOW, milliseconds=2001) if n < unhealthy - 1 else Probe(200, 2001)
    )
    assert verdict == Healthy()
    assert len(starts) == healthy + unhealthy - 1


def test_a_server_may_fail_for_its_whole_start_period() -> None:
    starting = check(startPeriodSeconds=30, deadlineSeconds=60)
    verdict, starts, _ = polled(starting, lambda n: REFUSED if n < 32 else GOOD)
    assert verdict == Healthy()
    assert (len(starts), starts[-1]) == (35, 34)


def test_a_server_that_never_starts_fails_as_soon_as_its_start_period_and_three_probes_are_over() -> None:
    starting = check(startPeriodSeconds=30, deadlineSeconds=60)
    verdict, starts, _ = polled(starting, lambda _: REFUSED)
    assert isinstance(verdict, Unhealthy)
    assert starts[-3:] == [30, 31, 32]


def test_a_loop_that_is_stopped_does_not_wait_for_its_interval() -> None:
    ended, starts, over = looped(check(intervalSeconds=10, deadlineSeconds=60), lambda _: GOOD, stops_after=3)
    assert (ended.verdict, starts, over) == (Stopped(), [0], 3)


def test_a_verdict_is_one_though_the_loop_was_stopped_meanwhile() -> None:
    once = check(healthyThresholdCount=1)
    assert looped(once, lambda _: GOOD, stops_after=0)[0].verdict == Healthy()


@pytest.mark.parametrize(("interval", "timeout", "count"), [(0.2, 0.2, 3), (0.1, 0.1, 10), (0.1, 0.2, 3)])
def test_the_shortest_deadline_that_is_allowed_is_enough_for_a_healthy_server(
    interval: float, timeout: float, count: int
) -> None:
    shortest = check(
        intervalSeconds=interval,
        timeoutSeconds=timeout,
        healthyThresholdCount=count,
        unhealthyThresholdCount=1,
        deadlineSeconds=count * max(interval, timeout),
    )
    ended = poll(shortest, lambda: Probe(200, 1), time.monotonic, threading.Event().wait)
    assert (ended.verdict, ended.probe_count) == (Healthy(), count)


def test_a_wait_that_takes_longer_does_not_delay_all_that_follow() -> None:
    passing, starts = Time(), []

    def late(seconds: float) -> bool:
        return passing.wait(seconds + 0.25)

    def probe_once() -> Probe:
        starts.append(passing.now - 1000)
        return GOOD

    poll(check(healthyThresholdCount=5, deadlineSeconds=30), probe_once, passing.clock, late)
    assert starts == [0, 1.25, 2.25, 3.25, 4.25]


# The bake


def test_a_bake_probes_at_the_interval_and_at_its_end() -> None:
    ended, starts, over = looped(CHECK, lambda _: GOOD, bakes=3.5)
    assert (ended.verdict, starts) == (Healthy(), [1, 2, 3, 3.5])
    assert over == pytest.approx(3.51)


def test_a_bake_has_one_probe_at_its_end_however_quick_that_is() -> None:
    assert looped(CHECK, lambda _: Probe(200, 0), bakes=3)[1] == [1, 2, 3]


def test_a_bake_shorter_than_the_interval_probes_at_its_end() -> None:
    ended, starts, _ = looped(check(intervalSeconds=60, deadlineSeconds=360), lambda _: GOOD, bakes=5)
    assert (ended.verdict, starts) == (Healthy(), [5])


def test_in_a_bake_the_probe_under_way_at_the_end_is_the_last() -> None:
    ended, starts, over = looped(CHECK, lambda _: Probe(200, 1875), bakes=5)
    assert (ended.verdict, starts) == (Healthy(), [1, 2.875, 4.75])
    assert over == 6.625


@pytest.mark.parametrize(
    ("found", "verdict", "starts"),
    [
        (lambda n: BAD if n >= 2 else GOOD, Unhealthy, [1, 2, 3, 4, 5]),
        (lambda n: BAD if n in (2, 3) else GOOD, Healthy, [1, 2, 3, 4, 5]),
        (lambda n: BAD if n == 1 else GOOD, Healthy, [1, 2, 3]),
        (lambda n: SLOW if n >= 2 else GOOD, Unhealthy, [1, 2, 3, 5, 7]),
    ],
)
def test_a_bake_whose_last_probe_is_bad_goes_on_until_that_is_decided(
    found: Callable[[int], Probe], verdict: type, starts: list[float]
) -> None:
    ended, started, over = looped(CHECK, found, bakes=3)
    assert isinstance(ended.verdict, verdict)
    assert started == starts
    assert over <= 3 + (3 - 1) * 2 + 2, "which stacks/configuration/health_check.py leaves time for"


def test_hiccups_do_not_end_a_bake() -> None:
    ended, starts, _ = looped(CHECK, lambda n: GOOD if n % 3 == 2 else BAD, bakes=30)
    assert ended.verdict == Healthy()
    assert len(starts) == 30


def test_a_server_that_dies_ends_the_bake_at_once() -> None:
    ended, starts, over = looped(CHECK, lambda n: GOOD if n < 5 else REFUSED, bakes=600)
    assert ended.verdict == Unhealthy("3 probes in a row failed: connection refused")
    assert starts[-1] == 8
    assert over == pytest.approx(8.001)


def test_of_a_long_bake_the_last_20_probes_are_kept() -> None:
    ended, starts, _ = looped(CHECK, lambda _: GOOD, bakes=600)
    assert (len(starts), ended.probe_count, len(ended.findings)) == (600, 600, 20)
    assert ended.findings[-1].at_seconds == 600


def test_a_bake_that_is_stopped_does_not_wait() -> None:
    ended, starts, over = looped(CHECK, lambda _: GOOD, bakes=600, stops_after=1.5)
    assert (ended.verdict, starts, over) == (Stopped(), [1], 1.5)


def test_a_probe_that_was_stopped_counts_for_nothing() -> None:
    def probe_once() -> Probe:
        raise ProbeStopped

    for ended in (
        poll(CHECK, probe_once, time.monotonic, Stop().wait),
        bake(CHECK, probe_once, 0, time.monotonic, Stop().wait),
    ):
        assert (ended.verdict, ended.findings, ended.probe_count) == (Stopped(), [], 0)


# Several at the same time


def test_loops_run_at_the_same_time_and_their_results_come_in_order() -> None:
    met = threading.Barrier(3, timeout=5)

    def loop(number: int) -> Callable[[Stop], int]:
        return lambda _: met.wait() * 0 + number

    assert together([loop(1), loop(2), loop(3)], lambda _: False) == [1, 2, 3]


def test_a_result_that_ends_all_ends_the_waits_of_the_others() -> None:
    began = time.monotonic()
    assert together([lambda stop: stop.wait(30), lambda _: False], lambda result: result is False) == [True, False]
    assert time.monotonic() - began < 5


def test_what_a_loop_raises_ends_the_others_and_is_raised() -> None:
    def broken(_: Stop) -> bool:
        raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        together([lambda stop: stop.wait(30), broken], lambda _: False)
    assert time.monotonic() - began < 5
