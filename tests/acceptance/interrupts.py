"""What an interrupt does: Ctrl-C, or SIGTERM, by which CI systems cancel. Both do the same.

The first interrupt ends the tests, and the pair is made sound. The second one leaves everything as it is, says how that
is, and ends the process at once.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from tests.acceptance.progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# make and a CI system may each send a signal for the same interrupt.
SAME_SECONDS = 1
# GitHub kills 2.5 s after its second signal.
LOOK_SECONDS = 2.2
FIRST = (
    "Interrupted: the pair is made sound. This takes a minute or two, and up to half an hour if an instance must stop "
    "and start. Ctrl-C again leaves the pair as it is."
)


class Interrupts:
    """`with Interrupts(...)`: until the end of the block, an interrupt raises KeyboardInterrupt, and a second one ends
    the process with the words of `look`, which asks AWS, and of `advice`, which asks nobody.
    """

    def __init__(self, progress: Progress, *, look: Callable[[], str], advice: Callable[[], str]) -> None:
        self._progress, self._look, self._advice = progress, look, advice
        self._first: float | None = None
        self.is_ending = False
        """Whether the pair is being made sound after the tests, so that a first interrupt need not end them."""

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._interrupt) for each in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    @property
    def interrupted(self) -> bool:
        return self._first is not None

    def left_as_it_is(self) -> str:
        """How the pair is left, and what a person does about it."""
        seen: list[str] = []

        def look() -> None:
            try:
                seen.append(self._look())
            except Exception as error:  # whatever it is, a person gets the advice
                seen.append(f"AWS did not say how it is: {error}.")

        # In a thread, because this one may hold a lock of the AWS client.
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        thread.join(LOOK_SECONDS)
        state = seen[0] if seen else "AWS did not say in time how it is."
        return f"The pair is left as it is. {state} {self._advice()}"

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = time.monotonic()
            self._progress.heading(FIRST)
            if not self.is_ending:
                raise KeyboardInterrupt
        elif time.monotonic() > self._first + SAME_SECONDS:
            self._progress.heading(f"Interrupted again. {self.left_as_it_is()}")
            os._exit(128 + number)


class _Thing(NamedTuple):
    command: str
    remove: Callable[[], object]


class Temporary:
    """What tests make beside the pair, and remove."""

    def __init__(self) -> None:
        self._things: dict[str, _Thing] = {}

    @contextmanager
    def removed(self, thing: str, *, command: str, remove: Callable[[], object]) -> Iterator[None]:
        """For a block that makes `thing`, which `remove` removes at its end. `remove` raises unless nothing is left.

        It is called again at the end of the suite if it failed. If it fails again, a person is given the command.
        """
        self._things[thing] = _Thing(command, remove)
        try:
            yield
        finally:
            self._remove(thing)

    def remove_all(self) -> None:
        """Remove what is left, as far as that works."""
        for thing in list(self._things):
            with suppress(Exception):  # whatever it is, `str` names the thing
                self._remove(thing)

    def __str__(self) -> str:
        """What is left, and how a person removes it; empty if nothing is left."""
        return " ".join(f"{thing} is left. Remove it: {each.command}" for thing, each in self._things.items())

    def _remove(self, thing: str) -> None:
        self._things[thing].remove()
        del self._things[thing]
