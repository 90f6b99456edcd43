"""The first process of a launched instance, in place of cloud-init and systemd: runs its user data and its units.

`main` runs the user data when the instance boots for the first time, and the enabled units at each boot. Everything
that it starts is in its process group, so that `local.child_process` ends it. A unit is a file in `etc/systemd/system`
of the instance's root folder, of which only the keys in `Unit` count: users, dependencies and limits mean nothing here.

`SYSTEMCTL` is the program of that name on the PATH of the instance. It leaves a request in a folder, and waits for the
answer: a command that starts a unit ends, and the unit lives on.

Run as a script, by the Python of the local AWS, so this file imports little.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

REQUESTS = "run/systemctl"
UNITS = "etc/systemd/system"
ENABLED = f"{UNITS}/multi-user.target.wants"
USER_DATA = "var/lib/cloud/instance/user-data.txt"
USER_DATA_LOG = "var/log/cloud-init-output.log"
SECONDS_APART = 0.05
STOP_SECONDS = 5
RESTARTING = ("always", "on-failure")
SYSTEMCTL = f"""#!/bin/sh
# Asks the first process of the instance, as systemctl asks systemd. ROOT is the root folder of the instance.
request="$ROOT/{REQUESTS}/$$"
echo "$*" >"$request.new" && mv "$request.new" "$request.request"
until [ -e "$request.answer" ]; do sleep {SECONDS_APART}; done
{{ read -r code; cat; }} <"$request.answer"
rm "$request.answer"
exit "$code"
"""


class Unit:
    """A service: `ExecStart`, `Environment`, `WorkingDirectory` and `Restart` of its file."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.is_active:
            return
        keys: dict[str, list[str]] = {}
        for line in (self._root / UNITS / self.name).read_text().splitlines():
            key, _, value = line.partition("=")
            keys.setdefault(key.strip(), []).append(value.strip())
        self._restarts = keys.get("Restart", ["no"])[-1] in RESTARTING
        environment = dict(word.split("=", 1) for line in keys.get("Environment", []) for word in shlex.split(line))
        self._process = subprocess.Popen(  # the commands of the instance
            shlex.split(keys["ExecStart"][-1]),
            env={**os.environ, **environment},
            cwd=keys.get("WorkingDirectory", [self._root])[-1],
        )

    def stop(self) -> None:
        process, self._process = self._process, None
        if process:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def is_active(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def look_after(self) -> None:
        """Start it again if it has ended by itself and wants that."""
        if self._process and self._process.poll() is not None and self._restarts:
            self.start()


class FirstProcess:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._units: dict[str, Unit] = {}

    def boot(self) -> None:
        for folder in (REQUESTS, ENABLED):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        for left in (self._root / REQUESTS).iterdir():
            left.unlink()
        log = self._root / USER_DATA_LOG
        if not log.exists() and (self._root / USER_DATA).read_bytes().startswith(b"#!"):  # at the first boot
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as output:
                subprocess.Popen([self._root / USER_DATA], stdout=output, stderr=output, cwd=self._root)
        for enabled in sorted((self._root / ENABLED).iterdir()):
            self._unit(enabled.name).start()

    def answer_requests(self) -> None:
        for request in sorted((self._root / REQUESTS).glob("*.request")):
            words = request.read_text().split()
            request.unlink()
            try:
                code, text = self._do([word for word in words if not word.startswith("-")], now="--now" in words)
            except (OSError, KeyError, ValueError, IndexError) as error:
                code, text = 1, f"systemctl {' '.join(words)}: {error!r}\n"
            answer = request.with_suffix(".written")
            answer.write_text(f"{code}\n{text}")
            answer.rename(request.with_suffix(".answer"))

    def look_after_units(self) -> None:
        for unit in self._units.values():
            unit.look_after()

    def _do(self, words: list[str], *, now: bool) -> tuple[int, str]:
        """The exit code and what systemctl prints."""
        verb, *names = words
        for unit in map(self._unit, names):
            enabled = self._root / ENABLED / unit.name
            if verb == "enable":
                enabled.touch()
            if verb in ("stop", "restart"):
                unit.stop()
            if verb in ("start", "restart") or (verb == "enable" and now):
                unit.start()
            if verb == "is-active":
                return (0, "active\n") if unit.is_active else (3, "inactive\n")
        if verb not in ("daemon-reload", "enable", "start", "stop", "restart"):
            return 1, f"systemctl {verb} is not known here\n"
        return 0, ""

    def _unit(self, name: str) -> Unit:
        name = name if "." in name else f"{name}.service"
        return self._units.setdefault(name, Unit(self._root, name))


def main() -> None:
    """Arguments: ROOT, the root folder of the instance."""
    first = FirstProcess(Path(sys.argv[1]))
    first.boot()
    while True:
        first.answer_requests()
        first.look_after_units()
        time.sleep(SECONDS_APART)


if __name__ == "__main__":
    main()
