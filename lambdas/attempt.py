"""What bounds one probe, and how it ends early: a deadline for all of its waits, and `NoAnswer`.

A timeout for each read is not enough: a server that sends a byte a second would hold a probe for ever. So every wait
(the connection, the TLS handshake, the request, each read) gets only what is left until one deadline. Python keeps such
a timeout for a whole handshake and a whole TLS record too, however their bytes arrive, so no watchdog thread is needed.
"""

import time
from dataclasses import dataclass
from typing import Literal

Failure = Literal["refused", "unreachable", "tls", "certificate", "no answer", "incomplete"]


@dataclass(frozen=True)
class Deadline:
    """When a probe must be over: `timeout_seconds` after it began, `at` on the monotonic clock."""

    at: float
    timeout_seconds: float

    @staticmethod
    def after(timeout_seconds: float) -> "Deadline":
        return Deadline(time.monotonic() + timeout_seconds, timeout_seconds)

    def left(self) -> float:
        """The seconds until then; 0 would mean "do not wait" to a socket, so it is the timeout's end here."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def __str__(self) -> str:
        return f"{self.timeout_seconds:g} s"


class NoAnswer(Exception):
    """No complete answer came; the message is a short sentence for an operator.

    `failure` is how far it got, `status` the status code that did come, if any.
    """

    def __init__(self, error: str, failure: Failure, status: int | None = None) -> None:
        super().__init__(error)
        self.failure = failure
        self.status = status


def in_words(failure: OSError) -> str:
    """What the operating system says: "connection refused"."""
    return (failure.strerror or str(failure)).lower()


def printable(text: str, characters: int) -> str:
    """The text for logs and notifications: "?" for all that is not printable ASCII, and shortened."""
    return shortened("".join(character if " " <= character <= "~" else "?" for character in text), characters)


def shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
