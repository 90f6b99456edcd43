"""`examples/aws-cli/cutover.sh` with the real AWS CLI, on the deployed stack. Its other exit codes: `tests/unit`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from local.aws import LocalAws

SCRIPT = Path(__file__).parents[2] / "examples" / "aws-cli" / "cutover.sh"


def test_a_cutover_started_again_under_its_name_starts_nothing(aws: LocalAws) -> None:
    def run(server: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"STATE_MACHINE_ARN": aws.state_machine_arn, "NAME": name, "SERVER": server, "PAIR": "web"}
        environment = {"PATH": path, "SECONDS_APART": "1", **aws.environment, **given}
        return subprocess.run(["sh", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=120)

    name = f"release-{time.time_ns()}"
    first = run("tao")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["outcome"] == "CUT_OVER"
    assert aws.holder("production") == "tao"
    again = run("tao")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "so nothing was started" in again.stderr
    assert run("bittybot").returncode == 1
    assert aws.holder("production") == "tao"
