"""CloudWatch as the functions reach it: through a port of its own, so that it can stop answering while AWS works on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal

from local.access import LOOPBACK
from local.network import BACKLOG, Endpoint, Network

Manner = Literal["answers", "hangs", "refuses"]
"""`hangs`: connections are accepted and never answered. `refuses`: connections are refused."""


class CloudWatch:
    """The way to CloudWatch, which is at `endpoint()`. Between `start` and `stop`, `behave` says how it answers."""

    def __init__(self, endpoint: Callable[[], Endpoint]) -> None:
        self._endpoint = endpoint
        self._manner: Manner = "answers"
        self._network = Network([LOOPBACK], self._route)
        self.port = self._network.port

    def start(self) -> None:
        with ExitStack() as stack:
            self._silent = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=BACKLOG))
            stack.enter_context(self._network)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        self._stack.close()

    def behave(self, manner: Manner) -> None:
        """For connections from now on. Open connections stay as they are."""
        self._manner = manner
        self._network.refresh()

    def _route(self, _ip: str) -> Endpoint | None:
        if self._manner == "hangs":
            address: Endpoint = self._silent.getsockname()
            return address
        return self._endpoint() if self._manner == "answers" else None
