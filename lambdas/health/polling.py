"""The loops of the health check, which apply the rules of `verdict`, and the function that runs them in parallel."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

from health.check import Answered, Check
from health.deadline import ProbeStopped, Stop
from health.probe import Prober
from health.verdict import Finding, Healthy, Unhealthy, decide, decide_bake, judge

KEPT_FINDINGS = 20
Clock = Callable[[], float]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Polled:
    """How a loop ended, after how many seconds and probes, and its findings, oldest first. The verdict is None if the
    loop was stopped. A bake keeps the last 20 findings, or more if the verdict needs more."""

    check: Check
    verdict: Healthy | Unhealthy | None
    findings: list[Finding]
    probe_count: int
    seconds: float
    shared: Mapping[str, Any] | None = None

    @property
    def is_unhealthy(self) -> bool:
        return isinstance(self.verdict, Unhealthy)

    @property
    def answered(self) -> Answered:
        """What the last good probe found in the headers."""
        return next((finding.answered for finding in reversed(self.findings) if finding.is_good), Answered())

    @property
    def last_findings(self) -> list[Finding]:
        return self.findings[-KEPT_FINDINGS:]


def poll(check: Check, probe: Prober, stop: Stop, clock: Clock = time.monotonic) -> Polled:
    """Probes until there is a verdict: every `interval_seconds`, or at once after a probe that took longer."""
    return _loop(check, probe, stop, clock, lambda findings, _now, due: decide(check, findings, due))


def bake(check: Check, probe: Prober, seconds: float, stop: Stop, clock: Clock = time.monotonic) -> Polled:
    """Keeps probing a healthy server for so many seconds: after one interval, every interval, and at the end. After
    a bad last probe, until a probe is good or the threshold is reached (`probes_after_a_bake` leaves time for that)."""

    def verdict(findings: Sequence[Finding], now: float, _due: float) -> Healthy | Unhealthy | None:
        return Healthy() if now >= seconds and findings[-1].is_good else decide_bake(check, findings)

    kept = max(KEPT_FINDINGS, check.unhealthy_threshold_count)
    first = min(check.interval_seconds, seconds)
    return _loop(check, probe, stop, clock, verdict, kept=kept, first=first, last=seconds)


def _loop(
    check: Check,
    probe: Prober,
    stop: Stop,
    clock: Clock,
    verdict_after: Callable[[Sequence[Finding], float, float], Healthy | Unhealthy | None],
    *,
    kept: int | None = None,
    first: float = 0,
    last: float = math.inf,
) -> Polled:
    """A probe is due at `first`, and another at `last`. A probe that starts late does not delay the probes after it.
    `verdict_after` gets the findings, the time, and when the next probe is due. Times count from the beginning."""
    begin, due, probe_count = clock(), first, 0
    findings: deque[Finding] = deque(maxlen=kept)
    verdict: Healthy | Unhealthy | None = None
    while verdict is None and not stop.wait(max(begin + due - clock(), 0)):
        started = clock() - begin
        try:
            findings.append(judge(check, probe(check, stop), started))
        except ProbeStopped:
            break
        probe_count += 1
        now = clock() - begin
        due = max(due + check.interval_seconds, now)
        due = min(due, last) if now < last else due
        verdict = verdict_after(list(findings), now, due)
    return Polled(check, verdict, list(findings), probe_count, clock() - begin)


def together(
    loops: Iterable[Callable[[Stop], Result]],
    ends_all: Callable[[Result], bool],
    meanwhile: Iterable[Callable[[Stop], None]] = (),
) -> list[Result]:
    """Runs each loop in its own thread and returns their results in order. The loops in `meanwhile` run until then. If
    a loop raises, or `ends_all` is true for its result, the others are stopped at once. The exception is raised, first
    of all that of a loop in `meanwhile`."""
    loops, meanwhile = list(loops), list(meanwhile)
    stop = Stop()
    with ThreadPoolExecutor(max_workers=len(loops) + len(meanwhile)) as threads:
        others = [threads.submit(loop, stop) for loop in meanwhile]
        futures = [threads.submit(loop, stop) for loop in loops]
        every: list[Future[Any]] = [*futures, *others]
        for future in as_completed(every):
            ended = future.exception() is not None or (future in futures and ends_all(future.result()))
            if ended or all(each.done() for each in futures):
                stop.set()
    for other in others:
        other.result()
    return [future.result() for future in futures]
