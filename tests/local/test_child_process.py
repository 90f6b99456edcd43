"""A child process never outlives the process that started it, however that ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.child_process import ChildProcess
from local.deployment import ROOT

SECONDS = 10
# A command with a child of its own; both write their ids to files, and ignore a SIGTERM.
FAMILY = (
    'trap "" TERM INT HUP; sh -c \'trap "" TERM INT HUP; echo $$ > {0}/child; sleep 600\' & echo $$ > {0}/parent; wait'
)


def family(folder: Path) -> list[str]:
    return ["sh", "-c", FAMILY.format(folder)]


def wait_for_family(folder: Path) -> list[int]:
    deadline = time.monotonic() + SECONDS
    files = [folder / "parent", folder / "child"]
    while not all(file.exists() and file.read_text().strip() for file in files):
        assert time.monotonic() < deadline, "the family did not start"
        time.sleep(0.01)
    return [int(file.read_text()) for file in files]


def is_running(process: int) -> bool:
    """Whether the process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def are_gone(processes: list[int]) -> bool:
    deadline = time.monotonic() + SECONDS
    while any(map(is_running, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_kill_ends_the_command_and_its_children_even_if_they_ignore_signals(tmp_path: Path) -> None:
    child = ChildProcess(family(tmp_path))
    processes = wait_for_family(tmp_path)
    assert all(map(is_running, processes))
    child.kill()
    child.kill()
    assert are_gone(processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_they_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    # In the background of a shell, where tests may run, SIGINT is ignored.
    by_default = "import signal; [signal.signal(number, signal.SIG_DFL) for number in (1, 2, 15)]"
    program = f"{by_default}; from local.child_process import ChildProcess as C; C({family(tmp_path)!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    processes = wait_for_family(tmp_path)
    parent.send_signal(number)
    parent.wait(SECONDS)
    assert are_gone(processes)


def test_the_children_of_a_command_that_ends_by_itself_are_killed(tmp_path: Path) -> None:
    with ChildProcess(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; exit 3"]) as child:
        assert child.wait(SECONDS) == 3
    assert are_gone([int((tmp_path / "child").read_text())])


def test_a_ctrl_c_in_the_terminal_reaches_only_the_parent(tmp_path: Path) -> None:
    with ChildProcess(family(tmp_path)):
        command, _ = wait_for_family(tmp_path)
        assert os.getpgid(command) != os.getpgrp()
        assert os.getsid(command) != os.getsid(0)
