"""Two web servers behind two addresses, for executions in this process. They answer real HTTP as the holder would."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.workflow.account import Aws

# Answers to `GET /health`, given the address asked: 200 or 500.
Behaviour = Callable[[str], int]


def well(_address: str) -> int:
    return 200


def sick(_address: str) -> int:
    return 500


def sick_as_production(address: str) -> int:
    return 500 if address == "production" else 200


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the 5 of the standard library, the 20 pairs of one test wait for a second SYN
    daemon_threads = True


class Web:
    """Listens on one port of both addresses. If no server holds an address, it closes the connection."""

    production_ip, staging_ip = "127.0.0.10", "127.0.0.11"

    def __init__(self) -> None:
        self.behaviour: dict[str, Behaviour] = {}
        # What each server says of itself, in headers.
        self.headers: dict[str, dict[str, str]] = {}
        # While an address's gate is not set, a request to it waits for its answer, and is in `waiting`.
        self.gates = {"production": threading.Event(), "staging": threading.Event()}
        self.waiting = {"production": 0, "staging": 0}
        self._aws: Aws | None = None
        self._servers = self._listen()
        self.port: int = self._servers[0].server_address[1]

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def serve(self, aws: "Aws") -> None:
        """Serve this account from now on, with both servers healthy."""
        self._aws = aws
        self.behaviour = dict.fromkeys(aws.servers, well)
        self.headers = {name: {"X-Server": name, "X-Release": "1", "X-Store": "db-1"} for name in aws.servers}
        self.open_gates()

    def open_gates(self) -> None:
        for gate in self.gates.values():
            gate.set()

    def _listen(self) -> list[_Server]:
        """One server for each address, on one port."""
        while True:
            production = _Server((self.production_ip, 0), self._handler("production"))
            try:
                address = self.staging_ip, production.server_address[1]
                return [production, _Server(address, self._handler("staging"))]
            except OSError:  # someone else has that port of the other address
                production.server_close()

    def _handler(self, name: str) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # http.server's name
                web.waiting[name] += 1
                web.gates[name].wait(timeout=30)
                web.waiting[name] -= 1
                aws = web._aws
                address = aws and (aws.production if name == "production" else aws.staging)
                holder = aws.holder(address) if aws and address else None
                if aws is None or holder is None or not aws.runs(holder):
                    return
                self.send_response(web.behaviour.get(holder, well)(name))
                for header, value in web.headers.get(holder, {}).items():
                    self.send_header(header, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
