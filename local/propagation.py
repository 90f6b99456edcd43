"""An address that takes its time to move: EC2 shows the new place at once, connections reach the former one a while.

AWS publishes no bound; people report 5 to 10 s. A move that is followed by another before it was seen is never seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Address = TypeVar("Address", bound=str)


class Moving(Generic[Address]):
    """Who is reached at an address, where `holder` says who holds it by EC2. None is nobody, for both.

    `seconds` may be set at any time, and holds for moves from then on. `changed` has to be called after every change.
    """

    def __init__(self, holder: Callable[[Address], str | None]) -> None:
        self._holder = holder
        self._lock = threading.Lock()
        self._held: dict[Address, str | None] = {}
        self._former: dict[Address, tuple[str | None, float]] = {}
        self.seconds = 0.0

    def reached(self, address: Address) -> str | None:
        former, until = self._former.get(address, (None, 0.0))
        return former if time.monotonic() < until else self._holder(address)

    def changed(self, address: Address) -> None:
        with self._lock:
            holder, held = self._holder(address), self._held.get(address)
            if holder != held:
                former, until = self._former.get(address, (None, 0.0))
                now = time.monotonic()
                self._former[address] = former if now < until else held, now + self.seconds
                self._held[address] = holder

    def arrive(self) -> None:
        """Every address is where EC2 says, from now on."""
        with self._lock:
            self.seconds = 0.0
            self._former.clear()
