"""A folder for one run of the local AWS, gone with it.

It lies in `.local`, which git ignores. A run that was killed cannot remove its folder; the next one does: a folder is
in use as long as its run holds the lock on the file in it, and the kernel lets go of locks.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCAL = Path(__file__).resolve().parent.parent / ".local"
PREFIX = "run-"
LOCK = "lock"


@contextmanager
def folder_of_this_run() -> Iterator[Path]:
    """A new folder in `.local`, removed at the end, together with those of runs that could not."""
    LOCAL.mkdir(exist_ok=True)
    for left in LOCAL.glob(f"{PREFIX}*"):
        _remove_if_abandoned(left)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=LOCAL))
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # in use, about to be, or just removed by another run
