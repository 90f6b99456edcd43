"""A web server that keeps connections alive as nginx does, and whose reload closes the idle ones."""

import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: {}\r\n\r\nok"


@dataclass
class KeepAliveServer:
    """Answers `/3.5` after 3.5 seconds, and `/reload` once it has read `settings` again (`keepalive_timeout 75;`)."""

    settings: Path
    port: int = 0
    keeps: bool = True
    stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            served = False
            while not self.stopped.is_set():
                if not select.select([client], [], [], 0.02)[0]:
                    if served and not self.keeps:
                        return
                    continue
                asked = re.match(rb"GET /(\S*)", client.recv(4096))
                if not asked:
                    return
                if asked[1] == b"reload":
                    self.keeps = self.settings.read_text() != "keepalive_timeout 0;\n"
                else:
                    self.stopped.wait(float(asked[1] or 0))
                served, keeps = True, self.keeps
                client.sendall(ANSWER.format("keep-alive" if keeps else "close").encode())
                if not keeps:
                    return


@contextlib.contextmanager
def keeping_alive(settings: Path) -> Iterator[KeepAliveServer]:
    """Such a server on a free port of loopback, until the block ends."""
    threads: list[threading.Thread] = []

    def accept_all() -> None:
        while not server.stopped.is_set():
            if select.select([listener], [], [], 0.02)[0]:
                threads.append(threading.Thread(target=server.serve, args=[listener.accept()[0]]))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = KeepAliveServer(settings, listener.getsockname()[1])
        threads.append(threading.Thread(target=accept_all))
        threads[0].start()
        try:
            yield server
        finally:
            server.stopped.set()
            for thread in threads:
                thread.join()


class Client:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, seconds: float = 0) -> None:
        self.socket.sendall(f"GET /{seconds} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def answer(self) -> str:
        """Until the end of the answer; empty if the server has closed the connection."""
        answer = b""
        while not answer.endswith(b"ok") and (received := self.socket.recv(4096)):
            answer += received
        return answer.decode()

    def close(self) -> None:
        self.socket.close()


def until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Waits until the function returns something true."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
