"""An open-loop load on one address: a request every few milliseconds, even if earlier requests have no answer yet.

A client that waits for an answer before its next request sends least when the service is worst. It hides what users
would see ("coordinated omission", Gil Tene). Here every request has an intended time, and its latency counts from this
time. The service or this program may cause a late start. A run without a cutover shows how often this program does.

The load is a process of its own, so that it shares no interpreter lock with the network and the EC2 that it measures:
`python -m local.load IP PORT`. It prints `ready`, then every answer when it arrives, as JSON, one a line. It sends
requests until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from itertools import count
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parent.parent
# The network and the EC2 of the local AWS are threads of one process. At Python's 5 ms per turn, the computing of EC2
# would show as latency of every connection.
THREADS_TAKE_TURNS_SECONDS = 0.0005
REQUESTS_A_SECOND = 200
GIVEN_UP_SECONDS = 5.0
REQUEST = "GET / HTTP/1.1\r\nHost: {ip}:{port}\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """One request: when it was due (`time.monotonic`), how long it took, who answered, and the error if it failed.

    `who` is the server and, after a comma, what runs on it: "tao, release 2". None if no server answered.
    """

    sent: float
    milliseconds: float
    who: str | None
    error: str | None

    @property
    def good(self) -> bool:
        return self.error is None

    @property
    def arrived(self) -> float:
        return self.sent + self.milliseconds / 1000


class Load:
    """`with Load(ip, port) as load:` sends requests until the block ends.

    Within the block, `load.answers` has the answers so far, as they arrived; after it, all of them, in the order in
    which their requests were due. Raises RuntimeError if the load cannot start or sends nothing.
    """

    def __init__(self, ip: str, port: int) -> None:
        self._address = (ip, str(port))
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.load", *self._address],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for this process, which then ends the load
        )
        if self._output.readline() != "ready\n":
            raise RuntimeError("the load did not start; its errors are above")
        self._reader = threading.Thread(target=self._read_all, name="load", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:
            if process.stdin:
                process.stdin.close()
            self._reader.join()
        self.answers.sort(key=attrgetter("sent"))
        if not self.answers and error is None:
            raise RuntimeError("the load sent no request; its errors are above")

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read_all(self) -> None:
        for line in self._output:
            self.answers.append(Answer(**json.loads(line)))

    @property
    def _output(self) -> IO[str]:
        if self._process.stdout is None:
            raise ValueError("the load was not started")
        return self._process.stdout


async def _send_all(ip: str, port: int) -> None:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    pending: set[asyncio.Task[None]] = set()  # only these, so that a load can go on for hours
    print("ready", flush=True)
    began = time.monotonic()
    for number in count():
        intended = began + number / REQUESTS_A_SECOND
        await asyncio.sleep(intended - time.monotonic())
        if ended.done():
            break
        pending.add(task := asyncio.create_task(_send(ip, port, intended)))
        task.add_done_callback(pending.discard)
    await asyncio.gather(*pending)


async def _send(ip: str, port: int, intended: float) -> None:
    who = None
    try:
        async with asyncio.timeout_at(intended + GIVEN_UP_SECONDS):
            who, error = _read(await _exchange(ip, port))
    except TimeoutError:
        error = f"no answer within {GIVEN_UP_SECONDS:.0f} s"
    except OSError as failure:
        error = os.strerror(failure.errno) if failure.errno else type(failure).__name__
    answer = Answer(intended, (time.monotonic() - intended) * 1000, who, error)
    print(json.dumps(asdict(answer)), flush=True)


async def _exchange(ip: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        writer.write(REQUEST.format(ip=ip, port=port).encode())
        return await reader.read()
    finally:
        writer.close()


def _read(answer: bytes) -> tuple[str | None, str | None]:
    """Who answered, and the error of the answer; None if the answer is good."""
    head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if not first or headers.get("content-length") != str(len(body)):
        return None, "the connection ended before the answer did"
    status = first.split(" ")[1]
    who = f"{headers['x-server']}, release {headers['x-release']}" if "x-server" in headers else None
    return who, None if status == "200" else f"status {status}"


def main() -> None:
    ip, port = sys.argv[1:]
    asyncio.run(_send_all(ip, int(port)))


if __name__ == "__main__":
    main()
