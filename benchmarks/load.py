"""An open-loop load on one address: a request every few milliseconds, even if earlier requests have no answer yet.

A client that waits for an answer before its next request sends least when the service is worst. It hides what users
would see ("coordinated omission", Gil Tene). Here every request has an intended time, and its latency counts from this
time. The service or this program may cause a late start. A run without a cutover shows how often this program does.

The load is a process of its own, so that it shares no interpreter lock with the network and the EC2 that it measures:
`python -m benchmarks.load IP PORT`. It prints `ready`, sends requests until its standard input ends, then prints the
answers as JSON, one a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from local.client import Answer

ROOT = Path(__file__).resolve().parent.parent
REQUESTS_A_SECOND = 200
GIVEN_UP_SECONDS = 5.0
REQUEST = "GET / HTTP/1.1\r\nHost: {ip}:{port}\r\nConnection: close\r\n\r\n"


class Load:
    """`with Load(ip, port) as load:` sends requests until the block ends. Then `load.answers` has the answers.

    The answers are in the order of their intended times. `sent` is the intended time of the request.
    """

    def __init__(self, ip: str, port: int) -> None:
        self._address = (ip, str(port))
        self.answers: list[Answer] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", *self._address],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._output.readline() != "ready\n":
            raise RuntimeError("the load did not start; its errors are above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process as process:
            if process.stdin:
                process.stdin.close()
            self.answers = [Answer(**json.loads(line)) for line in self._output]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def _output(self) -> subprocess.IO[str]:  # type: ignore[name-defined]
        return self._process.stdout


async def _send_all(ip: str, port: int) -> list[Answer]:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    sent: list[asyncio.Task[Answer]] = []
    print("ready", flush=True)
    began = time.monotonic()
    for number in count():
        intended = began + number / REQUESTS_A_SECOND
        await asyncio.sleep(intended - time.monotonic())
        if ended.done():
            break
        sent.append(asyncio.create_task(_send(ip, port, intended)))
    return await asyncio.gather(*sent)


async def _send(ip: str, port: int, intended: float) -> Answer:
    who = None
    try:
        async with asyncio.timeout_at(intended + GIVEN_UP_SECONDS):
            who, error = _read(await _exchange(ip, port))
    except TimeoutError:
        error = f"no answer within {GIVEN_UP_SECONDS:.0f} s"
    except OSError as failure:
        error = os.strerror(failure.errno) if failure.errno else type(failure).__name__
    return Answer(intended, (time.monotonic() - intended) * 1000, who, error)


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
    for answer in asyncio.run(_send_all(ip, int(port))):
        print(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main()
