"""The recipe `docs/recipes/schedule-a-cutover.md`: the role and the script of the page, with the real AWS CLI, start a
cutover at the given time."""

import os
import re
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.aws import LocalAws

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "recipes" / "schedule-a-cutover.md").read_text()
SCRIPT = PROJECT / "examples" / "schedule" / "schedule.sh"


def run(aws: LocalAws, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, **aws.environment, **given}
    return subprocess.run(["sh", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_a_cutover_starts_at_its_time_and_its_schedule_is_gone(aws: LocalAws) -> None:
    role, _ = (textwrap.dedent(block) for block in re.findall(r"^ +```sh\n(.*?)^ +```$", PAGE, re.M | re.S))
    created = run(aws, "-euc", role)
    assert created.returncode == 0, created.stderr
    arn = aws.client("iam").get_role(RoleName="start-cutovers")["Role"]["Arn"]
    given = {"STATE_MACHINE_ARN": aws.state_machine_arn, "ROLE_ARN": arn}
    request = '{"pair": "web", "serverName": "tao"}'
    for refused, error in ((False, ""), (True, "ConflictException")):  # the second one of the same name
        done = run(aws, str(SCRIPT), "web-41", "2199-01-01T03:00:00", "UTC", request, **given)
        assert (done.returncode != 0, error in done.stderr) == (refused, True), done.stderr
    moment = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    scheduled = run(aws, str(SCRIPT), "web-42", f"{moment:%Y-%m-%dT%H:%M:%S}", "UTC", request, **given)
    assert scheduled.returncode == 0, scheduled.stderr
    states, deadline = aws.client("stepfunctions"), time.monotonic() + 60
    while time.monotonic() < deadline:
        newest = states.list_executions(stateMachineArn=aws.state_machine_arn, maxResults=1)["executions"]
        if newest and newest[0]["startDate"] >= moment:
            break
        time.sleep(0.2)
    assert aws.wait(newest[0]["executionArn"]).output["outcome"] == "CUT_OVER"
    assert aws.holder("production") == "tao"
    assert not aws.client("scheduler").list_schedules(NamePrefix="web-42")["Schedules"]
