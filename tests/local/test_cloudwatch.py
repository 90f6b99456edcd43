"""CloudWatch, as the functions of the local AWS reach it, can stop answering."""

import socket
from collections.abc import Iterator

import pytest

from local.access import LOOPBACK
from local.cloudwatch import CloudWatch


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as listening:
        yield listening


@pytest.fixture
def cloudwatch(server: socket.socket) -> Iterator[CloudWatch]:
    """It leads to `server`."""
    way = CloudWatch(server.getsockname)
    way.start()
    yield way
    way.stop()


def connected(cloudwatch: CloudWatch) -> socket.socket:
    return socket.create_connection((LOOPBACK, cloudwatch.port), timeout=0.3)


def test_it_leads_to_cloudwatch(cloudwatch: CloudWatch, server: socket.socket) -> None:
    with connected(cloudwatch) as client, server.accept()[0] as answering:
        client.sendall(b"hello")
        assert answering.recv(5) == b"hello"


def test_if_it_hangs_connections_are_accepted_and_never_answered(cloudwatch: CloudWatch) -> None:
    cloudwatch.behave("hangs")
    with connected(cloudwatch) as client:
        client.sendall(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_if_it_refuses_there_are_no_connections_until_it_answers_again(cloudwatch: CloudWatch) -> None:
    cloudwatch.behave("refuses")
    with pytest.raises(ConnectionRefusedError):
        connected(cloudwatch)
    cloudwatch.behave("answers")
    connected(cloudwatch).close()
