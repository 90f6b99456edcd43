"""A client that sends requests to an address without pause, each on a new connection, and keeps every answer."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.002  # without a pause, the client would take a whole core from the servers


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (`time.monotonic`), how long it took, who answered, and the error if it failed."""

    sent: float
    milliseconds: float
    who: str | None
    error: str | None

    @property
    def good(self) -> bool:
        return self.error is None


class Client:
    """`with Client(ip, port) as client:` sends requests until the block ends; `client.answers` has the answers."""

    def __init__(self, ip: str, port: int) -> None:
        self._ip, self._port = ip, port
        self.answers: list[Answer] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _send_all(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self.answers.append(self._send())

    def _send(self) -> Answer:
        sent = time.monotonic()
        connection = http.client.HTTPConnection(self._ip, self._port, timeout=TIMEOUT_SECONDS)
        who = None
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            who = f"{answer.headers['X-Server']}, release {answer.headers['X-Release']}"
            error = None if answer.status == http.client.OK else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as failure:
            error = str(failure) or type(failure).__name__
        finally:
            connection.close()
        return Answer(sent, (time.monotonic() - sent) * 1000, who, error)
