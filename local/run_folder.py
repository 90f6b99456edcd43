"""A folder for one run of the local AWS, removed at the end of the run.

It is in `.local`, which git ignores. The next run removes the folder of a killed run. A folder is in use while its run
holds the lock on the file in it. The kernel releases the locks of a process that has ended.
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
def run_folder() -> Iterator[Path]:
    """A new folder in `.local`, removed at the end. Removes the folders of killed runs first."""
    LOCAL.mkdir(exist_ok=True)
    for folder in LOCAL.glob(f"{PREFIX}*"):
        _remove_if_abandoned(folder)
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
        return  # in use, about to be in use, or just removed by another run
