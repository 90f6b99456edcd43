"""What the suite does, while it does it: one line for each step, with the time since the suite began.

pytest captures file descriptor 2 while a test runs. The lines go to a copy of it, so they appear at once, also from
threads.
"""

import os
import sys
import time
from typing import IO, ClassVar


class Progress:
    """Lines on the standard error of the process. Make it before pytest captures anything.

    A line is one call of the system: it needs no lock, so threads and signal handlers may write lines.
    """

    of_the_suite: ClassVar["Progress | None"] = None
    """Where whatever waits says so. None in a test of the suite's own code."""

    def __init__(self, stream: IO[str] | None = sys.__stderr__) -> None:
        self._file = os.dup(stream.fileno() if stream else 2)
        self._began = time.monotonic()

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along, who may press Ctrl-C."""
        return os.isatty(self._file)

    def heading(self, text: str) -> None:
        """A line that begins something, such as a test."""
        os.write(self._file, f"{text}\n".encode())

    def step(self, text: str) -> None:
        """A line about a step, with its time."""
        self.heading(f"{time.monotonic() - self._began:9.1f} s  {text}")
