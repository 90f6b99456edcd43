"""The recipes of `docs/releases.md`: each script of `examples/hooks` does what the document says, and the document
shows these scripts, with configurations that the stack accepts."""

import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aws.hook_function import DELAY_SECONDS
from domain.pair import Json
from domain.release_commands import DELIVERY_SECONDS, HOOKS as MOMENTS, SCRIPT
from run_commands import HURRIED_SECONDS
from stacks.configuration.pairs import LONGEST_MOMENT_SECONDS
from stacks.configuration.settings import configured
from stacks.workflow.approval import DETAIL_TYPE
from tests.unit.keep_alive_server import Client, KeepAliveServer, keeping_alive, until
from tests.unit.misbehaving_servers import OK, Connection, answering, serving

PROJECT = Path(__file__).parents[2]
HOOKS = PROJECT / "examples" / "hooks"
DOCUMENT = (PROJECT / "docs" / "releases.md").read_text()
SCRIPTS = {path.name: path.read_text() for path in HOOKS.iterdir()}
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)] or ["sh"]
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
of_linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="drain.sh reads Linux's table of connections")


@dataclass
class Ran:
    code: int
    output: str
    seconds: float


@dataclass
class Server:
    """A server's folder, and its shell. Its programs write how they were called."""

    folder: Path
    shell: str
    environment: dict[str, str] = field(default_factory=dict)

    def program(self, name: str, script: str = "") -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.folder}/calls"\n{script}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, script: str, *arguments: object) -> Ran:
        began = time.monotonic()
        done = subprocess.run(
            [self.shell, HOOKS / script, *map(str, arguments)],
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}", **self.environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, time.monotonic() - began)


@pytest.fixture(params=SHELLS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    return Server(tmp_path, request.param)


@pytest.fixture
def web(server: Server) -> Iterator[KeepAliveServer]:
    """A web server whose keep-alive `drain.sh` controls."""
    settings = server.folder / "keepalive.conf"
    with keeping_alive(settings) as web:
        reload = f"curl --silent --show-error --output /dev/null http://127.0.0.1:{web.port}/reload"
        server.environment |= {"KEEPALIVE": str(settings), "RELOAD": reload}
        yield web


@pytest.fixture
def connect(web: KeepAliveServer) -> Iterator[Callable[[], Client]]:
    with ExitStack() as opened:

        def connect() -> Client:
            client = Client(web.port)
            opened.callback(client.close)
            return client

        yield connect


# The document.


def test_the_document_shows_the_scripts_and_no_others() -> None:
    shown = [
        block for block in re.findall(r"^```sh\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL) if block[:2] == "#!"
    ]
    assert sorted(shown) == sorted(SCRIPTS.values())


def keys_in_the_document() -> list[Json]:
    blocks = re.findall(r'^```json\n(".*?)^```$', DOCUMENT, re.MULTILINE | re.DOTALL)
    return [json.loads(f"{{{block}}}") for block in blocks]


def test_every_configuration_in_the_document_is_accepted_and_every_recipe_has_one() -> None:
    used = set()
    for keys in keys_in_the_document():
        addresses = {"production": "eipalloc-0123456789abcdef0", "staging": "eipalloc-1a2b3c4d"}
        servers = {"servers": {"bittybot": "i-0123456789abcdef0", "tao": "i-1a2b3c4d"}}
        configured({"pairs": {"web": addresses | servers | keys}}.get)
        used |= set(re.findall(r"/opt/web/hooks/([\w.-]+)", json.dumps(keys)))
    assert used == set(SCRIPTS)


def test_the_document_is_short_and_has_the_limits_of_the_code() -> None:
    assert len(DOCUMENT.splitlines()) <= 200
    hurried = f"In a `rollback`, all hooks of a moment together get {HURRIED_SECONDS} s"
    limits = (
        f"The last {re.findall('tail -n ([0-9]+)', SCRIPT.read_text())[0]} lines",
        f"(at most {LONGEST_MOMENT_SECONDS})",
        f"at most {LONGEST_MOMENT_SECONDS} s",
    )
    words = " ".join(DOCUMENT.split())
    for text in (
        hurried,
        *limits,
        f"{DELIVERY_SECONDS} s more",
        f"`callBackDelay` seconds ({DELAY_SECONDS})",
        DETAIL_TYPE,
    ):
        assert text in words
    assert re.findall(r"^\| `(\w+)` \| ", DOCUMENT, re.MULTILINE) == list(MOMENTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_short_and_can_be_copied_to_a_server(script: str) -> None:
    assert SCRIPTS[script].startswith("#!/bin/sh\n# ")
    assert len(SCRIPTS[script].splitlines()) <= 30
    assert os.access(HOOKS / script, os.X_OK)
    for shell in SHELLS:
        subprocess.run([shell, "-n", HOOKS / script], check=True)


# deploy.sh


@pytest.fixture
def bucket(server: Server) -> Path:
    """Releases as `aws s3 cp` finds them."""
    bucket = server.folder / "bucket"
    for release in ("41", "42"):
        (bucket / release).mkdir(parents=True)
        (bucket / release / "version").write_text(release)
        with tarfile.open(bucket / f"{release}.tar.gz", "w:gz") as archive:
            archive.add(bucket / release / "version", "version")
    server.program("aws", f'shift 3; from=$1; exec cp "{bucket}/${{from#s3://releases/}}" "$2"')
    server.program("systemctl")
    server.environment |= {"WEB": str(server.folder / "web")}
    return bucket


@pytest.mark.usefixtures("bucket")
def test_a_deployment_installs_the_release_restarts_the_server_and_can_run_again(server: Server) -> None:
    current = server.folder / "web" / "current" / "version"
    for release in ("41", "42", "42"):
        server.environment |= {"RELEASE": release}
        ran = server.run("deploy.sh", "releases")
        assert (ran.code, ran.output) == (0, f"Release {release} is installed.\n")
        assert current.read_text() == release
    assert server.calls[1::2] == 3 * ["systemctl restart web"]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("release", ["43", "../x", ".", "a/b"])
def test_a_release_that_is_not_there_or_is_not_a_name_changes_nothing(server: Server, release: str) -> None:
    server.environment |= {"RELEASE": release}
    assert server.run("deploy.sh", "releases").code != 0
    assert not (server.folder / "web" / "current").exists()
    assert "systemctl restart web" not in server.calls


# drain.sh


@of_linux
def test_a_drain_ends_when_the_open_requests_are_over_and_loses_none(
    server: Server, web: KeepAliveServer, connect: Callable[[], Client]
) -> None:
    idle, slow = connect(), connect()
    idle.send()
    assert "Connection: keep-alive" in idle.answer()
    slow.send(seconds=2)
    ran = server.run("drain.sh", "on", web.port, 20)
    assert ran.code == 0, ran.output
    assert re.fullmatch(r"After \d s, 0 of the connections are still open\.\n", ran.output)
    assert 1 < ran.seconds < 6
    assert "200 OK" in slow.answer()
    assert idle.answer() == ""
    new = connect()
    new.send()
    assert "Connection: close" in new.answer()


@of_linux
def test_a_drain_ends_at_its_deadline_and_says_how_many_requests_are_open(
    server: Server, web: KeepAliveServer, connect: Callable[[], Client]
) -> None:
    connect().send(seconds=30)
    ran = server.run("drain.sh", "on", web.port, 1)
    assert (ran.code, ran.output) == (1, "After 1 s, 1 of the connections are still open.\n")
    assert 1 < ran.seconds < 5


@of_linux
def test_a_drain_does_not_wait_for_requests_that_begin_after_it(
    server: Server, web: KeepAliveServer, connect: Callable[[], Client]
) -> None:
    connect().send(seconds=2)
    ran: list[Ran] = []
    draining = threading.Thread(target=lambda: ran.append(server.run("drain.sh", "on", web.port, 20)))
    draining.start()
    until(lambda: not web.keeps)
    connect().send(seconds=30)
    draining.join()
    assert ran[0].code == 0
    assert ran[0].seconds < 6


def test_the_end_of_a_drain_allows_keep_alive_again(
    server: Server, web: KeepAliveServer, connect: Callable[[], Client]
) -> None:
    assert server.run("drain.sh", "on", web.port, 5).code == 0
    assert not web.keeps
    assert server.run("drain.sh", "off").code == 0
    client = connect()
    for _ in range(2):
        client.send()
        assert "Connection: keep-alive" in client.answer()


# warm-up.sh, jobs.sh, maintenance.sh


def test_a_warm_up_requests_each_path_three_times_and_fails_if_one_is_an_error(server: Server) -> None:
    paths = server.folder / "paths"
    paths.write_text("/\n/search?q=x")
    with serving(answering(OK)) as web:
        ran = server.run("warm-up.sh", f"http://127.0.0.1:{web.port}", paths)
        assert (ran.code, ran.output) == (0, "")
        assert [request.split()[1] for request in web.requests] == 3 * [b"/"] + 3 * [b"/search?q=x"]
    with serving(answering(UNAVAILABLE)) as web:
        ran = server.run("warm-up.sh", f"http://127.0.0.1:{web.port}", paths)
        assert ran.code != 0
        assert "503" in ran.output
        assert len(web.requests) == 1


def test_jobs_run_only_on_the_server_that_they_were_moved_to(server: Server) -> None:
    server.program("systemctl")
    server.program("send-mail")
    live = server.folder / "live"
    server.environment |= {"LIVE": str(live)}
    (line,) = re.findall(r"root (test .*)", SCRIPTS["jobs.sh"])
    job = line.replace("/var/lib/web/live", str(live)).replace("/opt/web/current/", f"{server.folder}/bin/")
    for state, calls in (("off", []), ("on", ["send-mail "]), ("on", ["send-mail "]), ("off", [])):
        assert server.run("jobs.sh", state).code == 0
        done = server.calls
        assert done[-1] == f"systemctl {'enable' if state == 'on' else 'disable'} --now web-worker"
        subprocess.run(["sh", "-c", job], check=False)
        assert server.calls[len(done) :] == calls


def test_the_maintenance_page_is_shown_until_it_is_off_and_it_is_an_error_if_users_do_not_see_it(
    server: Server,
) -> None:
    page = server.folder / "maintenance"
    server.environment |= {"MAINTENANCE": str(page)}

    def as_nginx(connection: Connection) -> None:
        connection.read_request()
        connection.socket.sendall(UNAVAILABLE if page.exists() else OK)

    with serving(as_nginx) as web:
        assert server.run("maintenance.sh", "on", f"http://127.0.0.1:{web.port}/").code == 0
        assert page.exists()
        for _ in range(2):
            assert server.run("maintenance.sh", "off").code == 0
            assert not page.exists()
    with serving(answering(OK)) as web:
        url = f"http://127.0.0.1:{web.port}/"
        ran = server.run("maintenance.sh", "on", url)
        assert (ran.code, ran.output) == (1, f"{url} answers 200.\n")
