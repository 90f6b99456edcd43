"""The web server of a test pair, as a script: it answers with its server's name and its release.

The name of a release says how the release behaves, by what follows the first "-":

    7                      good
    7-unhealthy            `/health` answers 500
    7-broken               every path answers 500
    7-broken-for-users     every path but `/health` answers 500
    7-fails-as-production  every path answers 500, but only through the production address

`/health` is the path for health checks. The release is read once, at start: a deployed release does not run until the
server is restarted. A file called `unhealthy` next to the release makes `/health` fail at once. A restart removes it.

SIGHUP restarts it on the same port, as the command `deploy` on the server does: the file `pid` says what to send the
signal to, and the file `running`, with the port and the release, is there while it accepts connections. With a
certificate and its key in the file `certificate.pem` when it starts, it speaks HTTPS.

The two servers on AWS and those of the local AWS run it. It imports only the standard library, so that it starts
quickly, and it runs with the Python 3.9 of Amazon Linux 2023.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RELEASE_FILE = "release"
UNHEALTHY_FILE = "unhealthy"
PID_FILE = "pid"
RUNNING_FILE = "running"
CERTIFICATE_FILE = "certificate.pem"
GOOD = "good"
BEHAVIOURS = ("unhealthy", "broken", "broken-for-users", "fails-as-production")


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, name: str, address: str, production_ip: str, folder: Path, port: int = 0) -> None:
        self.name = name
        self.production_ip = production_ip
        self.release, given, *_ = [*(folder / RELEASE_FILE).read_text().splitlines(), ""]
        self.behaviour = given or behaviour_of(self.release)
        self.unhealthy = folder / UNHEALTHY_FILE
        self.unhealthy.unlink(missing_ok=True)
        super().__init__((address, port), Answer)
        certificate = folder / CERTIFICATE_FILE
        if certificate.exists():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake is done by the thread of the connection, when it reads.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which takes seconds on a machine without a name server."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def status(self, path: str, host: str) -> int:
        if self.behaviour == "broken":
            return 500
        if self.behaviour == "fails-as-production" and host.partition(":")[0] == self.production_ip:
            return 500
        is_health_check = path.partition("?")[0] == "/health"
        if self.behaviour == "broken-for-users" and not is_health_check:
            return 500
        if is_health_check and (self.behaviour == "unhealthy" or self.unhealthy.exists()):
            return 500
        return 200

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is not an error."""


def behaviour_of(release: str) -> str:
    """How a release behaves, by its name. `fails`, `slow` and `very-slow` concern only the command `deploy`."""
    behaviour = release.partition("-")[2]
    return behaviour if behaviour in BEHAVIOURS else GOOD


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def do_GET(self) -> None:
        status = self.server.status(self.path, self.headers.get("Host", ""))
        body = json.dumps({"server": self.server.name, "release": self.server.release, "status": status}) + "\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Server", self.server.name)
        self.send_header("X-Release", self.server.release)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent: it gets hundreds of requests a second."""


def main() -> None:
    """Arguments: NAME ADDRESS PRODUCTION_IP FOLDER [PORT]. Prints its port as the first line."""
    name, address, production_ip, folder, *port = sys.argv[1:]
    with WebServer(name, address, production_ip, Path(folder), *map(int, port)) as server:

        def restart(*_: object) -> None:
            same = [*sys.argv[:5], str(server.server_address[1])]
            os.execv(sys.executable, [sys.executable, "-I", "-S", *same])  # noqa: S606  # the command of this process

        signal.signal(signal.SIGHUP, restart)
        Path(folder, PID_FILE).write_text(str(os.getpid()))
        Path(folder, RUNNING_FILE).write_text(f"{server.server_address[1]}\n{server.release}\n")
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
