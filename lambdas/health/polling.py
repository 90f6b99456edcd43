"""The loops of the health check, which ask the rules of `verdict`, and what runs several loops at the same time.

The prober, the clock and the wait are arguments. Clock and wait are in seconds; the wait returns true when the loop is
to stop, as that of a `Stop` does, and the prober raises ProbeStopped then.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

from health.check import Check
from health.deadline import ProbeStopped, Stop
from health.probe import Probe
from health.verdict import Finding, GoOn, Healthy, Stopped, Unhealthy, decide, decide_bake, judge

KEPT_FINDINGS = 20

Clock = Callable[[], float]
Wait = Callable[[float], bool]
ProbeOnce = Callable[[], Probe]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Polled:
    """How a loop ended, after how many seconds and probes, and what the last of them found, oldest first.

    Of a bake at most 20 are kept, or as many as decide.
    """

    check: Check
    verdict: Healthy | Unhealthy | Stopped
    findings: list[Finding]
    probe_count: int
    seconds: float


def poll(check: Check, probe_once: ProbeOnce, clock: Clock, wait: Wait) -> Polled:
    """Probes until there is a verdict.

    Probes are due `interval_seconds` apart, or at once after one that took longer; after the last there is no wait. One
    that starts a little late, as each does, delays none of those that follow.
    """
    begin = due = clock()
    findings: list[Finding] = []
    verdict: Healthy | Unhealthy | Stopped | GoOn = GoOn()
    while isinstance(verdict, GoOn):
        started = clock()
        try:
            found = probe_once()
        except ProbeStopped:
            verdict = Stopped()
            break
        findings.append(judge(check, found, started - begin))
        now = clock()
        due = max(due + check.interval_seconds, now)
        verdict = decide(check, findings, due - begin)
        if isinstance(verdict, GoOn) and wait(due - now):
            verdict = Stopped()
    return Polled(check, verdict, findings, len(findings), clock() - begin)


def bake(check: Check, probe_once: ProbeOnce, seconds: float, clock: Clock, wait: Wait) -> Polled:
    """Goes on probing a healthy server for so long: an interval after the verdict, and so on, and at the end.

    A probe that is under way at the end is the last one if it is good. After a bad one it goes on until one is good or
    the threshold is reached, for which `probes_after_a_bake` of `stacks/configuration/health_check.py` leaves time.
    """
    begin = clock()
    end = begin + seconds
    findings: deque[Finding] = deque(maxlen=max(KEPT_FINDINGS, check.unhealthy_threshold_count))
    probe_count = 0
    verdict: Healthy | Unhealthy | Stopped | GoOn = GoOn()
    due = min(begin + check.interval_seconds, end)
    while isinstance(verdict, GoOn):
        if wait(max(due - clock(), 0)):
            verdict = Stopped()
            break
        started = clock()
        try:
            found = probe_once()
        except ProbeStopped:
            verdict = Stopped()
            break
        findings.append(judge(check, found, started - begin))
        probe_count += 1
        verdict = decide_bake(check, list(findings))
        now = clock()
        if isinstance(verdict, GoOn) and now >= end and findings[-1].problem is None:
            verdict = Healthy()
        due = max(due + check.interval_seconds, now)
        due = min(due, end) if now < end else due
    return Polled(check, verdict, list(findings), probe_count, clock() - begin)


def together(loops: Iterable[Callable[[Stop], Result]], ends_all: Callable[[Result], bool]) -> list[Result]:
    """Runs each loop in a thread of its own and returns their results in order.

    As soon as one raises, or returns what `ends_all`, the others are stopped. What one raises is raised.
    """
    loops = list(loops)
    stop = Stop()
    with ThreadPoolExecutor(max_workers=len(loops)) as threads:
        running = [threads.submit(loop, stop) for loop in loops]
        for ended in as_completed(running):
            if ended.exception() is not None or ends_all(ended.result()):
                stop.set()
    return [ended.result() for ended in running]
