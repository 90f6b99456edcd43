"""Connections to an Elastic IP reach the server that holds it now; real sockets, real servers."""

import contextlib
import http.client
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.network import Endpoint, Network, require_addresses
from local.server import Server

PRODUCTION = "127.0.0.10"
STAGING = "127.0.0.11"
SECONDS = 5  # after this, a broken promise is a failed test instead of a hanging one


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        Server("bittybot", instance_id="i-b", address="127.0.0.21", production_ip=PRODUCTION, folder=folder / "b") as b,
        Server("tao", instance_id="i-t", address="127.0.0.22", production_ip=PRODUCTION, folder=folder / "t") as t,
    ):
        yield {"bittybot": b, "tao": t}


class Held:
    """Who holds which address, in place of EC2. `network` carries connections accordingly."""

    def __init__(self, servers: dict[str, Server]) -> None:
        self._servers = servers
        self._holders = {PRODUCTION: "bittybot", STAGING: "tao"}
        self.network = Network([PRODUCTION, STAGING], self._route)

    def by(self, server: str | None, ip: str = PRODUCTION) -> None:
        self._holders = {key: name for key, name in self._holders.items() if key != ip}
        if server:
            self._holders[ip] = server
        self.network.refresh()

    def connect(self, ip: str = PRODUCTION) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(ip, self.network.port, timeout=SECONDS)
        connection.connect()
        return connection

    def answering(self, ip: str = PRODUCTION) -> str:
        with contextlib.closing(self.connect(ip)) as connection:
            return answering(connection)

    def _route(self, ip: str) -> Endpoint | None:
        server = self._servers.get(self._holders.get(ip, ""))
        return (server.address, server.port) if server and server.port else None


def answering(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    return response.headers["X-Server"]


@pytest.fixture
def held(servers: dict[str, Server]) -> Iterator[Held]:
    held = Held(servers)
    with held.network:
        yield held


def test_an_open_connection_finishes_on_its_server(held: Held) -> None:
    connection = held.connect()
    assert (answering(connection), held.answering(STAGING)) == ("bittybot", "tao")
    held.by("tao")
    assert held.answering() == "tao"
    assert answering(connection) == "bittybot"
    held.by(None)
    assert answering(connection) == "bittybot"
    connection.close()


def test_an_address_on_no_server_refuses_connections_until_it_is_on_a_server_again(held: Held) -> None:
    for _ in range(5):
        held.by(None)
        with pytest.raises(ConnectionRefusedError):
            held.connect()
        assert held.answering(STAGING) == "tao"
        held.by("tao")
        assert held.answering() == "tao"


def test_no_connection_is_accepted_and_lost_while_the_address_leaves_its_server(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    over = threading.Event()

    def connect_again_and_again() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.connect().close()

    with ThreadPoolExecutor() as pool:
        for _ in range(4):
            pool.submit(connect_again_and_again)
        for _ in range(200):
            held.by(None)
            held.by("tao")
        over.set()
    assert not caplog.records, "asyncio logs a connection that it lost"


def test_a_server_that_is_down_resets_connections_and_never_answers_empty(
    held: Held, servers: dict[str, Server]
) -> None:
    servers["bittybot"].stop()
    try:
        with pytest.raises(ConnectionResetError), contextlib.closing(held.connect()) as connection:
            connection.sock.recv(1)
    finally:
        servers["bittybot"].start()
    assert held.answering() == "bittybot"


def test_no_new_connection_fails_while_the_address_moves(held: Held) -> None:
    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(lambda: [held.answering() for _ in range(100)]) for _ in range(4)]
        server = "bittybot"
        while not all(client.done() for client in clients):
            server = "tao" if server == "bittybot" else "bittybot"
            held.by(server)
        answers = [answer for client in clients for answer in client.result()]
    assert len(answers) == 400
    assert set(answers) == {"bittybot", "tao"}


def test_a_client_that_hangs_up_early_does_not_affect_others(held: Held) -> None:
    for _ in range(20):
        with socket.create_connection((PRODUCTION, held.network.port), timeout=SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost:")
    assert held.answering() == "bittybot"


def test_a_server_receives_the_end_of_its_clients_request(held: Held) -> None:
    with socket.create_connection((PRODUCTION, held.network.port), timeout=SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_two_networks_on_one_machine_do_not_collide(held: Held, servers: dict[str, Server]) -> None:
    other = Held(servers)
    with other.network:
        other.by("tao")
        assert other.network.port != held.network.port
        assert (held.answering(), other.answering()) == ("bittybot", "tao")


def response(held: Held, path: str = "/", ip: str = PRODUCTION) -> http.client.HTTPResponse:
    with contextlib.closing(held.connect(ip)) as connection:
        connection.request("GET", path)
        return connection.getresponse()


def test_a_release_runs_from_the_restart_after_its_deployment(held: Held, servers: dict[str, Server]) -> None:
    servers["bittybot"].deploy(release=2)
    assert response(held).headers["X-Release"] == "1"
    servers["bittybot"].restart()
    assert response(held).headers["X-Release"] == "2"


def health(held: Held, ip: str) -> int:
    return response(held, "/health", ip).status


def test_the_commands_for_a_shell_make_a_server_unhealthy_and_healthy_at_once(
    held: Held, servers: dict[str, Server], tmp_path: Path
) -> None:
    server = servers["tao"]
    subprocess.run(["sh", "-c", f"cd {tmp_path}; {server.unhealthy_command}"], check=True)
    assert (health(held, STAGING), response(held, ip=STAGING).status, health(held, PRODUCTION)) == (500, 200, 200)
    subprocess.run(["sh", "-c", f"cd {tmp_path}; {server.healthy_command}"], check=True)
    assert health(held, STAGING) == 200


@pytest.mark.parametrize(
    ("behaviour", "as_staging", "as_production"),
    [("unhealthy", 500, 500), ("broken-for-users", 200, 200), ("fails-as-production", 200, 500)],
)
def test_a_bad_release_behaves_badly_after_the_restart(
    held: Held, servers: dict[str, Server], behaviour: str, as_staging: int, as_production: int
) -> None:
    server = servers["tao"]
    server.deploy(release=3, behaviour=behaviour)  # type: ignore[arg-type]
    server.restart()
    try:
        assert health(held, STAGING) == as_staging
        held.by("tao", PRODUCTION)
        assert health(held, PRODUCTION) == as_production
        assert response(held).status == (200 if behaviour == "unhealthy" else 500)
    finally:
        server.deploy(release=1)
        server.restart()


def test_a_machine_without_the_loopback_addresses_gets_the_commands_that_add_them() -> None:
    with pytest.raises(RuntimeError, match=r"sudo ifconfig lo0 alias 192\.0\.2\.1$"):
        require_addresses(["127.0.0.1", "192.0.2.1"])  # the second is nobody's, by RFC 5737


def test_the_port_of_an_address_on_no_server_belongs_to_no_one_else(held: Held) -> None:
    def bound_by_another() -> bool:
        with socket.socket() as another, contextlib.suppress(OSError):
            another.bind((PRODUCTION, held.network.port))
            return True
        return False

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: [bound_by_another() for _ in range(5_000)])
        while not others.done():
            held.by(None)
            held.by("tao")
    assert not any(others.result())


def test_an_address_that_is_added_answers_like_the_others_and_without_a_server_refuses(held: Held) -> None:
    held.network.add(["127.0.0.12"])
    with pytest.raises(ConnectionRefusedError):
        held.connect("127.0.0.12")
    held.by("tao", "127.0.0.12")
    assert held.answering("127.0.0.12") == "tao"
    held.by(None, "127.0.0.12")
    held.network.add(["127.0.0.12"])
    with pytest.raises(ConnectionRefusedError):
        held.connect("127.0.0.12")
    held.by("bittybot", "127.0.0.12")
    assert held.answering("127.0.0.12") == "bittybot"


def test_an_address_that_this_machine_does_not_have_is_not_added(held: Held) -> None:
    with pytest.raises(RuntimeError, match=r"sudo ifconfig lo0 alias 192\.0\.2\.1"):
        held.network.add(["192.0.2.1"])
    assert held.answering() == "bittybot"
