"""How a probe fails, and how that is worded: printable, on one line and short."""

from typing import Literal

from domain.text import printable

Failure = Literal["refused", "unreachable", "tls", "certificate", "no answer", "incomplete"]
QUOTED_CHARACTERS = 60


class NoResponse(Exception):
    """No complete response came. The message is a short sentence for an operator.

    `failure` says how far the server got. `status` is the status code if it did come.
    """

    def __init__(self, error: str, failure: Failure, status: int | None = None) -> None:
        super().__init__(error)
        self.failure = failure
        self.status = status


def in_words(failure: OSError) -> str:
    """The operating system's text, in lower case: "connection refused"."""
    return (failure.strerror or str(failure)).lower()


def quoted(text: object) -> str:
    return f'"{printable(str(text), QUOTED_CHARACTERS)}"'
