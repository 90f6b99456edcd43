"""One of the two EC2 servers: an instance with a web server on it, to which releases are deployed.

Deploying is writing the release down; it runs from the next restart. That is the whole of a deployment here, because
what matters to a cutover is only which release answers on which server, and how it behaves.
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
from local.child_process import Leash

Behaviour = Literal["good", "sick", "broken", "fails-as-production"]
"""`sick`: `/health` answers 500. `broken`: every path does.

`fails-as-production`: all is well until it is asked as the production address."""


class Server:
    """A web server in a process of its own, at `address`:`port`; the port may change with every restart.

    `folder` is an absolute path, for the commands to work in any folder.
    """

    def __init__(self, name: str, *, instance_id: str, address: str, production_ip: str, folder: Path) -> None:
        self.name = name
        self.instance_id = instance_id
        self.address = address
        self._production_ip = production_ip
        self._folder = folder
        self._process: Leash | None = None
        self._port: int | None = None
        folder.mkdir(parents=True)
        self.deploy(release=1)

    @property
    def port(self) -> int | None:
        """Where it listens, None while it does not run."""
        return self._port

    def deploy(self, *, release: int, behaviour: Behaviour = "good") -> None:
        """Put a release on the server. What runs is the old one until `restart`."""
        (self._folder / web_server.RELEASE_FILE).write_text(json.dumps({"release": release, "behaviour": behaviour}))

    def start(self) -> None:
        """Run the release that is deployed. It accepts connections when this returns."""
        who = [self.name, self.address, self._production_ip, str(self._folder)]
        self._process = Leash([sys.executable, "-I", "-S", web_server.__file__, *who], stdout=subprocess.PIPE)
        said = self._process.stdout.readline()
        if not said:
            self.stop()
            raise RuntimeError(f"the web server of {self.name} did not start; what it said is above")
        self._port = int(said)

    def stop(self) -> None:
        """End the process and every connection it has. Again is fine."""
        self._port = None
        if self._process:
            self._process.release()

    def restart(self) -> None:
        self.stop()
        self.start()

    def make_sick(self) -> None:
        """Let the running release answer `/health` with 500, at once; see `make_well`. A restart cures it too."""
        self._sick.touch()

    def make_well(self) -> None:
        self._sick.unlink(missing_ok=True)

    @property
    def sick_command(self) -> str:
        """`make_sick` for a shell, in any folder."""
        return f"touch {shlex.quote(str(self._sick))}"

    @property
    def well_command(self) -> str:
        return f"rm -f {shlex.quote(str(self._sick))}"

    @property
    def _sick(self) -> Path:
        return self._folder / web_server.SICK_FILE

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
