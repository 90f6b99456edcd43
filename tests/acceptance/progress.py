"""What the suite does, while it does it: one line for each step, with the time since the suite began.

pytest captures file descriptor 2 while a test runs. The lines go to a copy of it, so they appear at once, also from
threads.
"""

import os
import sys
import threading
import time


class Progress:
    """Lines on the standard error of the process. Make it before pytest captures anything."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2), "w")
        self._began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along, who may press Ctrl-C."""
        return self._stream.isatty()

    def heading(self, text: str) -> None:
        """A line that begins something, such as a test."""
        self._write(text)

    def step(self, text: str) -> None:
        """A line about a step, with its time."""
        self._write(f"{time.monotonic() - self._began:9.1f} s  {text}")

    def _write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
