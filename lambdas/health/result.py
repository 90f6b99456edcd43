"""The result of one probe: the response, or how it failed, in words for an operator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.text import printable

Failure = Literal["refused", "unreachable", "tls", "old tls", "certificate", "issuer", "no answer", "incomplete"]
Certificates = tuple[tuple[float, float, str], ...]  # of each, its end and begin as a timestamp, its names in words
QUOTED_CHARACTERS = 60
# Route 53 searches "the first 5,120 bytes of the response body" (dns-failover-determining-health-of-endpoints.html).
BODY_BYTES = 5_120


@dataclass(frozen=True)
class Probe:
    """`status` is None with TCP, or if the headers are incomplete. `milliseconds`: of the whole probe. `error` is None
    if the headers and the body (or its first 5,120 bytes) came in time, or printable ASCII of at most 240 characters;
    `failure` is its kind. `headers` has first values by lower-case name. `certificates`: as in `certificates_of`."""

    status: int | None
    milliseconds: int = 0
    error: str | None = None
    failure: Failure | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    certificates: Certificates = ()


class NoResponse(Exception):
    """No complete response came; the message is for an operator. `failure` says how far the server got."""

    def __init__(self, error: str, failure: Failure, sent: Certificates = (), status: int | None = None) -> None:
        super().__init__(error)
        self.failure, self.status, self.certificates = failure, status, sent


def in_words(failure: OSError) -> str:
    """The operating system's text, in lower case: "connection refused"."""
    return (failure.strerror or str(failure)).lower()


def quoted(text: object) -> str:
    return f'"{printable(str(text), QUOTED_CHARACTERS)}"'
