"""One of the two EC2 servers: an instance with a web server on it, to which releases are deployed.

A deployment only stores the release, and the release runs after the next restart. This is enough for a cutover, which
depends only on the release that answers on each server, and on the behaviour of that release. The script `deploy` in
the server's folder does both, for commands of Systems Manager.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from local import web_server
from local.child_process import ChildProcess

Behaviour = Literal["good", "unhealthy", "broken", "broken-for-users", "fails-as-production"]
"""`unhealthy`: `/health` answers 500. `broken`: every path answers 500. `broken-for-users`: every path but `/health`
answers 500. `fails-as-production`: every path answers 500, but only through the production address."""

DEPLOY_FILE = "deploy"
BEHAVIOUR_FILE = "behaviour"
DEPLOY = """#!/bin/sh
# Deploys a release to this server and restarts the web server, on its port: ./deploy RELEASE [BEHAVIOUR]
set -e
cd "$(dirname "$0")"
[ -e pid ] || { echo "the web server does not run"; exit 1; }
behaviour=${2:-$(cat behaviour 2>/dev/null || echo good)}
rm -f behaviour
printf '{"release": "%s", "behaviour": "%s"}' "$1" "$behaviour" >release.json
rm -f running
kill -HUP "$(cat pid)"
until [ -e running ]; do sleep 0.02; done
echo "release $1 runs"
"""


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
        script = folder / DEPLOY_FILE
        script.write_text(DEPLOY)
        script.chmod(0o700)
        self.deploy(release=1)

    @property
    def port(self) -> int | None:
        """The address and port of the server; None while it does not run."""
        return self._port

    @property
    def variables(self) -> dict[str, str]:
        """What the commands of Systems Manager have in their environment here."""
        return {}

    def deploy(self, *, release: int | str, behaviour: Behaviour = "good") -> None:
        """Put a release on the server. The former release runs until `restart`. A release is a text; 7 is "7"."""
        deployed = {"release": str(release), "behaviour": behaviour}
        (self.folder / web_server.RELEASE_FILE).write_text(json.dumps(deployed))

    def expect(self, behaviour: Behaviour) -> None:
        """Let the next release that the script `deploy` deploys behave so."""
        (self.folder / BEHAVIOUR_FILE).write_text(behaviour)

    def start(self) -> None:
        """Run the deployed release. The server accepts connections when this returns."""
        arguments = [self.name, self.address, self._production_ip, str(self.folder)]
        command = [sys.executable, "-I", "-S", web_server.__file__, *arguments]
        self._process = ChildProcess(command, stdout=subprocess.PIPE)
        port = self._process.stdout.readline()
        if not port:
            self.stop()
            raise RuntimeError(f"the web server of {self.name} did not start; its errors are above")
        self._port = int(port)

    def stop(self) -> None:
        """End the process and its connections. Calling it again has no effect."""
        self._port = None
        for file in (web_server.PID_FILE, web_server.RUNNING_FILE):
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
        return self.folder / web_server.UNHEALTHY_FILE

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
