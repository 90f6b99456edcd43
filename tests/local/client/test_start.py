"""`cutover.py start` against the deployed stack: what is told, and the exit code of every outcome."""

import json
import re
import subprocess
import time
from collections.abc import Callable

import pytest

from local.aws import LocalAws
from local.faults import Fault
from tests.local.client.runs import (
    CLIENT,
    CONTROL,
    Run,
    another_one_runs,
    deploy,
    environment,
    locks,
    places,
    until,
)


def test_a_cutover_is_told_line_by_line_and_summed_up(aws: LocalAws, run: Run) -> None:
    done = run("start", "--server", "tao", FORCE_COLOR="1", TTY_COMPATIBLE="1", TERM="xterm")
    assert (done.returncode, done.stderr) == (0, "")
    assert places(aws) == ("tao", "bittybot")
    assert not CONTROL.search(done.stdout)
    states = re.findall(r"^ +\d+\.\d\d s  (\w+)$", done.stdout, re.MULTILINE)
    expected = ["DescribeAddresses", "AcquireLock", "Preflight", "ReassociateProduction", "CutOver"]
    assert [state for state in states if state in expected] == expected
    assert "tao is healthy through production 127.0.0.10" in done.stdout
    assert re.search(r"200 in \d+ ms", done.stdout)
    for word, value in (("outcome", "CUT_OVER"), ("was live", "bittybot"), ("is live", "tao"), ("pair", "web")):
        assert re.search(f"^{word} +{value}$", done.stdout, re.MULTILINE), word
    assert re.search(rf"^production +127\.0\.0\.10 on tao \({aws.servers['tao'].instance_id}\)$", done.stdout, re.M)


def test_with_json_standard_output_is_one_document_and_the_progress_goes_to_standard_error(
    aws: LocalAws, run: Run
) -> None:
    done = run("start", "--dry-run", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["exitCode"]) == (0, 0)
    assert document["outcome"] == "DRY_RUN"
    assert (document["wasLive"], document["isLive"], document["pair"]) == ("bittybot", "bittybot", "web")
    assert len(document["plan"]["steps"]) == 3
    (checked,) = document["healthChecks"]
    assert [probe["status"] for probe in checked["checks"][0]["probes"]] == [200]
    assert [state["name"] for state in document["states"][:2]] == ["Begin", "DescribeAddresses"]
    assert "Preflight" in done.stderr
    assert places(aws) == ("bittybot", "tao")


def sick(aws: LocalAws) -> None:
    aws.servers["tao"].make_sick()


def not_permitted(aws: LocalAws) -> None:
    aws.ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="denied", times=None))


def moved_by_somebody(aws: LocalAws) -> None:
    elsewhere = aws.ec2.launch("elsewhere")
    aws.ec2.faults.inject(Fault(action="AssociateAddress (dry run)", kind="moved", instance_id=elsewhere,
                                allocation_id=aws.addresses["production"].allocation_id))  # fmt: skip


def bad_release(aws: LocalAws) -> None:
    deploy(aws, "fails-as-production")


def bad_release_and_no_way_back(aws: LocalAws) -> None:
    deploy(aws, "fails-as-production")
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="refused", nth=3, times=None))


def staging_on_no_server(aws: LocalAws) -> None:
    aws.place(production="bittybot", staging=None)


@pytest.mark.parametrize(
    ("given", "words", "code", "outcome", "live"),
    [
        (None, [], 0, "CUT_OVER", "tao"),
        (None, ["--server", "bittybot"], 0, "ALREADY_LIVE", "bittybot"),
        (None, ["--server", "bittybot", "--detailed-exit-code"], 3, "ALREADY_LIVE", "bittybot"),
        (staging_on_no_server, ["--server", "bittybot"], 0, "REPAIRED", "bittybot"),
        (staging_on_no_server, ["--server", "bittybot", "--detailed-exit-code"], 4, "REPAIRED", "bittybot"),
        (None, ["--dry-run", "--detailed-exit-code"], 5, "DRY_RUN", "bittybot"),
        (None, ["--detailed-exit-code"], 0, "CUT_OVER", "tao"),
        (None, ["--pair", "wbe"], 10, "InvalidRequest", None),
        (another_one_runs, ["--server", "tao"], 11, "CutoverInProgress", None),
        (sick, [], 12, "StagingUnhealthy", "bittybot"),
        (not_permitted, [], 13, "PreflightFailed", "bittybot"),
        (moved_by_somebody, [], 14, "AddressMoved", None),
        (bad_release, [], 15, "RolledBack", "bittybot"),
        (bad_release_and_no_way_back, [], 16, "RollbackFailed", None),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (" ".join(value) if isinstance(value, list) else None),
)
def test_every_outcome_has_its_exit_code(
    aws: LocalAws,
    run: Run,
    given: Callable[[LocalAws], None] | None,
    words: list[str],
    code: int,
    outcome: str,
    live: str | None,
) -> None:
    if given:
        given(aws)
    done = run("start", "--json", *words)
    document = json.loads(done.stdout)
    assert (done.returncode, document["outcome"], document["isLive"]) == (code, outcome, live)
    assert document["exitCode"] == code
    if code >= 10:
        assert document["cause"]
        assert document["advice"]
    if outcome == "CutoverInProgress":
        assert "cutover.py watch arn:" in document["advice"]
        until(lambda: not locks(aws))


def test_what_failed_is_told_with_what_was_found_and_what_to_do(aws: LocalAws, run: Run) -> None:
    aws.servers["tao"].make_sick()
    done = run("start")
    assert done.returncode == 12
    assert re.search("^outcome +StagingUnhealthy$", done.stdout, re.MULTILINE)
    assert re.search("^cause +tao .* is not healthy through the staging address.*500", done.stdout, re.MULTILINE)
    assert re.search("^what to do +Mend the release", done.stdout, re.MULTILINE)


def test_a_hostile_name_is_shown_as_it_is_and_does_no_harm(aws: LocalAws, run: Run) -> None:
    done = run("start", "--server", "[red]x\x1b]0;mine\x07\x1b[2J")
    assert done.returncode == 10
    assert "[red]x" in done.stdout
    assert not CONTROL.search(done.stdout)


def test_the_same_name_and_input_again_is_the_first_execution_running_or_ended(aws: LocalAws, run: Run) -> None:
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
    assert "was started before" in third.stderr
    assert places(aws) == ("tao", "bittybot")

    other = run("start", "--server", "bittybot", "--name", name, "--json")
    assert (other.returncode, other.stdout) == (1, "")
    assert f"There is an execution {name} already, with the input" in other.stderr
    assert "Nothing was started" in other.stderr
    assert places(aws) == ("tao", "bittybot")
