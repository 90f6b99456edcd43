"""`status` says what production answers to its health check, from this machine."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from client.commands import main
from client.status import answers
from stacks.configuration.settings import configured
from tests.stacks.contexts import VPC, pair
from tests.unit.client_doubles import PAIR, Service, lock_table, parameter_store, session

LOCAL = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(float(self.path.partition("?sleep=")[2] or 0))
        self.send_response(int(self.path[1:4]))
        self.end_headers()
        self.wfile.write(b"::error::no")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = Server((LOCAL, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind((LOCAL, 0))
        return int(closed.getsockname()[1])


def published(*checks: dict[str, Any]) -> Any:
    """A pair of these checks, with their defaults, as the stack publishes it."""
    web = configured({"pairs": {"web": pair(healthCheck=list(checks))}, "vpc": VPC}.get).pairs["web"]
    return replace(PAIR, health_check=json.loads(json.dumps(web.as_json()["healthCheck"])))


def standing(web: Any, ip: str = LOCAL) -> Any:
    on = {"AllocationId": "eipalloc-a", "PublicIp": ip, "InstanceId": "i-a", "AssociationId": "x"}
    return web, web.address("production", on)


def test_the_answer_of_each_check_says_what_came_from_where(port: int) -> None:
    free = closed_port()
    web = published(
        {"port": port, "path": "/200"},
        {"port": port, "path": "/500"},
        {"port": port, "path": "/200", "bodyContains": "ok"},
        {"port": free, "path": "/200"},
        {"protocol": "TCP", "port": port},
        {"protocol": "TCP", "port": free},
    )
    (found,) = answers([standing(web)])
    here = "from this machine"
    assert [str(each) for each in found] == [
        f"200 to GET http://{LOCAL}:{port}/200 {here}",
        f"500 to GET http://{LOCAL}:{port}/500 {here}: expected 200",
        f'200 to GET http://{LOCAL}:{port}/200 {here}: the body lacks "ok": it is 11 bytes without a Content-Type',
        f"no answer to GET http://{LOCAL}:{free}/200 {here}: connection refused",
        f"a connection to tcp://{LOCAL}:{port} {here}",
        f"no answer to tcp://{LOCAL}:{free} {here}: connection refused",
    ]
    assert [each.good for each in found] == [True, False, False, False, True, False]
    assert vars(found[1]) == {
        "url": f"http://{LOCAL}:{port}/500", "status": 500, "error": "expected 200", "good": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("web", "ip", "says"),
    [
        (PAIR, LOCAL, "the stack publishes no health check of this pair"),
        (replace(PAIR, health_check=[{"protocol": "HTTP"}]), LOCAL, "published by another version"),
        (published({"port": 1}), None, "production is on no server"),
        (published({"port": 8080, "via": "private"}), LOCAL, "HTTP on port 8080 is checked from inside the VPC"),
    ],
    ids=["too long", "other version", "no server", "private"],
)
def test_what_is_not_checked_says_why_and_is_neither_good_nor_bad(web: Any, ip: str | None, says: str) -> None:
    ((answer,),) = answers([standing(web, ip) if ip else (web, None)])
    assert str(answer).startswith("not checked: ")
    assert says in str(answer)
    assert (answer.good, answer.status, answer.url) == (None, None, None)


def test_many_pairs_are_asked_at_the_same_time_and_no_probe_takes_longer_than_5_seconds(
    port: int,
) -> None:
    web = published({"port": port, "path": "/200?sleep=0.5"})
    began = time.monotonic()
    found = answers([standing(web)] * 60)
    assert {answer.good for (answer,) in found} == {True}
    assert time.monotonic() - began < 15, "one after another they take 30 s"
    slow = published({"port": port, "path": "/200?sleep=2", "timeoutSeconds": 60, "deadlineSeconds": 600})
    ((answer,),) = answers([standing(slow)], longest_seconds=0.2)
    assert "0.2 s" in str(answer.error)


def test_status_does_not_say_that_production_is_healthy(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    web = published({"port": port, "path": "/500"})
    on = {"PublicIp": LOCAL, "AssociationId": "x"}
    addresses = [
        {"AllocationId": web.production, "InstanceId": "i-b", **on},
        {"AllocationId": web.staging, "InstanceId": "i-a", **on},
    ]
    ec2 = Service(describe_addresses={"Addresses": addresses})
    services = {"ssm": parameter_store(web), "ec2": ec2, "dynamodb": lock_table()}
    assert main(["status"], session=session(**services)) == 0
    out = capsys.readouterr().out
    assert f"answers      500 to GET http://{LOCAL}:{port}/500 from this machine: expected 200\n" in out
    assert "addresses    in place\n" in out
    assert "sound" not in out
    assert main(["status", "--json"], session=session(**services)) == 0
    (read,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (read["sound"], read["answers"][0]["good"]) == (True, False)


def test_the_client_needs_no_package_of_the_functions_or_of_the_stack() -> None:
    missing = "import sys; sys.modules.update(dict.fromkeys(('aws_lambda_powertools', 'pydantic', 'aws_cdk', 'aws')))"
    run = f"{missing}; sys.path += ['.', 'lambdas']; import client.commands"
    subprocess.run([sys.executable, "-I", "-c", run], check=True)
