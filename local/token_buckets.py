"""EC2's own limit: a bucket of tokens for each API, per account and Region. A request takes a token. If the bucket is
empty, EC2 answers `RequestLimitExceeded`.

Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API", the table "Request token bucket sizes
and refill rates". Without a filter, `DescribeInstances` and `DescribeInstanceStatus` have a smaller bucket (its
category "Unfiltered and unpaginated non-mutating actions"). Of these, the project calls only the second without one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

REJECTED = 503
REJECTION = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors>\
<RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"""


@dataclass(frozen=True)
class Limit:
    """The most tokens that a bucket holds, and the tokens that come back per second."""

    burst: int
    per_second: float


CHANGING = Limit(50, 5)
READING = Limit(100, 20)
UNFILTERED = Limit(50, 10)
LIMITS: Mapping[str, Limit] = {
    "AssociateAddress": CHANGING,
    "DisassociateAddress": CHANGING,
    "DescribeAddresses": READING,
    "DescribeAddressTransfers": READING,
    "DescribeInstances": READING,
    "DescribeInstanceStatus": UNFILTERED,
}


class TokenBuckets:
    """One full bucket for each of these APIs. Threads may share an instance. `clock` is in AWS's seconds.

    A dry run takes a token of its API, as any request does. AWS does not say whether a rejected request takes a token.
    Here it does not.
    """

    def __init__(self, limits: Mapping[str, Limit] = LIMITS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._levels = {action: (float(limit.burst), clock()) for action, limit in limits.items()}

    def admits(self, action: str) -> bool:
        """Take a token for a request of this API, if there is one. An API without a limit is always admitted."""
        limit = self._limits.get(action)
        if limit is None:
            return True
        with self._lock:
            level, before = self._levels[action]
            now = self._clock()
            level = min(limit.burst, level + (now - before) * limit.per_second)
            admitted = level >= 1
            self._levels[action] = (level - admitted, now)
            return admitted
