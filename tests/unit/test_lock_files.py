"""The lock files name every package that is installed, each by version and hash, and only those are installed."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.wheels import only_from, wheel

PROJECT = Path(__file__).parents[2]
FILES = ("requirements-dev", "requirements", "client/requirements", "lambdas/requirements")
# What `python -m venv` installs by itself; setuptools until Python 3.11.
OF_PYTHON = {"pip", "setuptools"}
LOCKED = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^\n\\]+))? \\\n"
    r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64} \\\n)*    --hash=sha256:[0-9a-f]{64}\n)",
    re.MULTILINE,
)


class Locked(NamedTuple):
    version: str
    hashes: frozenset[str]
    here: bool
    """Whether its marker says that it is installed on this Python and system."""


def locked(file: str) -> dict[str, Locked]:
    """The packages of a lock file by their names; fails if it has anything else but comments."""
    text = (PROJECT / f"{file}.txt").read_text()
    assert re.sub(r"^ *#.*\n", "", LOCKED.sub("", text), flags=re.MULTILINE) == ""
    entries = [each.groupdict() for each in LOCKED.finditer(text)]
    packages = {
        each["name"]: Locked(
            each["version"],
            frozenset(each["hashes"].replace("\\", "").split()),
            not each["marker"] or Marker(each["marker"]).evaluate(),
        )
        for each in entries
    }
    assert len(packages) == len(entries), "a package is there twice"
    return packages


def direct(file: str) -> list[Requirement]:
    """What a file asks for itself, and the files that it includes."""
    lines = [line for line in (PROJECT / f"{file}.in").read_text().splitlines() if line and line[0] != "#"]
    included = [line.removeprefix("-r ").removesuffix(".in") for line in lines if line.startswith("-r ")]
    own = [Requirement(line) for line in lines if not line.startswith("-r ")]
    return own + [each for name in included for each in direct(name)]


def installed() -> dict[str, str]:
    """The packages of the environment that runs this test, by version."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return {canonicalize_name(each.name): each.version for each in distributions(path=list(folders))}


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of the packages that these requirements need here, as the installed packages say."""
    requires = {canonicalize_name(each.name): each.requires or [] for each in distributions()}
    names: set[str] = set()
    waiting = {(canonicalize_name(each.name), extra) for each in requirements for extra in ("", *each.extras)}
    done: set[tuple[str, str]] = set()
    while waiting - done:
        name, extra = (waiting - done).pop()
        done.add((name, extra))
        names.add(name)
        for each in map(Requirement, requires[name]):
            if not each.marker or each.marker.evaluate({"extra": extra}):
                waiting |= {(canonicalize_name(each.name), more) for more in ("", *each.extras)}
    return names


@pytest.mark.parametrize("file", FILES)
def test_a_lock_file_has_the_required_packages_and_their_dependencies_and_nothing_else(file: str) -> None:
    packages = locked(file)
    asked = direct(file)
    assert all(str(each.specifier) == f"=={packages[canonicalize_name(each.name)].version}" for each in asked)
    assert {name for name, package in packages.items() if package.here} == needed(asked)


def test_a_package_has_the_same_version_and_hashes_in_every_lock_file() -> None:
    for_everything = locked("requirements-dev")
    for file in FILES[1:]:
        for name, package in locked(file).items():
            assert package[:2] == for_everything[name][:2]


@pytest.mark.parametrize("file", FILES)
def test_a_lock_file_names_no_package_index_and_says_how_to_write_it_again(file: str) -> None:
    text = (PROJECT / f"{file}.txt").read_text()
    assert "make lock" in text.splitlines()[1]
    assert not re.search(r"://|@ |--(extra-|default-)?index|--find-links|--trusted", text)
    for comment in re.findall("# via (.*)", text):
        assert not re.search(r"(^|[ ,])/|\.\.", comment)


def test_the_tests_run_with_exactly_the_packages_of_the_lock_file() -> None:
    expected = {name: package.version for name, package in locked("requirements-dev").items() if package.here}
    assert {name: version for name, version in installed().items() if name not in OF_PYTHON} == expected


def test_make_installs_only_packages_with_a_hash_in_the_lock_file_and_removes_all_others(tmp_path: Path) -> None:
    def make(lock: str) -> bool:
        (tmp_path / "requirements-dev.txt").write_text(lock)
        command = ["make", "--always-make", "--file", str(PROJECT / "Makefile"), ".venv/installed"]
        environment = {"PATH": os.environ["PATH"], **only_from(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0

    def present() -> set[str]:
        return {path.stem for path in tmp_path.glob(".venv/lib/python*/site-packages/*.py")} & {"first", "second"}

    wheel(tmp_path, "second")
    assert (make(wheel(tmp_path, "first")), present()) == (True, {"first"})
    assert (make("second==1\n"), present()) == (False, set())


def test_setup_builds_nothing_on_linux_and_npm_installs_by_the_hashes_of_its_lock_file() -> None:
    command = ["make", "--dry-run", "--always-make", ".venv/installed", "node_modules/installed"]
    environment = {"PATH": os.environ["PATH"]}
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    commands = ended.stdout
    assert ("--only-binary :all:" in commands) == (sys.platform != "darwin")
    assert re.findall(r"\bnpm .*", commands) == ["npm ci --silent"]
    packages = json.loads((PROJECT / "package-lock.json").read_text())["packages"]
    assert all(each.get("integrity", "").startswith("sha512-") for path, each in packages.items() if path)
