"""A process that cannot outlive whoever started it.

Clean-up code runs only if it gets the chance: a second Ctrl-C, a SIGKILL or a crash takes it away. So every process
of the local AWS is started on a leash: a small process beside it, in a session of its own (so that a Ctrl-C in the
terminal reaches only the one who has to clean up), that waits for a pipe to close. The kernel closes the pipe however
its owner dies, and then the command's whole process group, grandchildren included, is killed. `Leash.release` is just
closing it on purpose.

Run as a script, this file *is* that small process, which is why it imports so little.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, NoReturn, Self

# How long to wait for killed processes to be gone. Short, because a grandchild stays a zombie for as long as the
# machine's first process does not collect it, and a zombie holds neither ports nor files.
GONE_SECONDS = 0.1


class Leash:
    """A command in a process group of its own, killed with all it spawned when this process lets go of it or dies."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> None:
        self.command = [str(word) for word in command]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *self.command],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )

    @property
    def stdout(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise ValueError("start it with stdout=subprocess.PIPE to read what it says")
        return self._process.stdout

    @property
    def returncode(self) -> int | None:
        """What the command exited with (128 + the signal's number when killed), None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command to end by itself; what it left running is killed then."""
        return self._process.wait(timeout)

    def release(self) -> None:
        """Kill the command and all it spawned, and return when they are gone. Again is fine."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _hold(command: Sequence[str]) -> NoReturn:
    """Run the command until it ends by itself, or standard input does."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def kill(_signal: int = 0, _frame: FrameType | None = None) -> None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS says "not permitted" of a group of zombies
            return

    def kill_when_let_go() -> None:
        while os.read(0, 1):
            pass
        kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, kill)
    threading.Thread(target=kill_when_let_go, daemon=True).start()
    status = child.wait()
    kill()
    deadline = time.monotonic() + GONE_SECONDS
    while _group_is_alive(child.pid) and time.monotonic() < deadline:
        time.sleep(0.002)
    os._exit(status if status >= 0 else 128 - status)


def _group_is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    _hold(sys.argv[1:])
