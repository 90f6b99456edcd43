"""The instances that boot: those that were launched with user data, by CloudFormation or by anyone else.

Each has a loopback address of its own, and a folder that is its root folder. Its user data runs there, with `ROOT` and
`ADDRESS` in its environment, and starts services as it does on AWS (`local.first_process`). Everything that it started
ends when the instance stops, is terminated, or when the local AWS ends.
"""

from __future__ import annotations

import ipaddress
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from local import environment, first_process
from local.child_process import ChildProcess
from local.ec2 import Ec2
from local.network import require_addresses

FIRST_ADDRESS = ipaddress.ip_address("127.0.0.101")  # after the Elastic IPs
LOG = "var/log/messages"
KEPT = ("HOME", "LANG", "PATH", "TMPDIR")
"""The variables of this machine that user data has, too. It has defaults for others, such as PORT."""
HOME = "srv/web"
"""Where commands of Systems Manager run, if the user data has made this folder."""


class BootedInstance:
    """An instance with a root folder. Its processes run from `start` to `stop`."""

    def __init__(
        self, *, address: str, port: int, root: Path, user_data: str, variables: Callable[[], Mapping[str, str]]
    ) -> None:
        self.address, self._port = address, port
        self._root, self._variables = root, variables
        self._process: ChildProcess | None = None
        for file, text in (
            (root / "usr/bin/systemctl", first_process.SYSTEMCTL),
            (root / first_process.USER_DATA, user_data),
        ):
            file.parent.mkdir(parents=True)
            file.write_text(text)
            file.chmod(0o700)

    @property
    def folder(self) -> Path:
        """Where its commands run."""
        home = self._root / HOME
        return home if home.is_dir() else self._root

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment of a program on this instance, from the variables of the local AWS."""
        path = f"{self._root / 'usr/local/bin'}:{self._root / 'usr/bin'}:{variables['PATH']}"
        return {**variables, "ROOT": str(self._root), "ADDRESS": self.address, "PATH": path}

    @property
    def port(self) -> int | None:
        """Where the network leads connections; None while the instance does not run."""
        return self._port if self.is_up else None

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        variables, clients = environment.of_this_machine(), dict(self._variables())
        log = self._root / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = ChildProcess(
                [sys.executable, "-I", "-S", first_process.__file__, self._root],
                env=self.environment({name: value for name, value in variables.items() if name in KEPT} | clients),
                cwd=self._root,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """End all its processes. Calling it again has no effect."""
        if self._process:
            self._process.kill()
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()


class Instances:
    """`with Instances(...) as instances:` boots the instances of `ec2` until the block ends. Their folders are in
    `folder`, and the network leads to `port` at their addresses. Call `follow` after every change of an instance.

    `report` gets the error if an instance cannot boot.
    """

    def __init__(
        self,
        ec2: Ec2,
        *,
        folder: Path,
        port: int,
        variables: Callable[[], Mapping[str, str]],
        report: Callable[[Exception], None],
    ) -> None:
        self._ec2, self._folder, self._port = ec2, folder, port
        self._variables, self._report = variables, report
        self._lock = threading.Lock()
        self._open = True
        self.booted: Mapping[str, BootedInstance] = {}
        """By their ids, the instances that have booted, and that are not terminated. Replaced, never changed."""

    def __enter__(self) -> Self:
        self._former = self._ec2.user_data().keys()  # those of another local AWS in this process
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock, ExitStack() as stack:
            self._open = False
            for instance in self.booted.values():
                stack.callback(instance.stop)

    def follow(self) -> None:
        """Boot the instances that run, and end the processes of those that do not. Returns before user data has run."""
        with self._lock:
            launched = self._ec2.user_data() if self._open else {}
            for instance_id in self.booted.keys() - launched.keys():
                self.booted[instance_id].stop()
            self.booted = {key: instance for key, instance in self.booted.items() if key in launched}
            for instance_id in launched.keys() - self._former - self.booted.keys():
                self._add(instance_id, launched[instance_id])
            for instance_id, instance in self.booted.items():
                runs = self._ec2.state_of(instance_id) == "running"
                if runs and not instance.is_up:
                    instance.start()
                elif not runs and instance.is_up:
                    instance.stop()

    def _add(self, instance_id: str, user_data: str) -> None:
        taken = {instance.address for instance in self.booted.values()}
        address = next(ip for ip in map(str, map(FIRST_ADDRESS.__add__, itertools.count())) if ip not in taken)
        try:
            require_addresses([address])
        except RuntimeError as error:
            self._report(error)
            return
        root, variables = self._folder / instance_id, self._variables
        new = BootedInstance(address=address, port=self._port, root=root, user_data=user_data, variables=variables)
        self.booted = {**self.booted, instance_id: new}
