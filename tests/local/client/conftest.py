"""The client on the quick local AWS, which every test finds as it came up."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import LocalAws
from tests.local.client.runs import CLIENT, Run, environment, tidy


@pytest.fixture
def aws(quick_aws: LocalAws) -> Iterator[LocalAws]:
    """As it came up, and left so: no faults, no locks."""
    tidy(quick_aws)
    quick_aws.reset()
    yield quick_aws
    tidy(quick_aws)


@pytest.fixture
def run(aws: LocalAws, tmp_path: Path) -> Run:
    """Runs the client where there is no checkout, piped; what it wrote, and its exit code."""

    def run(*words: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLIENT, *words], env=environment(aws, **more), cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run
