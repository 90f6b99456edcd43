"""What is drawn of a run: its requests, the states of the workflow, and the moves of production."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.aws import Move
from local.load import Answer


@dataclass(frozen=True)
class Band:
    """A period with a name, such as a state of the workflow; in seconds, on the clock of the requests."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Mark:
    """A moment with a name, such as a move of production; in seconds, on the clock of the requests."""

    name: str
    at: float


@dataclass(frozen=True)
class Panel:
    """One run. Its time is counted from `zero`, or from the first request.

    Bands that are too short to be visible are left out; with `every_band`, they are drawn longer. `goes_on` says what
    did not end with the observation, such as an outage; empty if nothing did.
    """

    title: str
    requests: Sequence[Answer] = ()
    bands: Sequence[Band] = ()
    moves: Sequence[Mark] = ()
    goes_on: str = ""
    zero: float | None = None
    every_band: bool = False

    @property
    def start(self) -> float:
        """Second 0 of the picture, on the clock of the requests."""
        if self.zero is not None:
            return self.zero
        moments = [request.sent for request in self.requests] or [band.began for band in self.bands]
        return min(moments, default=0)

    @property
    def seconds(self) -> tuple[float, float]:
        """The first and the last moment to draw, counted from `start`."""
        moments = [request.sent for request in self.requests]
        moments += [request.arrived for request in self.requests]
        moments += [moment for band in self.bands for moment in (band.began, band.ended)]
        return min(moments, default=self.start) - self.start, max(moments, default=self.start + 1) - self.start


def bands(history: Sequence[Mapping[str, Any]], *, ahead: float) -> list[Band]:
    """The states in the events of an execution's history, in order, on the clock of the requests.

    The events have wall clock time, which is `ahead` of that clock by `time.time() - time.monotonic()` seconds. A
    state that was never exited, such as the last state of a failed execution, ended when the next state was entered,
    or at the end of the history.
    """
    moments = [event["timestamp"].timestamp() - ahead for event in history]
    entered = [
        (number, event["stateEnteredEventDetails"]["name"])
        for number, event in enumerate(history)
        if "stateEnteredEventDetails" in event
    ]
    states = []
    for (number, name), (following, _) in zip(entered, [*entered[1:], (len(history) - 1, "")], strict=True):
        exits = (
            later
            for later in range(number, len(history))
            if history[later].get("stateExitedEventDetails", {}).get("name") == name
        )
        states.append(Band(name, moments[number], moments[next(exits, following)]))
    return states


def marks(moves: Sequence[Move]) -> list[Mark]:
    """The moves of production, to draw."""
    return [
        Mark(f"production moves to {move.server or 'no server'}", move.at)
        for move in moves
        if move.role == "production"
    ]


def server(request: Answer) -> str | None:
    """The name of the server that answered, without what runs on it."""
    return request.who.partition(",")[0] if request.who else None


def groups(panels: Sequence[Panel]) -> dict[str, list[Answer]]:
    """The requests that look the same, in the order in which they are drawn, by the id of their group in an SVG."""
    requests: dict[str, list[Answer]] = {}
    for number, panel in enumerate(panels):
        for request in panel.requests:
            kind = f"answered-{server(request) or 'nobody'}" if request.good else "failed"
            requests.setdefault(f"panel-{number}-{kind}", []).append(request)
    return requests


def long_enough(bands: Sequence[Band], seconds: float) -> Iterator[Band]:
    """The bands of at least so many seconds, in order of time; the last band always stays."""
    ordered = sorted(bands, key=lambda band: band.began)
    for number, band in enumerate(ordered, start=1):
        if band.ended - band.began >= seconds or number == len(ordered):
            yield band
