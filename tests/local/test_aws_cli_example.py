"""`examples/aws-cli/cutover.sh` with the real AWS CLI, against the deployed stack: who is live, and the exit code."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from tests.local.situation import arn_of, deploy, until

SCRIPT = Path(__file__).parents[2] / "examples" / "aws-cli" / "cutover.sh"


@pytest.fixture
def run(aws: LocalAws) -> Any:
    def run(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"STATE_MACHINE_ARN": aws.state_machine_arn, "NAME": f"{name}-{time.time_ns()}", "SECONDS_APART": "1"}
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
    first = run("", NAME=name, SERVER="tao", PAIR="web")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["outcome"] == "CUT_OVER"
    assert aws.holder("production") == "tao"
    again = run("", NAME=name, SERVER="tao", PAIR="web")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "nothing was started now" in again.stderr
    other = run("", NAME=name, SERVER="bittybot", PAIR="web")
    assert other.returncode == 1
    assert aws.holder("production") == "tao"


def test_a_job_that_runs_again_does_not_go_back(aws: LocalAws, run: Any) -> None:
    assert run("first", SERVER="tao").returncode == 0
    again = run("again", SERVER="tao")
    assert (again.returncode, json.loads(again.stdout)["outcome"]) == (0, "ALREADY_LIVE")
    assert aws.holder("production") == "tao"


def test_a_wrong_input_an_unhealthy_server_and_a_bad_release_have_their_own_codes(aws: LocalAws, run: Any) -> None:
    assert run("wrong", SERVER="tao", PAIR='wbe" $(date)').returncode == 10
    aws.servers["tao"].make_unhealthy()
    assert run("unhealthy", SERVER="tao").returncode == 12
    deploy(aws, "fails-as-production")
    rolled_back = run("bad", SERVER="tao")
    assert rolled_back.returncode == 15
    assert "Both addresses are back where they were" in rolled_back.stderr
    assert aws.holder("production") == "bittybot"


def test_a_stopped_execution_has_its_own_code(aws: LocalAws, run: Any) -> None:
    aws.servers["tao"].make_unhealthy()  # so the execution takes a while
    with ThreadPoolExecutor() as pool:
        name = f"stopped-{time.time_ns()}"
        first = pool.submit(run, "", NAME=name, SERVER="tao")
        arn, states = arn_of(aws, name), aws.client("stepfunctions")

        def running() -> bool:
            listed = states.list_executions(stateMachineArn=aws.state_machine_arn, statusFilter="RUNNING")
            return any(each["executionArn"] == arn for each in listed["executions"])

        until(running)
        states.stop_execution(executionArn=arn)
        assert first.result().returncode == 17


def test_a_dry_run_changes_nothing(aws: LocalAws, run: Any) -> None:
    ran = run("dry", DRY_RUN="true")
    assert (ran.returncode, json.loads(ran.stdout)["outcome"]) == (0, "DRY_RUN")
    assert aws.holder("production") == "bittybot"
