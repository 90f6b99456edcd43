"""The client on the local AWS."""

import subprocess
from pathlib import Path

import pytest

from local.aws import LocalAws
from tests.local.client.runs import CLIENT, Run, environment


@pytest.fixture
def run(aws: LocalAws, tmp_path: Path) -> Run:
    """Runs the client outside the checkout, piped. Returns its output and its exit code."""

    def run(*words: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLIENT, *words], env=environment(aws, **more), cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run
