"""`examples/aws-cli/cutover.sh` with the real AWS CLI, on the deployed stack. Its other exit codes: `tests/unit`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from tests.local.situation import deploy

SCRIPT = Path(__file__).parents[2] / "examples" / "aws-cli" / "cutover.sh"


@pytest.fixture
def run(aws: LocalAws) -> Any:
    def run(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"STATE_MACHINE_ARN": aws.state_machine_arn, "NAME": name, "SERVER": "tao", "SECONDS_APART": "1"}
        return subprocess.run(
            ["sh", SCRIPT],
            env={"PATH": path, **aws.environment, **given, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_a_cutover_started_again_under_its_name_starts_nothing(aws: LocalAws, run: Any) -> None:
    name = f"release-{time.time_ns()}"
    first = run(name, PAIR="web")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["outcome"] == "CUT_OVER"
    assert aws.holder("production") == "tao"
    again = run(name, PAIR="web")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "nothing was started now" in again.stderr
    assert run(name, SERVER="bittybot", PAIR="web").returncode == 1
    assert aws.holder("production") == "tao"


def test_a_failure_has_its_exit_code_and_its_cause(aws: LocalAws, run: Any) -> None:
    deploy(aws, "fails-as-production")
    rolled_back = run(f"bad-{time.time_ns()}")
    assert rolled_back.returncode == 15
    assert "Rolled back: production " in rolled_back.stderr
    assert aws.holder("production") == "bittybot"
