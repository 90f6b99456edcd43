"""The loops of the health check, which apply the rules of `verdict`, and the function that runs them in parallel."""

import contextlib
import threading
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
Verdict = Healthy | Unhealthy | None
Rule = Callable[[Sequence[Finding], float, float], Verdict]
Result = TypeVar("Result")
Loops = Iterable[Callable[[Stop], Result]]


@dataclass(frozen=True)
class Polled:
    """The verdict of a loop, None if it was stopped, and its findings, oldest first: after a bake, at least 20."""

    check: Check
    verdict: Verdict
    findings: list[Finding]
    probe_count: int
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


def ask(check: Check, probe: Prober, stop: Stop) -> str | None:
    """The release that a server answers with, even an unhealthy one; None if it was stopped or answers with none."""

    def verdict(findings: Sequence[Finding], _now: float, _due: float) -> Verdict:
        return Healthy() if findings[-1].answered.release or len(findings) >= check.unhealthy_threshold_count else None

    findings = _loop(check, probe, stop, time.monotonic, verdict).findings
    return findings[-1].answered.release if findings else None


def bake(check: Check, probe: Prober, seconds: float, stop: Stop, clock: Clock = time.monotonic) -> Polled:
    """Probes a healthy server for so many seconds: after one interval, then every interval, and at the end. If the last
    probe is bad, until a probe is good or the threshold is reached (`probes_after_a_bake` leaves time for that)."""

    def verdict(findings: Sequence[Finding], now: float, _due: float) -> Verdict:
        return Healthy() if now >= seconds and findings[-1].is_good else decide_bake(check, findings)

    return _loop(check, probe, stop, clock, verdict, last=seconds)


def _loop(check: Check, probe: Prober, stop: Stop, clock: Clock, rule: Rule, *, last: float | None = None) -> Polled:
    """In a bake, the first probe is due after an interval, and one at `last`. A late probe does not delay those after
    it. `rule` gets the findings, the time since the beginning, and when the next probe is due."""
    begin, due, probe_count = clock(), 0 if last is None else min(check.interval_seconds, last), 0
    kept = None if last is None else max(KEPT_FINDINGS, check.unhealthy_threshold_count)
    findings: deque[Finding] = deque(maxlen=kept)
    verdict: Verdict = None
    while verdict is None and not stop.wait(max(begin + due - clock(), 0)):
        started = clock() - begin
        try:
            findings.append(judge(check, probe(check, stop), started))
        except ProbeStopped:
            break
        probe_count += 1
        now = clock() - begin
        due = max(due + check.interval_seconds, now)
        due = min(due, last) if last is not None and now < last else due
        verdict = rule(list(findings), now, due)
    return Polled(check, verdict, list(findings), probe_count)


def together(loops: Loops[Result], ends_all: Callable[[Result], bool], meanwhile: Loops[None] = ()) -> list[Result]:
    """Runs each loop in its own thread and returns their results in order; those in `meanwhile` run until then. If one
    raises, or `ends_all` is true for its result, all stop at once. An exception in `meanwhile` is raised first."""
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


def beside(ask: Callable[[Any, Stop], Iterable[str]], subjects: Iterable[Any]) -> Callable[[], list[str]]:
    """Asks about each subject in a daemon thread. Returns a function that ends them and returns the answers, sorted. It
    waits for them until half a second after the beginning, if that is not over. A question that fails is left out."""
    began, stop, answers = time.monotonic(), Stop(), list[str]()

    def answer(subject: Any) -> None:
        with contextlib.suppress(Exception):
            answers.extend(ask(subject, stop))

    def answered() -> list[str]:
        for thread in threads:
            thread.join(max(began + 0.5 - time.monotonic(), 0))
        stop.set()
        return sorted(answers)

    threads = [threading.Thread(target=answer, args=[subject], daemon=True) for subject in subjects]
    for thread in threads:
        thread.start()
    return answered
