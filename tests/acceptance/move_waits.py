"""How long users wait while an address moves, from the answers to an open-loop load.

A user arrives when a request is due, and tries again with every later request until a good answer arrives. This user
waits until the first good answer to a request that was due since then. The *time without a good answer* of a move is
the longest wait of a user who arrived during this move, so a move without a failed request has one, too: about as long
as the slowest answer that no later answer overtook. A wait that no answer ended counts as long as it was observed.

The *time until the new server answers* is another wait: a good answer of the former server does not end it. It is from
the move to the first good answer of the new server to a request that was due after every request with another end.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from local.load import Answer

PERCENTILES = (50, 90, 99)
MOVES_IN = "ReassociateProduction"  # the state of the workflow that moves production


@dataclass(frozen=True, order=True)
class Wait:
    """Seconds. `at_least`: the observation ended before a good answer arrived."""

    at_least: bool
    seconds: float

    def __str__(self) -> str:
        seconds = f"{1000 * self.seconds:.0f} ms"
        if self.seconds >= 1:
            seconds = f"{self.seconds:.2f} s" if self.seconds < 10 else f"{self.seconds:.1f} s"
        return f"more than {seconds}" if self.at_least else seconds


@dataclass(frozen=True)
class Move:
    """A move to `server` that an execution made: when the execution `began` and `ended`, and when it entered
    the state that moves production (`moved`); `began` if it did not. In seconds of `time.monotonic`."""

    number: int
    server: str
    outcome: str
    began: float
    moved: float
    ended: float


@dataclass(frozen=True)
class Measured:
    """A move as users saw it. `disturbed` is from the first failed request to the first good answer to a request that
    was due after the last failed one; 0 if none failed. `until_new_server` is from the move until all answers come
    from the new server. `slowest` is the slowest answer, failed requests included."""

    move: Move
    requests: int
    failed: int
    without_good_answer: Wait
    until_new_server: Wait
    disturbed: Wait
    slowest_seconds: float


def waits(answers: Sequence[Answer]) -> list[Wait]:
    """For each answer the wait of a user who arrived when its request was due. Answers are in the order of `sent`."""
    end = max((answer.arrived for answer in answers), default=0.0)
    backwards, first_good = list[Wait](), math.inf
    for answer in reversed(answers):
        if answer.good:
            first_good = min(first_good, answer.arrived)
        lost = first_good == math.inf
        backwards.append(Wait(lost, (end if lost else first_good) - answer.sent))
    return backwards[::-1]


def measured(moves: Sequence[Move], answers: Sequence[Answer]) -> list[Measured]:
    """Each move with the requests that were due from its beginning to that of the next move, or to the end.

    A move with no request is left out: nobody observed it. Answers are in the order of `sent`.
    """
    every, due = waits(answers), [answer.sent for answer in answers]
    limits = [*(bisect_left(due, move.began) for move in moves), len(answers)]
    return [
        _measured(move, answers[first:last], every[first:last], answers[last:])
        for move, first, last in zip(moves, limits, limits[1:], strict=False)
        if first < last
    ]


def _measured(move: Move, during: Sequence[Answer], waited: Sequence[Wait], later: Sequence[Answer]) -> Measured:
    failed = [answer for answer in during if not answer.good]
    others = [answer for answer in during if answer.sent >= move.moved and not is_of(answer, move.server)]
    return Measured(
        move,
        requests=len(during),
        failed=len(failed),
        without_good_answer=max(waited),
        until_new_server=_until_new_server(move, others, [*during, *later]),
        disturbed=_disturbed(failed, [*during, *later]) if failed else Wait(False, 0.0),
        slowest_seconds=max(answer.milliseconds for answer in during) / 1000,
    )


def is_of(answer: Answer, server: str) -> bool:
    """Whether this is a good answer of this server."""
    return answer.good and answer.who is not None and answer.who.partition(",")[0] == server


def _disturbed(failed: Sequence[Answer], answers: Sequence[Answer]) -> Wait:
    good = [answer for answer in answers if answer.good and answer.sent > failed[-1].sent]
    return _wait(failed[0].sent, good, answers)


def _until_new_server(move: Move, others: Sequence[Answer], answers: Sequence[Answer]) -> Wait:
    """`others` are the requests of this move since production moved with another end than an answer of the server."""
    first = others[-1].sent if others else -math.inf
    of_server = [each for each in answers if is_of(each, move.server) and each.sent > first]
    return _wait(move.moved, of_server, answers)


def _wait(since: float, ends: Sequence[Answer], answers: Sequence[Answer]) -> Wait:
    """From a moment to the first arrival of these answers; without one, to the last arrival of any."""
    end = min(each.arrived for each in ends) if ends else max(each.arrived for each in answers)
    return Wait(not ends, max(0.0, end - since))


def percentile(percent: float, values: Sequence[Wait]) -> Wait:
    """The smallest of the values that at least `percent` percent of them do not exceed (the nearest rank).

    A wait that nobody saw the end of counts as longer than every other. Raises ValueError if there are no values.
    """
    if not values:
        raise ValueError("there is no percentile of nothing")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def are_good(answers: Sequence[Answer], *, of: str, after: float, requests: int) -> bool:
    """So many requests that were due `after` a moment have answers, and the last ones are all good ones of this server.

    An answer of the former server is good for a user, but here it is not.
    """
    recent = sorted((answer for answer in answers[-2 * requests :] if answer.sent > after), key=attrgetter("sent"))
    return len(recent) >= requests and all(is_of(answer, of) for answer in recent[-requests:])
