"""The client on a Python that is too old for it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "cutover.py"


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 14)], ids=str)
def test_an_older_python_prints_the_version_that_is_needed(version: tuple[int, ...]) -> None:
    run = f"import sys, runpy; sys.version_info = {version}; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", run], capture_output=True, text=True, check=False)
    has = ".".join(map(str, version))
    expected = f"cutover.py needs Python 3.11 or newer; this is Python {has}.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


def test_an_older_python_can_read_the_program() -> None:
    source = PROGRAM.read_text(encoding="ascii")
    ast.parse(source, feature_version=(3, 4))
    assert source.index("sys.exit(") < source.index("pathlib")  # which Python 2 lacks


def test_without_its_packages_it_runs_in_the_environment_that_make_setup_installs(tmp_path: Path) -> None:
    (tmp_path / "cutover.py").write_text(PROGRAM.read_text())
    installed = tmp_path / ".venv" / "bin" / "python"
    installed.parent.mkdir(parents=True)
    installed.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    installed.chmod(0o755)
    # Its own hints then name it as it was called.
    run = [sys.executable, "-I", "-S", "./cutover.py", "start", "--server", "a b"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["-I", "./cutover.py", "start", "--server", "a b"]


def test_without_its_packages_and_without_an_environment_it_says_how_to_install_them(tmp_path: Path) -> None:
    (tmp_path / "cutover.py").write_text(PROGRAM.read_text())
    run = [sys.executable, "-I", "-S", str(tmp_path / "cutover.py"), "status"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is not installed. The client needs boto3, click and rich. Install them with `make setup`" in done.stderr
