"""The web server and the command `deploy` of a test pair: the name of a release says how the release behaves."""

import ast
import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from local.server import DEPLOY_FILE, PID_FILE, PROGRAMS, RUNNING_FILE, Server

PRODUCTION = "192.0.2.1"
GOOD, FAILS = 200, 500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server") / "tao"
    with Server("tao", instance_id="i-t", address="127.0.0.1", production_ip=PRODUCTION, folder=folder) as running:
        yield running


def deploy(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """As a command of Systems Manager does it: in any folder, with the command on the PATH."""
    path = f"{server.folder}:{os.environ['PATH']}"
    return subprocess.run(
        [DEPLOY_FILE, *words], check=False, cwd="/", env={"PATH": path}, capture_output=True, text=True, timeout=60
    )


def answer(server: Server, path: str = "/", host: str = "staging.example.com") -> http.client.HTTPResponse:
    assert server.port
    with closing(http.client.HTTPConnection(server.address, server.port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse()


@pytest.mark.parametrize(
    ("release", "health", "page", "page_as_production"),
    [
        ("7", GOOD, GOOD, GOOD),
        ("7-unhealthy", FAILS, GOOD, GOOD),
        ("7-broken", FAILS, FAILS, FAILS),
        ("7-broken-for-users", GOOD, FAILS, FAILS),
        ("7-fails-as-production", GOOD, GOOD, FAILS),
        ("7-a1b2c3d", GOOD, GOOD, GOOD),
        ("7-a1b2c3d-broken", GOOD, GOOD, GOOD),
        ("broken", GOOD, GOOD, GOOD),
        ("fails", GOOD, GOOD, GOOD),
    ],
)
def test_a_release_behaves_as_its_name_says(
    server: Server, release: str, health: int, page: int, page_as_production: int
) -> None:
    assert deploy(server, release).stdout == f"release {release} runs\n"
    assert answer(server, "/health").status == health
    assert answer(server).status == page
    assert answer(server, host=f"{PRODUCTION}:80").status == page_as_production
    assert (answer(server).headers["X-Server"], answer(server).headers["X-Release"]) == ("tao", release)


def test_a_release_that_cannot_be_deployed_leaves_the_former_release_running(server: Server) -> None:
    deploy(server, "7")
    failed = deploy(server, "8-fails")
    assert (failed.returncode, failed.stdout, failed.stderr) == (
        3, "unpacking release 8-fails\n", "no space left on device\n",
    )  # fmt: skip
    server.restart()
    assert answer(server).headers["X-Release"] == "7"


def test_the_former_release_runs_while_a_slow_release_is_deployed(server: Server) -> None:
    deploy(server, "7")
    began = time.monotonic()
    with subprocess.Popen([server.folder / DEPLOY_FILE, "8-slow"], stdout=subprocess.DEVNULL):
        time.sleep(1)
        assert answer(server).headers["X-Release"] == "7"
    assert time.monotonic() - began >= 8
    assert answer(server).headers["X-Release"] == "8-slow"


def test_a_behaviour_that_a_test_expects_is_that_of_one_release(server: Server) -> None:
    server.expect("broken")
    deploy(server, "7")
    assert answer(server).status == FAILS
    deploy(server, "8")
    assert answer(server).status == GOOD


@pytest.mark.parametrize("words", [[], [""], ["7", "8"]])
def test_deploy_needs_one_release(server: Server, words: list[str]) -> None:
    refused = deploy(server, *words)
    assert (refused.returncode, refused.stderr) == (2, "usage: deploy RELEASE\n")


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Server]:
    server = Server("tao", instance_id="i-t", address="127.0.0.1", production_ip=PRODUCTION, folder=tmp_path / "tao")
    yield server
    server.stop()


def test_deploy_does_not_start_a_web_server_that_does_not_run(stopped: Server) -> None:
    refused = deploy(stopped, "7")
    assert (refused.returncode, refused.stderr) == (1, "the web server did not start with release 7\n")


@pytest.mark.parametrize("left", ["", "nobody", "running"])
def test_a_release_can_be_deployed_while_the_server_boots(stopped: Server, left: str) -> None:
    """After a power failure, the files of the boot before are still there; no process has so high an id."""
    if left:
        (stopped.folder / PID_FILE).write_text("99999999")
    if left == "running":
        (stopped.folder / RUNNING_FILE).write_text("80\n7\n")
    with ThreadPoolExecutor(1) as thread:
        deploys = thread.submit(deploy, stopped, "7")
        time.sleep(0.5)
        assert not deploys.done()
        stopped.start()
        assert deploys.result().stdout == "release 7 runs\n"
    assert answer(stopped).headers["X-Release"] == "7"


def test_a_server_that_boots_with_the_former_release_is_restarted(stopped: Server) -> None:
    """It has read the former release just before the new one was written."""
    with ThreadPoolExecutor(1) as thread:
        deploys = thread.submit(deploy, stopped, "7")
        time.sleep(0.5)
        stopped.deploy(release=6)
        stopped.start()
        stopped.deploy(release=7)
        assert deploys.result().stdout == "release 7 runs\n"
    assert answer(stopped).headers["X-Release"] == "7"


def test_the_web_server_runs_with_the_python_of_amazon_linux() -> None:
    """Python 3.9: no syntax of later versions, which have `|` also between types."""
    tree = ast.parse((PROGRAMS / "web_server.py").read_text(), feature_version=(3, 9))
    assert [node for node in ast.walk(tree) if isinstance(node, ast.BitOr)] == []
