"""What users saw of a cutover, from the answers to a load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from local.client import Answer


@dataclass(frozen=True)
class Summary:
    """The requests of one observation.

    `slowest` is in milliseconds, of all requests, those that failed included. `longest_without` is the longest time
    in seconds, within the observation, in which no good answer arrived. `unwell` is the seconds from the first request
    that failed to the first good answer after the last that failed, None if none failed; where `well_again` is false,
    no good answer followed, and it is the seconds to the end of the observation.
    """

    sent: int
    failed: int
    slowest: float
    longest_without: float
    unwell: float | None
    well_again: bool

    @property
    def until_well(self) -> str:
        if self.unwell is None:
            return "never unwell"
        return f"{self.unwell:.2f} s" if self.well_again else f"not within {self.unwell:.1f} s"


def arrival(answer: Answer) -> float:
    return answer.sent + answer.milliseconds / 1000


def summarized(answers: Sequence[Answer]) -> Summary:
    """The summary of all requests of an observation, of which there is at least one, by their intended times."""
    began, ended = answers[0].sent, answers[-1].sent
    failed = [answer for answer in answers if not answer.good]
    good = sorted(arrival(answer) for answer in answers if answer.good)
    within = [began, *(at for at in good if began < at < ended), ended]
    after = [arrival(answer) for answer in answers if failed and answer.good and answer.sent > failed[-1].sent]
    return Summary(
        sent=len(answers),
        failed=len(failed),
        slowest=max(answer.milliseconds for answer in answers),
        longest_without=max((later - earlier for earlier, later in pairwise(within)), default=0.0),
        unwell=min(after, default=ended) - failed[0].sent if failed else None,
        well_again=not failed or bool(after),
    )
