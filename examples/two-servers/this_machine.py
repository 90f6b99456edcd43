"""What this machine does for `make try`: it prints, runs programs, sends HTTP requests, and waits."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from client.account import AwsError
from client.screen import plain

PAUSE_SECONDS = 5
ANSWER_SECONDS = 5
END_SECONDS = 10
# The CDK works with Node.js 20, which it and its SDK say at length.
QUIET_CDK = {
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
    "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
}


@contextmanager
def signals_wait() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM wait. So a program that is being started is known when they interrupt this one."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda caught, _: received.append(caught))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask a program to end, and kill it if it does not end, or if this is interrupted again."""
    child.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)
    finally:
        child.kill()  # no effect if it has ended
        child.wait()


@dataclass(frozen=True)
class Answer:
    """What a web server said about itself, in the headers X-Server and X-Release."""

    server: str
    release: str

    @property
    def line(self) -> str:
        return plain(f"{self.server}, release {self.release or 'unknown'}", 160)


class ThisMachine:
    """A test replaces it, or parts of it."""

    def say(self, text: str = "") -> None:
        print(text, flush=True)  # programs that it runs write to the same output

    def run(self, command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> int:
        """Run a program, with its output shown. Returns its exit code. It may ask for the code of an MFA device."""
        child = None
        try:
            with signals_wait():
                child = self.start(command, folder, {**os.environ, **QUIET_CDK, **variables})
            return child.wait()
        finally:
            if child and child.poll() is None:  # this program was interrupted
                _end(child)

    def start(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        # The command has no words that others wrote.
        return subprocess.Popen(command, cwd=folder, env=environment)  # noqa: S603

    def read(self, file: Path) -> str:
        return file.read_text()

    def answer(self, ip: str, port: int) -> Answer | None:
        """The answer of the web server at an address; None if there is no server that says who it is."""
        connection = http.client.HTTPConnection(ip, port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            server, release = response.getheader("X-Server"), response.getheader("X-Release")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return Answer(server, release or "") if server else None

    def wait(self, reason: Callable[[], str], *, seconds: float) -> str:
        """Wait until there is no `reason` to wait. Prints each new reason. Returns the last reason if the time is up,
        else an empty text. An error of AWS that may pass is a reason."""
        deadline, said = self.monotonic() + seconds, ""
        while True:
            try:
                now = reason()
            except AwsError as error:
                if not error.is_transient:
                    raise
                now = str(error)
            if not now or self.monotonic() > deadline:
                return now
            if now != said:
                self.say(f"  {now}")
                said = now
            self.sleep(PAUSE_SECONDS)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def monotonic(self) -> float:
        return time.monotonic()

    @property
    def python(self) -> str:
        """The Python that has the packages of this project."""
        return sys.executable
