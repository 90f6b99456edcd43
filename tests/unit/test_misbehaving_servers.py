"""The servers that the tests of the health check ask leave nothing behind."""

import socket
import threading
import time

from tests.unit.misbehaving_servers import Connection, serving


def test_the_threads_of_a_server_have_ended_with_its_block() -> None:
    before = threading.active_count()

    def slow(_connection: Connection) -> None:
        time.sleep(0.1)

    for _ in range(5):
        with serving(slow) as server:
            clients = [socket.create_connection((server.ip, server.port)) for _ in range(20)]
        assert (threading.active_count(), server.connections) == (before, 20)
        for client in clients:
            client.close()
