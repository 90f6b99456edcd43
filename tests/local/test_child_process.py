"""A child process never outlives the process that started it, even if that process is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.child_process import ChildProcess
from local.deployment import ROOT
from tests.local.situation import until

SECONDS = 10
# A command with a child of its own; both write their ids to files, and ignore a SIGTERM.
FAMILY = (
    'trap "" TERM INT HUP; sh -c \'trap "" TERM INT HUP; echo $$ > {0}/child; sleep 600\' & echo $$ > {0}/parent; wait'
)


def family(folder: Path) -> list[str]:
    return ["sh", "-c", FAMILY.format(folder)]


def wait_for_family(folder: Path) -> list[int]:
    files = [folder / "parent", folder / "child"]
    until(lambda: all(file.exists() and file.read_text().strip() for file in files), SECONDS)
    return [int(file.read_text()) for file in files]


def is_running(process: int) -> bool:
    """Whether the process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def await_end(processes: list[int]) -> None:
    until(lambda: not any(map(is_running, processes)), SECONDS)


def test_a_kill_ends_the_command_and_its_children_even_if_they_ignore_signals(tmp_path: Path) -> None:
    child = ChildProcess(family(tmp_path))
    processes = wait_for_family(tmp_path)
    assert all(map(is_running, processes))
    child.kill()
    child.kill()
    await_end(processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_child_processes_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    # In the background of a shell, where tests may run, SIGINT is ignored.
    by_default = "import signal; [signal.signal(number, signal.SIG_DFL) for number in (1, 2, 15)]"
    program = f"{by_default}; from local.child_process import ChildProcess as C; C({family(tmp_path)!r}).wait()"
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    processes = wait_for_family(tmp_path)
    parent.send_signal(number)
    parent.wait(SECONDS)
    await_end(processes)


def test_the_children_of_a_command_that_ends_by_itself_are_killed(tmp_path: Path) -> None:
    with ChildProcess(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; exit 3"]) as child:
        assert child.wait(SECONDS) == 3
    await_end([int((tmp_path / "child").read_text())])


def test_a_ctrl_c_in_the_terminal_reaches_only_the_parent(tmp_path: Path) -> None:
    with ChildProcess(family(tmp_path)):
        command, _ = wait_for_family(tmp_path)
        assert os.getpgid(command) != os.getpgrp()
        assert os.getsid(command) != os.getsid(0)
