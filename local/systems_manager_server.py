"""Systems Manager as the functions and AWS clients reach it: a server on loopback for Run Command, whose other actions
ministack answers. Commands are processes in the folders of the local servers."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from local.access import LOOPBACK, REFUSED, refusal, refusal_of_web_pages
from local.ec2 import ACCESS_KEY, REGION
from local.emulator import ACCOUNT
from local.environment import of_this_machine
from local.network import Endpoint
from local.systems_manager import ACTIONS, SystemsManager
from local.systems_manager_agents import Command
from local.systems_manager_requests import Refused
from local.systems_manager_runs import ProcessRun

TARGET = "AmazonSSM."
SETTLE_SECONDS = 0.05
HIDDEN_SECONDS = 0.2  # a command is not known so long after SendCommand, as on AWS
CONTENT_TYPE = "application/x-amz-json-1.1"


class Machine(Protocol):
    """What runs on an instance, where commands can run."""

    @property
    def folder(self) -> Path: ...

    def environment(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        """The environment of a command here, from the variables of the local AWS."""

    def restart(self) -> None: ...


class SystemsManagerServer:
    """`with SystemsManagerServer(...) as server:` serves at `server.endpoint` until the block ends, which kills every
    command. `core` has the documents and the commands.

    `state_of` says the state of an instance, None if there is none. `machines` are the instances with an agent, by
    their ids. A command runs in the folder of its machine, with `environment` as the machine completes it; its files
    are in `folder`. `other` is where ministack listens.
    """

    def __init__(
        self,
        *,
        state_of: Callable[[str], str | None],
        machines: Callable[[], Mapping[str, Machine]],
        environment: Callable[[], Mapping[str, str]],
        folder: Path,
        other: Callable[[], Endpoint],
    ) -> None:
        self._machines, self._environment, self._folder = machines, environment, folder
        self.core = SystemsManager(
            lambda instance_id: state_of(instance_id) if instance_id in machines() else None,
            self._run,
            account=ACCOUNT,
            rebooted=self._reboot,
            instances=lambda: list(machines()),
        )
        self.core.hidden_calls, self.core.hidden_seconds = 0, HIDDEN_SECONDS
        self._server = ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, self.core, other))
        self._server.daemon_threads = True
        self._closed = threading.Event()
        targets = self._server.serve_forever, self._settle
        self._threads = [threading.Thread(target=each, name="systems manager", daemon=True) for each in targets]
        self.endpoint = f"http://{LOOPBACK}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self.core.forget()

    def _settle(self) -> None:
        """A timeout kills its command also when nobody asks."""
        while not self._closed.wait(SETTLE_SECONDS):
            self.core.settle()

    def _run(self, command: Command, _began: float) -> ProcessRun:
        of_agent = {"AWS_SSM_INSTANCE_ID": command.instance_id, "AWS_SSM_REGION_NAME": REGION}
        machine = self._machines()[command.instance_id]
        variables = machine.environment(of_this_machine() | dict(self._environment()) | of_agent)
        at = machine.folder / command.working_directory
        return ProcessRun(command.script, folder=at, environment=variables, files=self._folder)

    def _reboot(self, instance_id: str) -> None:
        self._machines()[instance_id].restart()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self,
        systems_manager: SystemsManager,
        other: Callable[[], Endpoint],
        *connection: Any,
    ) -> None:
        self._systems_manager, self._other = systems_manager, other
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): ", ".join(self.headers.get_all(name, [])) for name in self.headers}
        ports = [int(self.connection.getsockname()[1])]
        action = headers.get("x-amz-target", "").removeprefix(TARGET)
        if action not in ACTIONS:  # ministack knows the keys of assumed roles, and checks them
            reason = refusal_of_web_pages(headers, ports=ports)
            self._send(REFUSED, "text/plain", reason.encode()) if reason else self._pass_on(headers, body)
        elif reason := refusal(headers, ports=ports, admits=partial(compare_digest, ACCESS_KEY)):
            self._send(REFUSED, "text/plain", reason.encode())
        else:
            self._answer(action, json.loads(body))

    def _answer(self, action: str, request: dict[str, Any]) -> None:
        try:
            status, answer = 200, self._systems_manager.answer(action, request)
        except Refused as refused:
            status, answer = 400, {"__type": refused.code, "message": refused.message}
        self._send(status, CONTENT_TYPE, json.dumps(answer, default=datetime.timestamp).encode())

    def _pass_on(self, headers: dict[str, str], body: bytes) -> None:
        host, port = self._other()
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            connection.request("POST", self.path, body, headers | {"host": f"{host}:{port}"})
            answer = connection.getresponse()
            self._send(answer.status, answer.getheader("Content-Type", CONTENT_TYPE), answer.read())
        finally:
            connection.close()

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the client has gone
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent: clients report the errors."""
