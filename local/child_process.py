"""A child process that ends with the process that started it.

Clean-up code does not run after a SIGKILL, a crash or a second Ctrl-C. So every command of the local AWS has a guard
beside it: a small process that waits for a pipe to close. The kernel closes the pipe when the parent ends in any way.
The guard then kills the command's whole process group, with grandchildren. `ChildProcess.kill` closes the pipe itself.
The guard has its own session, so a Ctrl-C in the terminal reaches only the parent, which cleans up.

Run as a script, this file is the guard, so it imports little.
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

# How long to wait for killed processes to disappear. A grandchild stays a zombie until the machine's first process
# collects it, and a zombie holds neither ports nor files, so it is not worth waiting longer.
GONE_SECONDS = 0.1


class ChildProcess:
    """A command in a process group of its own, killed with all its children when this process kills it or dies."""

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
        self._guard = subprocess.Popen(
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
        if self._guard.stdout is None:
            raise ValueError("start it with stdout=subprocess.PIPE to read its output")
        return self._guard.stdout

    @property
    def returncode(self) -> int | None:
        """The command's exit code (128 + the signal's number if it was killed), None while it runs."""
        return self._guard.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the command ends by itself; children that it left running are then killed."""
        return self._guard.wait(timeout)

    def kill(self) -> None:
        """Kill the command and all its children, and return when they are gone. Calling it again has no effect."""
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()
        self._guard.wait()
        if self._guard.stdout:
            self._guard.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _guard(command: Sequence[str]) -> NoReturn:
    """Run the command until it ends by itself, or standard input is closed."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def kill(_signal: int = 0, _frame: FrameType | None = None) -> None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS answers "not permitted" for a group of zombies
            return

    def kill_when_closed() -> None:
        while os.read(0, 1):
            pass
        kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, kill)
    threading.Thread(target=kill_when_closed, daemon=True).start()
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
    _guard(sys.argv[1:])
