"""A client of the production address that asks without pause, each time on a new connection, and keeps every answer."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.002  # so that the client does not take a whole core from what it watches


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent (`time.monotonic`), how long it took, and what came of it."""

    sent: float
    milliseconds: float
    who: str | None
    error: str | None

    @property
    def good(self) -> bool:
        return self.error is None


class Client:
    """`with Client(ip, port) as client:` asks until the block ends; the answers are in `client.answers`."""

    def __init__(self, ip: str, port: int) -> None:
        self._ip, self._port = ip, port
        self.answers: list[Answer] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name="client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _ask_on(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            self.answers.append(self._ask())

    def _ask(self) -> Answer:
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
