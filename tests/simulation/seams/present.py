"""What the seams lead to: the present run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tests.simulation.fates import Call, Fate
from tests.simulation.scheduler import Scheduler


class Servers(Protocol):
    """The web servers behind addresses, as `world.web.Web` has them."""

    def holder(self, ip: str) -> str | None: ...
    def delay(self, holder: str) -> float: ...
    def response(self, ip: str, request: bytes, holder: str | None) -> bytes | None: ...


class Outside(Protocol):
    """What is outside of a function's process: time, AWS, and the servers of the pairs."""

    scheduler: Scheduler
    web: Servers

    def answer(self, call: Call, fate: Fate) -> Any:
        """What a service answers to a call, once it takes effect. Raises AwsError."""


_runs: list[Outside] = []


def present() -> Outside:
    return _runs[-1]


def is_running() -> bool:
    return bool(_runs)


@contextmanager
def running(outside: Outside) -> Iterator[None]:
    """All that happens in the block happens in this run."""
    _runs.append(outside)
    try:
        yield
    finally:
        outside.scheduler.close()
        _runs.pop()
