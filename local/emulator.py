"""All of AWS except EC2 and Run Command: ministack, in its own process, bound to loopback.

The Lambda functions run as ministack's children and inherit its environment, so their calls of EC2 reach `local.ec2`,
and those of Systems Manager `local.systems_manager_server`. ministack is always killed: it keeps no state, and its
temporary files are removed with its folder.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from local import environment, pausable_ministack
from local.access import LOOPBACK, authorization
from local.child_process import ChildProcess
from local.cloudwatch import CloudWatch
from local.ec2 import ACCESS_KEY, REGION
from local.network import Endpoint
from local.pausable_ministack import Pause

ACCOUNT = "000000000000"
READY_SECONDS = 60.0
PORTS_TRIED = 5


class Emulator:
    """`with Emulator(...) as aws:` starts the emulator. Call `wait_until_ready` before the first call.

    `time_scale` shortens the waits and retry delays of the workflows for tests: with 0.1, they take a tenth. Functions
    reach CloudWatch through `cloudwatch`.
    """

    def __init__(
        self, *, ec2_endpoint: str, folder: Path, ssm_endpoint: str | None = None, time_scale: float = 1
    ) -> None:
        self._time_scale = time_scale
        self._ec2_endpoint, self._ssm_endpoint = ec2_endpoint, ssm_endpoint
        self._port = 0  # until it starts
        self.cloudwatch = CloudWatch(lambda: self.address)
        self._log = folder / "ministack.log"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(parents=True)
        self._pauses = folder / "pauses"
        self._pauses.mkdir()
        self._session = boto3.Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._opener.addheaders = list(authorization(ACCESS_KEY).items())

    def __enter__(self) -> Self:
        self.cloudwatch.start()
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self.cloudwatch.stop()

    @property
    def address(self) -> Endpoint:
        """Where it listens. It may be another port until it is ready."""
        return LOOPBACK, self._port

    def wait_until_ready(self) -> None:
        """Return when the emulator answers. If another process took its port, start it again with another port."""
        deadline = time.monotonic() + READY_SECONDS
        starts = 1
        while not self._is_ready():
            if self._process.returncode is not None:
                if starts == PORTS_TRIED:
                    raise RuntimeError(f"ministack does not start: {self._log.read_text()[-2000:]}")
                starts += 1
                self._start()
            if time.monotonic() > deadline:
                raise TimeoutError(f"ministack is not ready after {READY_SECONDS:.0f} s; its log is {self._log}")
            time.sleep(0.02)

    def client(self, service: str, endpoint: str | None = None) -> Any:
        """A boto3 client of any service of this AWS, or of another endpoint. Ignores the endpoints and proxies of the
        environment."""
        clients: Any = self._session
        return clients.client(service, endpoint_url=endpoint or self.endpoint, config=Config(proxies={}))

    def pause(self, state: str, *, workflow: str) -> Pause:
        """Within `with aws.pause(...)`, executions of this workflow stay in the state when they enter it."""
        return Pause(self._pauses, workflow=workflow, state=state)

    def _start(self) -> None:
        self._port = _free_port()
        self.endpoint = f"http://{LOOPBACK}:{self._port}"
        variables = {
            "AWS_ENDPOINT_URL_CLOUDWATCH": f"http://{LOOPBACK}:{self.cloudwatch.port}",
            "GATEWAY_PORT": str(self._port),
            pausable_ministack.OTHER_PORT: str(self.cloudwatch.port),
            "BIND_HOST": LOOPBACK,
            "SFN_WAIT_SCALE": str(self._time_scale),
            "IOT_MTLS_ENABLED": "0",  # without this, a second port
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "TMPDIR": str(self._temporary),
            pausable_ministack.FOLDER: str(self._pauses),
        }
        clients = environment.of_a_client(
            endpoint=self.endpoint, ec2_endpoint=self._ec2_endpoint, ssm_endpoint=self._ssm_endpoint
        )
        with self._log.open("ab") as log:
            self._process = ChildProcess(
                [sys.executable, "-P", pausable_ministack.__file__],
                env=environment.of_this_machine() | clients | variables,
                cwd=self._temporary,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _is_ready(self) -> bool:
        try:
            with self._opener.open(f"{self.endpoint}/_ministack/health", timeout=5):
                return self._process.returncode is None
        except (urllib.error.URLError, OSError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
