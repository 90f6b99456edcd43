"""The delay until connections follow a moved address. EC2 shows the new place at once.

AWS publishes no bound; people report 5 to 10 s. A move that is undone within the delay is never visible.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Address = TypeVar("Address", bound=str)


class Propagation(Generic[Address]):
    """The server that a connection to an address reaches. `holder` gives the server that holds the address in EC2.

    Both are None for no server. `seconds` is the delay of the next moves; it may be set at any time. Call `changed`
    after every change.
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

    def complete(self) -> None:
        """Complete all moves: every address now reaches the server that EC2 says."""
        with self._lock:
            self.seconds = 0.0
            self._former.clear()
