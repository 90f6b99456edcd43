"""The user data of a server of the test pair, run in a folder of its own on this machine in place of an instance."""

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.systems_manager_runs import ProcessRun
from tests.stacks.synthesis import resources
from tests.stacks.test_two_servers import synthesized
from two_servers import SERVERS

EC2_LIMIT_BYTES = 16 * 1024
PRODUCTION_IP = "192.0.2.1"
# In place of systemd: `enable --now` starts the unit's command.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$ROOT/systemctl"
[ "$1" = enable ] || exit 0
eval "$(sed -n 's/^ExecStart=/exec /p' "$ROOT/etc/systemd/system/$3.service")" >/dev/null 2>&1 &
"""
SECONDS = 30


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The user data of each server, with the production IP in place of the reference to the address."""
    template = synthesized(tmp_path_factory.mktemp("cdk.out"))

    def script(instance: dict[str, Any]) -> str:
        launched = instance["Properties"]["LaunchTemplate"]["LaunchTemplateId"]["Ref"]
        data = template["Resources"][launched]["Properties"]["LaunchTemplateData"]["UserData"]
        separator, parts = data["Fn::Base64"]["Fn::Join"]
        assert [each for each in parts if isinstance(each, dict)] == [{"Fn::GetAtt": ["Production", "PublicIp"]}]
        return str(separator).join(PRODUCTION_IP if isinstance(each, dict) else each for each in parts)

    def name(instance: dict[str, Any]) -> str:
        return str(next(tag["Value"] for tag in instance["Properties"]["Tags"] if tag["Key"] == "Name"))

    return {name(each): script(each) for each in resources(template, "AWS::EC2::Instance").values()}


class Instance:
    """A folder in place of the root folder of an instance, for user data. The web server takes a free port."""

    def __init__(self, folder: Path, script: str) -> None:
        self.root, self._script, self._files = folder / "root", script, folder
        systemctl = folder / "bin" / "systemctl"
        for each in (self.root, systemctl.parent):
            each.mkdir(parents=True)
        systemctl.write_text(SYSTEMCTL)
        systemctl.chmod(0o700)
        path = f"{systemctl.parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "ROOT": str(self.root), "ADDRESS": "127.0.0.1", "PORT": "0"}
        self._boots: list[ProcessRun] = []

    def boot(self) -> None:
        """Run the user data to its end."""
        boot = ProcessRun(self._script, folder=self.root, environment=self._environment, files=self._files)
        self._boots.append(boot)
        until(lambda: boot.end() is not None)
        ended = boot.end()
        assert ended
        assert ended[1].exit_code == 0, ended[1]

    def end(self) -> None:
        for boot in self._boots:
            boot.kill()

    @property
    def pid(self) -> int:
        return int((self.root / "srv/web/pid").read_text())

    def deploy(self, release: str) -> str:
        command = [str(self.root / "usr/local/bin/deploy"), release]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS, cwd="/").stdout

    def answer(self, path: str = "/", **headers: str) -> http.client.HTTPResponse:
        running = self.root / "srv/web/running"
        until(lambda: running.exists() and running.read_text() != "")
        with closing(
            http.client.HTTPConnection("127.0.0.1", int(running.read_text().split()[0]), timeout=SECONDS)
        ) as connection:
            connection.request("GET", path, headers=headers)
            return connection.getresponse()


def until(true: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout[:1] not in ("", "Z")


@pytest.fixture
def tao(tmp_path: Path, scripts: dict[str, str]) -> Iterator[Instance]:
    instance = Instance(tmp_path, scripts["tao"])
    yield instance
    instance.end()


def test_each_server_has_user_data_that_ec2_accepts(scripts: dict[str, str]) -> None:
    assert sorted(scripts) == sorted(SERVERS)
    for script in scripts.values():
        assert script.startswith("#!/bin/bash\n")
        assert len(script.encode()) < EC2_LIMIT_BYTES
        assert "@" not in script.partition("\n\ncat >")[0], "a placeholder without a value"


def test_a_server_that_boots_answers_with_release_1(tao: Instance) -> None:
    tao.boot()
    answer = tao.answer("/health")
    assert (answer.status, answer.headers["X-Server"], answer.headers["X-Release"]) == (200, "tao", "1")
    assert (tao.root / "systemctl").read_text() == "daemon-reload\nenable --now web\n"
    assert "Restart=always" in (tao.root / "etc/systemd/system/web.service").read_text()


def test_a_release_is_deployed_to_a_booted_server(tao: Instance) -> None:
    tao.boot()
    tao.answer()
    assert tao.deploy("7-fails-as-production") == "release 7-fails-as-production runs\n"
    assert (tao.answer().status, tao.answer().headers["X-Release"]) == (200, "7-fails-as-production")
    assert tao.answer(Host=PRODUCTION_IP).status == 500


def test_user_data_that_runs_again_keeps_the_release(tao: Instance) -> None:
    tao.boot()
    tao.answer()
    tao.deploy("7")
    tao.end()
    (tao.root / "srv/web/running").unlink()
    tao.boot()
    assert tao.answer().headers["X-Release"] == "7"


def test_no_process_of_a_server_is_left(tao: Instance) -> None:
    tao.boot()
    tao.answer()
    pid = tao.pid
    assert lives(pid)
    tao.end()
    assert not lives(pid)
