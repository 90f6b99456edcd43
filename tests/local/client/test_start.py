"""`start` and `rollback` on the deployed stack: what they print, and their exit codes."""

import json
import re
import subprocess
import time

from local.aws import LocalAws
from tests.local.client.runs import CLIENT, CONTROL, Run, environment
from tests.local.situation import AS_BEFORE, SWAPPED, locks, places, put_lock, until


def test_a_cutover_is_printed_line_by_line_with_a_summary(aws: LocalAws, run: Run) -> None:
    done = run("start", "--server", "tao", FORCE_COLOR="1", TTY_COMPATIBLE="1", TERM="xterm")
    assert (done.returncode, done.stderr) == (0, "")
    assert places(aws) == SWAPPED
    assert not CONTROL.search(done.stdout)
    states = re.findall(r"^ +\d+\.\d\d s  (\w+)$", done.stdout, re.MULTILINE)
    expected = ["DescribeAddresses", "AcquireLock", "Preflight", "ReassociateProduction", "CutOver"]
    assert [state for state in states if state in expected] == expected
    assert "tao is healthy through production 127.0.0.10" in done.stdout
    assert re.search(r"200 in \d+ ms", done.stdout)
    for label, value in (("outcome", "CUT_OVER"), ("was live", "bittybot"), ("is live", "tao"), ("pair", "web")):
        assert re.search(f"^{label} +{value}$", done.stdout, re.MULTILINE), label
    assert re.search(rf"^production +127\.0\.0\.10 on tao \({aws.servers['tao'].instance_id}\)$", done.stdout, re.M)


def test_with_json_standard_output_is_one_document_and_standard_error_has_the_progress(aws: LocalAws, run: Run) -> None:
    done = run("start", "--dry-run", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exitCode"]) == (0, 0)
    assert document["outcome"] == "DRY_RUN"
    assert (document["wasLive"], document["isLive"], document["pair"]) == ("bittybot", "bittybot", "web")
    assert len(document["plan"]["steps"]) == 3
    (health_check,) = document["healthChecks"]
    assert [probe["status"] for probe in health_check["checks"][0]["probes"]] == [200]
    assert [state["name"] for state in document["states"][:2]] == ["DescribeAddresses", "AcquireLock"]
    assert "Preflight" in done.stderr
    assert places(aws) == AS_BEFORE


def test_the_same_name_and_input_follow_the_first_execution_running_or_ended(aws: LocalAws, run: Run) -> None:
    name = f"release-1-{time.time_ns()}"
    first = subprocess.Popen(
        [*CLIENT, "start", "--server", "tao", "--name", name], env=environment(aws), stdout=subprocess.PIPE, text=True
    )
    until(lambda: locks(aws))
    second = run("start", "--server", "tao", "--name", name, "--json")
    third = run("start", "--server", "tao", "--name", name, "--json")
    first.communicate()
    assert [first.returncode, second.returncode, third.returncode] == [0, 0, 0]
    assert json.loads(second.stdout) == json.loads(third.stdout)
    assert json.loads(third.stdout)["outcome"] == "CUT_OVER"
    assert "already exists with the same input, so nothing was started" in third.stderr
    assert places(aws) == SWAPPED


def test_the_client_says_that_the_execution_continues_if_nothing_reads_the_output(aws: LocalAws) -> None:
    piped = f"{' '.join(CLIENT)} start --server tao --name piped | head -2"
    bash = ["bash", "-o", "pipefail", "-c", piped]
    done = subprocess.run(bash, env=environment(aws), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (130, 2)
    assert "It continues: arn:aws:states:" in done.stderr
    assert re.search("^  cutover.py watch arn:aws:states:.*:piped$", done.stderr, re.MULTILINE)
    assert done.stderr.endswith("cutover.py: The output could not be written: Broken pipe.\n")
    assert not re.search("Traceback|Error", done.stderr)
    until(lambda: not locks(aws) and places(aws) == SWAPPED)


def test_rollback_goes_back_once_to_the_server_that_was_live_before(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"})
    planned = run("rollback", "--dry-run", "--json")
    assert (planned.returncode, json.loads(planned.stdout)["outcome"]) == (0, "DRY_RUN")
    assert places(aws) == SWAPPED
    back = run("rollback", "--json")
    assert (back.returncode, json.loads(back.stdout)["isLive"]) == (0, "bittybot")
    assert places(aws) == AS_BEFORE
    again = run("rollback", "--detailed-exit-code")
    assert again.returncode == 3
    assert places(aws) == AS_BEFORE


def test_unlock_repairs_the_pair_of_a_dead_lock(aws: LocalAws, run: Run) -> None:
    put_lock(aws, aws.execute({"dryRun": True}).arn)
    done = run("unlock", "--json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "REPAIRED")
    assert not locks(aws)
    assert run("unlock", "--detailed-exit-code").returncode == 3
