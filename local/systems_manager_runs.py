"""How the agent on a server runs the script of a command: as a process, or, in tests, as a result that is given.

Source of what the processes do: the source code of the agent (amazon-ssm-agent, `agent/executers`,
`agent/plugins/runscript`). The script is a file, executed by `sh -c`, in a process group of its own. A command has
ended when its process has ended and nobody has its output open any more: a daemon that inherits the output keeps it
running. Daemons that do not are left alone.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.child_process import ChildProcess

# Stays after the command, so that its daemons live on, and end with this process (`local.child_process`).
WRAPPER = """
echo $$ >"$1/group"
{ { /bin/sh -c 'cd "$1" && "$0"' "$1/script" "$2" 3>&-; echo $? >"$1/exit"; } 2>&3 | cat >"$1/stdout"; } 3>&1 |
  cat >"$1/stderr"
mv "$1/exit" "$1/code"
exec tail -f /dev/null
"""


@dataclass(frozen=True)
class Result:
    """How a command ends, `seconds` after it began; None: never by itself."""

    exit_code: int = 0
    output: str = ""
    errors: str = ""
    seconds: float | None = 0


HANGS = Result(seconds=None)
KILLED = 137


class Run(Protocol):
    """A command on its way on a server."""

    def end(self) -> tuple[float, Result] | None:
        """When it ended or will end, and how; None while nobody knows."""

    def kill(self) -> None:
        """End it with everything that it has started. Calling it again has no effect."""


class GivenRun:
    """A command that only has a result."""

    def __init__(self, result: Result, *, began: float) -> None:
        self._result = result
        self._ends = None if result.seconds is None else began + result.seconds

    def end(self) -> tuple[float, Result] | None:
        return None if self._ends is None else (self._ends, self._result)

    def end_now(self, result: Result, now: float) -> None:
        self._ends, self._result = now, result

    def kill(self) -> None:
        pass


class ProcessRun:
    """A command as a process, in a folder and with an environment. Without such a folder, it fails.

    Its own files are in a new folder in `files`.
    """

    def __init__(self, script: str, *, folder: Path, environment: Mapping[str, str], files: Path) -> None:
        self._files = Path(tempfile.mkdtemp(prefix="command-", dir=files))
        self._ended: tuple[float, Result] | None = None
        file = self._files / "script"
        file.write_text(script)
        file.chmod(0o700)
        self._process = ChildProcess(
            ["/bin/sh", "-c", WRAPPER, "sh", str(self._files), str(folder)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self) -> tuple[float, Result] | None:
        if not self._ended and (self._files / "code").exists():
            output, errors = (self._text(name) for name in ("stdout", "stderr"))
            self._ended = time.time(), Result(int(self._text("code")), output, errors)
            if self._is_alone():
                self._process.kill()
        elif not self._ended and self._process.returncode is not None:  # the script has killed its process group
            self._ended = time.time(), Result(KILLED, self._text("stdout"), self._text("stderr"))
        return self._ended

    def kill(self) -> None:
        self._process.kill()

    def _text(self, name: str) -> str:
        return (self._files / name).read_text(errors="replace")

    def _is_alone(self) -> bool:
        """Whether the wrapper is the only process that is left of the command."""
        shown = subprocess.run(["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=False)
        return shown.stdout.split().count(self._text("group").strip()) <= 1
