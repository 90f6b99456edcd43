"""What happens in a run: everything follows from the seed, and each decision from its own key. So a decision stays the
same if another one is left out, and a run can be repeated with some of its deviations, or with others."""

import random
from collections.abc import Mapping
from hashlib import blake2b
from typing import Protocol

from tests.simulation.fates import KINDS, Call, Draw, Fate, ordinary

BYTES = 7  # 56 bits, of which a float keeps 53
# How many calls of a run deviate: in every sixth run none, in the others one of so many.
ONE_OF = (0, 12, 25, 50, 100, 200)


class Outage(Protocol):
    """An action of a service that fails for a time, for every caller."""

    def kind(self, call: Call) -> str | None:
        """The kind of fate of each call meanwhile."""


class Schedule:
    """The decisions of one run. With `only`, no other keys deviate; `forced` are the kinds of fate of some keys."""

    def __init__(
        self, seed: int, *, only: frozenset[str] | None = None, forced: Mapping[str, str] | None = None
    ) -> None:
        self.seed, self._only, self._forced = seed, only, forced or {}
        self.deviations: dict[str, str] = {}
        self.faults = True  # once false, nothing deviates any more
        self.outages: list[Outage] = []
        self.planned: dict[str, str] = {}  # the kinds of fate of some calls, by their keys, as actors want it
        self.disturbances = 0  # how many calls were not answered as usual
        self.one_of = ONE_OF[int(self.number("rate") * len(ONE_OF))]
        self._rate = 1 / self.one_of if self.one_of else 0.0

    def random(self, key: str) -> random.Random:
        """For a decision that takes more than some numbers."""
        return random.Random(f"{self.seed}/{key}")  # noqa: S311

    def number(self, key: str) -> float:
        """From 0 to less than 1."""
        return self._draw(key).share()

    def between(self, key: str, shortest: float, longest: float) -> float:
        return shortest + self.number(key) * (longest - shortest)

    def _draw(self, key: str) -> "_Numbers":
        return _Numbers(blake2b(f"{self.seed}/{key}".encode(), digest_size=BYTES * 8).digest())

    def deviate(self, key: str, what: str, *, share: float | None = None) -> bool:
        """Whether a decision that is not about a call deviates: in this share of the seeds, or with the seed's rate,
        unless `only` or `forced` say so. `what` says in words what happens then."""
        rate = self._rate if share is None else share
        deviates = key in self._forced or self._may_deviate(key, self._draw(key), rate)
        if deviates:
            self.deviations[key] = what
        return deviates

    def _may_deviate(self, key: str, draw: Draw, rate: float) -> bool:
        deviates = draw.share() < rate  # drawn in any case: what follows from the next number must stay the same
        return deviates and self.faults and (self._only is None or key in self._only)

    def fate(self, call: Call) -> Fate:
        """What happens to a call."""
        key = call.key
        draw = self._draw(key)
        deviates = self._may_deviate(key, draw, self._rate)
        kind = self._forced.get(key) or (self.planned.get(key) if self.faults else None)
        if kind is None and deviates:
            names = [name for name, each in KINDS.items() if each.applies(call)]
            kind = names[int(draw.share() * len(names))] if names else None
        if self.faults:
            for outage in self.outages:
                if during := outage.kind(call):
                    self.disturbances += 1
                    return KINDS[during].fate(call, draw)
        if kind is None:
            return ordinary(call, draw)
        self.deviations[key] = kind
        self.disturbances += 1
        return KINDS[kind].fate(call, draw)


class _Numbers:
    """The numbers of one key, some eight of them, each from 0 to less than 1."""

    __slots__ = ("_bytes", "_used")

    def __init__(self, numbers: bytes) -> None:
        self._bytes, self._used = numbers, 0

    def share(self) -> float:
        start = self._used
        self._used = start + BYTES
        return (int.from_bytes(self._bytes[start : start + BYTES], "big") >> 3) / 2**53

    def between(self, shortest: float, longest: float) -> float:
        return shortest + self.share() * (longest - shortest)
