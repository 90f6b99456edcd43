"""What users saw of a cutover, from the answers to a load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from local.load import Answer


@dataclass(frozen=True)
class Summary:
    """The requests of one observation.

    `slowest` is in milliseconds, of all requests, including failed requests. `longest_without` is the longest time in
    seconds, within the observation, in which no good answer arrived. `failing` is the seconds from the first failed
    request to the first good answer after the last failed one; None if no request failed. If `recovered` is false, no
    good answer followed, and `failing` lasts to the end of the observation.
    """

    sent: int
    failed: int
    slowest: float
    longest_without: float
    failing: float | None
    recovered: bool

    @property
    def recovery(self) -> str:
        if self.failing is None:
            return "no failure"
        return f"{self.failing:.2f} s" if self.recovered else f"not within {self.failing:.1f} s"


def summarized(answers: Sequence[Answer]) -> Summary:
    """The summary of the requests of an observation (at least one), by their intended times."""
    began, ended = answers[0].sent, answers[-1].sent
    failed = [answer for answer in answers if not answer.good]
    good = sorted(answer.arrived for answer in answers if answer.good)
    within = [began, *(at for at in good if began < at < ended), ended]
    after = [answer.arrived for answer in answers if failed and answer.good and answer.sent > failed[-1].sent]
    return Summary(
        sent=len(answers),
        failed=len(failed),
        slowest=max(answer.milliseconds for answer in answers),
        longest_without=max((later - earlier for earlier, later in pairwise(within)), default=0.0),
        failing=min(after, default=ended) - failed[0].sent if failed else None,
        recovered=not failed or bool(after),
    )


def duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
