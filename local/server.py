"""One of the two EC2 servers: an instance with a web server on it, to which releases are deployed.

A deployment only stores the release, and the release runs after the next restart. This is enough for a cutover, which
depends only on the release that answers on each server, and on the behaviour of that release. The command `deploy` in
the server's folder does both, for commands of Systems Manager.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from local.child_process import ChildProcess

PROGRAMS = Path(__file__).parent.parent / "examples" / "two-servers"
"""The web server and the command `deploy`: those of the two servers that `make try` creates on AWS."""
DEPLOY_FILE = "deploy"
# In the folder of a server, for the two programs.
RELEASE_FILE = "release"
BEHAVIOUR_FILE = "behaviour"
UNHEALTHY_FILE = "unhealthy"
PID_FILE = "pid"
RUNNING_FILE = "running"
CERTIFICATE_FILE = "certificate.pem"

Behaviour = Literal["good", "unhealthy", "broken", "broken-for-users", "fails-as-production"]
"""`unhealthy`: `/health` answers 500. `broken`: every path answers 500. `broken-for-users`: every path but `/health`
answers 500. `fails-as-production`: every path answers 500, but only through the production address."""


class Server:
    """A web server in its own process, at `address`:`port`. The port may change with every restart.

    `folder` is an absolute path, so that the commands for a shell work in any folder.
    """

    def __init__(self, name: str, *, instance_id: str, address: str, production_ip: str, folder: Path) -> None:
        self.name = name
        self.instance_id = instance_id
        self.address = address
        self._production_ip = production_ip
        self.folder = folder
        self._process: ChildProcess | None = None
        self._port: int | None = None
        folder.mkdir(parents=True)
        shutil.copy(PROGRAMS / DEPLOY_FILE, folder / DEPLOY_FILE)
        self.deploy(release=1)

    @property
    def port(self) -> int | None:
        """The address and port of the server; None while it does not run."""
        return self._port

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command on this server, from the variables of the local AWS: it finds `deploy`."""
        return {**variables, "PATH": f"{self.folder}:{variables['PATH']}"}

    def deploy(self, *, release: int | str, behaviour: Behaviour | None = None) -> None:
        """Put a release on the server. The former release runs until `restart`. A release is a text; 7 is "7".

        Without `behaviour`, it behaves as its name says.
        """
        (self.folder / RELEASE_FILE).write_text(f"{release}\n{behaviour or ''}\n")

    def expect(self, behaviour: Behaviour) -> None:
        """Let the next release that the command `deploy` deploys behave so, whatever its name says."""
        (self.folder / BEHAVIOUR_FILE).write_text(behaviour)

    def start(self) -> None:
        """Run the deployed release. The server accepts connections when this returns."""
        arguments = [self.name, self.address, self._production_ip, str(self.folder)]
        command = [sys.executable, "-I", "-S", str(PROGRAMS / "web_server.py"), *arguments]
        self._process = ChildProcess(command, stdout=subprocess.PIPE)
        port = self._process.stdout.readline()
        if not port:
            self.stop()
            raise RuntimeError(f"the web server of {self.name} did not start; its errors are above")
        self._port = int(port)

    def stop(self) -> None:
        """End the process and its connections. Calling it again has no effect."""
        self._port = None
        for file in (PID_FILE, RUNNING_FILE):
            (self.folder / file).unlink(missing_ok=True)
        if self._process:
            self._process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def make_unhealthy(self) -> None:
        """Let the running release answer `/health` with 500 from now on, until `make_healthy` or a restart."""
        self._unhealthy.touch()

    def make_healthy(self) -> None:
        self._unhealthy.unlink(missing_ok=True)

    @property
    def unhealthy_command(self) -> str:
        """`make_unhealthy` for a shell, in any folder."""
        return f"touch {shlex.quote(str(self._unhealthy))}"

    @property
    def healthy_command(self) -> str:
        return f"rm -f {shlex.quote(str(self._unhealthy))}"

    @property
    def _unhealthy(self) -> Path:
        return self.folder / UNHEALTHY_FILE

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
