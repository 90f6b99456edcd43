"""A probe that is stopped from another thread, wherever it is."""

import threading
import time
from typing import Any

import pytest

from health.deadline import ProbeStopped, Stop
from health.probe import Request, probe
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Server,
    answering,
    dripping,
    hanging_after,
    not_accepting,
    serving,
    silent,
    status,
)

GRACE = 1.0


@pytest.mark.parametrize(
    ("protocol", "behaviour"),
    [
        ("HTTP", silent),
        ("HTTP", hanging_after(b"HTTP/1.0 200 OK\r\n\r\nall is")),
        ("HTTP", dripping(status(200) * 100)),
        ("HTTPS", silent),
    ],
)
def test_a_stop_ends_the_probe_that_is_under_way_at_once(protocol: Any, behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        assert stopped(server, protocol)


def test_a_stop_ends_a_probe_that_waits_for_its_connection() -> None:
    with not_accepting() as server:
        assert stopped(server, "TCP")


def test_after_a_stop_no_probe_begins() -> None:
    stop = Stop()
    stop.set()
    with serving(answering(OK)) as server, pytest.raises(ProbeStopped):
        probe(Request(protocol="HTTP", ip=server.ip, port=server.port, timeout_seconds=2), stop=stop)
    assert server.connections == 0


def stopped(server: Server, protocol: Any) -> bool:
    """Whether a probe, stopped after a tenth of a second, is over then."""
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(ProbeStopped):
        probe(Request(protocol=protocol, ip=server.ip, port=server.port, timeout_seconds=5), stop=stop)
    return time.monotonic() - began < 0.1 + GRACE
