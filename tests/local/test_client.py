"""The client as people and pipelines run it: `cutover.py` in a process of its own, against the deployed stack."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.aws import LocalAws
from local.faults import Fault

PROJECT = Path(__file__).parent.parent.parent
CLIENT = [sys.executable, str(PROJECT / "cutover.py")]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def aws(quick_aws: LocalAws) -> Iterator[LocalAws]:
    quick_aws.ec2.faults.clear()
    quick_aws.reset()
    for lock in locks(quick_aws):
        unlocked(quick_aws, lock["pair"]["S"])
    yield quick_aws
    quick_aws.ec2.faults.clear()


@pytest.fixture
def run(aws: LocalAws, tmp_path: Path) -> Run:
    """Runs the client where there is no checkout, piped; what it wrote, and its exit code."""

    def run(*words: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLIENT, *words], env=environment(aws, **more), cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def environment(aws: LocalAws, **more: str | None) -> dict[str, str]:
    variables = {"PATH": os.environ["PATH"], **aws.environment, **more}
    return {name: value for name, value in variables.items() if value is not None}


def table(aws: LocalAws) -> str:
    (name,) = aws.client("dynamodb").list_tables()["TableNames"]
    return str(name)


def locks(aws: LocalAws) -> list[Any]:
    found: list[Any] = aws.client("dynamodb").scan(TableName=table(aws))["Items"]
    return found


def locked(aws: LocalAws, execution: str, since: str = "2026-01-01T00:00:00Z") -> None:
    item = {"pair": "web", "execution": execution, "since": since, "server": "tao"}
    aws.client("dynamodb").put_item(TableName=table(aws), Item={key: {"S": value} for key, value in item.items()})


def unlocked(aws: LocalAws, pair: str = "web") -> None:
    aws.client("dynamodb").delete_item(TableName=table(aws), Key={"pair": {"S": pair}})


def until(found: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not found within {seconds} s"
        time.sleep(0.02)
    return result


def places(aws: LocalAws) -> tuple[str | None, str | None]:
    return aws.holder("production"), aws.holder("staging")


def deploy(aws: LocalAws, behaviour: Any) -> None:
    aws.servers["tao"].deploy(release=2, behaviour=behaviour)
    aws.servers["tao"].restart()


# start, and what it comes to.


def test_a_cutover_is_told_line_by_line_and_summed_up(aws: LocalAws, run: Run) -> None:
    done = run("start", "--server", "tao", FORCE_COLOR="1", TTY_COMPATIBLE="1", TERM="xterm")
    assert (done.returncode, done.stderr) == (0, "")
    assert places(aws) == ("tao", "bittybot")
    assert not CONTROL.search(done.stdout)
    states = re.findall(r"^ +\d+\.\d\d s  (\w+)$", done.stdout, re.MULTILINE)
    expected = ["DescribeAddresses", "AcquireLock", "Preflight", "ReassociateProduction", "CutOver"]
    assert [state for state in states if state in expected] == expected
    assert "tao is healthy through production 127.0.0.10" in done.stdout
    assert re.search(r"200 in \d+ ms, 200 in \d+ ms", done.stdout)
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
    assert [probe["status"] for probe in checked["checks"][0]["probes"]] == [200, 200]
    assert document["states"][0]["name"] == "DescribeAddresses"
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


def another_one_runs(aws: LocalAws) -> None:
    aws.ec2.faults.inject(Fault(action="DisassociateAddress", kind="slow", seconds=4))
    aws.start({"serverName": "tao"})
    until(lambda: locks(aws))


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
    assert re.search("^cause +tao .* is not healthy through the staging address.*500, 500", done.stdout, re.MULTILINE)
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


# Followed, interrupted, stopped.


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_stops_nothing_and_says_how_to_follow_and_how_to_stop(
    aws: LocalAws, run: Run, number: signal.Signals, code: int
) -> None:
    client = subprocess.Popen(
        [*CLIENT, "start", "--server", "tao"],
        env=environment(aws),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: locks(aws))
    client.send_signal(number)
    _, said = client.communicate(timeout=30)
    assert client.returncode == code
    assert "Traceback" not in said
    (arn,) = set(re.findall(r"arn:\S+", said))
    assert f"cutover.py watch {arn.rsplit(':', 1)[-1]}\n" in said
    assert f"aws stepfunctions stop-execution --execution-arn {arn}\n" in said
    assert "repaired by itself" in said
    watched = run("watch", arn.rsplit(":", 1)[-1], "--json")
    assert (watched.returncode, json.loads(watched.stdout)["outcome"]) == (0, "CUT_OVER")
    assert places(aws) == ("tao", "bittybot")


def test_an_execution_that_is_stopped_while_it_is_followed_is_17(aws: LocalAws, run: Run) -> None:
    aws.ec2.faults.inject(Fault(action="DisassociateAddress", kind="slow", seconds=2))
    arn = aws.start({"serverName": "tao"})
    client = subprocess.Popen([*CLIENT, "watch", "--json"], env=environment(aws), stdout=subprocess.PIPE, text=True)
    until(lambda: locks(aws))
    aws.client("stepfunctions").stop_execution(executionArn=arn, error="Somebody", cause="thought better of it")
    document = json.loads(client.communicate(timeout=30)[0])
    assert (client.returncode, document["outcome"], document["execution"]) == (17, "ABORTED", arn)
    assert "repaired by itself" in document["advice"]
    assert document["isLive"] is None
    until(lambda: not locks(aws))


def test_watch_follows_what_runs_and_else_reports_the_newest(aws: LocalAws, run: Run) -> None:
    arn = aws.start({"dryRun": True})
    for words in ([], [arn], [arn.rsplit(":", 1)[-1]]):
        done = run("watch", *words, "--json", "--detailed-exit-code")
        assert (done.returncode, json.loads(done.stdout)["execution"]) == (5, arn)
    nobody = run("watch", "nobody")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "knows no execution" in nobody.stderr


def test_a_repair_can_be_watched_and_any_other_failure_is_19(aws: LocalAws, run: Run) -> None:
    another_one_runs(aws)
    (lock,) = locks(aws)
    repair = aws.client("stepfunctions").start_execution(
        stateMachineArn=aws.state_machine_arn + "-repair",
        input=json.dumps({"execution": lock["execution"]["S"], "status": "ABORTED"}),
    )["executionArn"]
    done = run("watch", repair, "--json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (19, "RepairFailed")
    until(lambda: not locks(aws))


def on_a_terminal(aws: LocalAws, *words: str, interrupt_at: str | None = None) -> tuple[int, str]:
    """What a person sees, colours and all, and the exit code; Ctrl-C where a text is seen."""
    ours, theirs = pty.openpty()
    variables = environment(aws, TERM="xterm-256color", COLUMNS="100")
    client = subprocess.Popen(
        [*CLIENT, *words], env=variables, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = ""
    while client.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                seen += os.read(ours, 65536).decode(errors="replace")
            except OSError:  # how Linux says that the other side is closed
                break
            if interrupt_at and interrupt_at in seen:
                client.send_signal(signal.SIGINT)
                interrupt_at = None
    os.close(ours)
    return client.wait(timeout=30), seen


def test_on_a_terminal_a_line_lives_below_the_others(aws: LocalAws) -> None:
    code, seen = on_a_terminal(aws, "start", "--server", "tao")
    assert code == 0
    assert "\x1b[?25l" in seen, "the cursor is hidden while a line lives"
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "and is shown again"
    assert re.search(r"s  (Preflight|HealthCheckProduction)", seen)
    assert "\x1b[1;32mCUT_OVER" in seen


def test_on_a_terminal_an_interruption_leaves_it_as_it_was(aws: LocalAws) -> None:
    code, seen = on_a_terminal(aws, "start", "--server", "tao", interrupt_at="Preflight")
    assert code == 130
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert "cutover.py watch cutover-" in seen.replace("\r\n", " ").replace("\n", " ")
    until(lambda: not locks(aws) and places(aws) == ("tao", "bittybot"))


def test_on_a_terminal_names_are_never_read_as_markup(aws: LocalAws) -> None:
    code, seen = on_a_terminal(aws, "start", "--server", "[bold]x[/nothing]")
    assert code == 10
    assert "[bold]x[/nothing]" in seen


# Looking.


def test_status_tells_who_is_live_where_the_addresses_stand_and_that_the_lock_is_free(aws: LocalAws, run: Run) -> None:
    done = run("status")
    assert done.returncode == 0
    assert re.search("^live +bittybot$", done.stdout, re.MULTILINE)
    assert re.search("^lock +free$", done.stdout, re.MULTILINE)
    (pair,) = json.loads(run("status", "--pair", "web", "--json").stdout)["pairs"]
    assert (pair["pair"], pair["live"], pair["idle"], pair["sound"], pair["lock"]) == (
        "web", "bittybot", "tao", True, None,
    )  # fmt: skip
    assert pair["production"]["publicIp"] == aws.production_ip
    assert pair["staging"]["instanceId"] == aws.servers["tao"].instance_id


def test_status_tells_what_is_not_as_it_should_be(aws: LocalAws, run: Run) -> None:
    aws.place(production="bittybot", staging=None)
    (pair,) = json.loads(run("status", "--json").stdout)["pairs"]
    assert (pair["live"], pair["sound"], pair["staging"]["server"]) == ("bittybot", False, None)
    aws.ec2.associate(aws.addresses["production"], aws.ec2.launch("elsewhere"))
    (pair,) = json.loads(run("status", "--json").stdout)["pairs"]
    assert (pair["live"], pair["sound"]) == (None, False)
    assert "which is not in the pair" in run("status").stdout


def test_status_tells_who_holds_the_lock_and_whether_that_execution_runs(aws: LocalAws, run: Run) -> None:
    another_one_runs(aws)
    (pair,) = json.loads(run("status", "--json").stdout)["pairs"]
    assert pair["lock"]["status"] == "RUNNING"
    assert pair["lock"]["server"] == "tao"
    until(lambda: not locks(aws))
    locked(aws, aws.execute({"dryRun": True}).arn)
    assert "which ended SUCCEEDED" in run("status").stdout
    locked(aws, f"{aws.state_machine_arn.replace('stateMachine', 'execution')}:nobody")
    (pair,) = json.loads(run("status", "--json").stdout)["pairs"]
    assert pair["lock"]["status"] == "GONE"


def test_history_tells_the_last_executions(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"}, name=f"first-{time.time_ns()}")
    sick_one = f"second-{time.time_ns()}"
    aws.servers["bittybot"].make_sick()
    aws.execute({}, name=sick_one)
    done = run("history", "--limit", "2", "--pair", "web")
    assert (done.returncode, done.stderr) == (0, "")
    heading, second, first = done.stdout.splitlines()
    assert heading.split()[:3] == ["when", "outcome", "pair"]
    assert re.search(
        rf"^20\d\d-\d\d-\d\d .*  StagingUnhealthy  web +tao stays +\d+\.\d s  unknown +{sick_one}$", second
    )
    assert re.search("  CUT_OVER +web  bittybot → tao ", first)
    newest, _ = json.loads(run("history", "--limit", "2", "--json").stdout)["executions"]
    assert (newest["name"], newest["outcome"], newest["wasLive"], newest["by"]) == (
        sick_one, "StagingUnhealthy", "tao", None,
    )  # fmt: skip


# The way back, and the lock.


def test_rollback_goes_back_to_the_server_that_was_live_before_and_only_once(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"})
    back = run("rollback", "--json")
    assert (back.returncode, json.loads(back.stdout)["isLive"]) == (0, "bittybot")
    assert places(aws) == ("bittybot", "tao")
    again = run("rollback", "--detailed-exit-code")
    assert again.returncode == 3
    assert "which was a rollback already" in again.stdout
    assert json.loads(run("rollback", "--json").stdout)["outcome"] == "ALREADY_LIVE"
    assert places(aws) == ("bittybot", "tao")


def test_rollback_to_a_server_that_is_sick_is_refused_by_the_workflow(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"})
    aws.servers["bittybot"].make_sick()
    assert run("rollback").returncode == 12
    assert places(aws) == ("tao", "bittybot")


def test_rollback_after_a_cutover_that_was_stopped_behind_the_move_goes_back(aws: LocalAws, run: Run) -> None:
    aws.ec2.faults.inject(Fault(action="AssociateAddress", kind="slow", nth=2, seconds=1.5))
    arn = aws.start({"serverName": "tao"})
    until(lambda: aws.holder("production") == "tao")
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    until(lambda: not locks(aws) and places(aws) == ("tao", "bittybot"))
    done = run("rollback")
    assert done.returncode == 0
    assert "which ended ABORTED and left tao live" in done.stdout
    assert places(aws) == ("bittybot", "tao")


def test_a_pair_that_somebody_has_moved_back_by_hand_is_left_alone(aws: LocalAws, run: Run) -> None:
    aws.execute({"serverName": "tao"})
    aws.place(production="bittybot", staging="tao")
    done = run("rollback")
    assert done.returncode == 0
    assert "is live now" in done.stdout
    assert places(aws) == ("bittybot", "tao")


def test_unlock_deletes_a_dead_lock_and_no_other(aws: LocalAws, run: Run) -> None:
    assert run("unlock").returncode == 0

    another_one_runs(aws)
    refused = run("unlock")
    assert (refused.returncode, refused.stdout) == (20, "")
    assert "still runs" in refused.stderr
    until(lambda: not locks(aws))

    locked(aws, aws.execute({"dryRun": True}).arn)
    refused = run("unlock")
    assert refused.returncode == 20
    assert "a call that it made may still change an address. Try again in 4" in refused.stderr
    assert len(locks(aws)) == 1

    locked(aws, f"{aws.state_machine_arn.replace('stateMachine', 'execution')}:nobody")
    done = run("unlock", "--pair", "web")
    assert done.returncode == 0
    assert "is deleted" in done.stdout
    assert locks(aws) == []


# What the client itself cannot do.


@pytest.mark.parametrize(
    ("words", "more", "code", "says"),
    [
        (["status"], {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 1, "There are no AWS credentials"),
        (["status"], {"AWS_REGION": None, "AWS_DEFAULT_REGION": None}, 1, "No Region is set"),
        (["status"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 1, "AWS could not be asked"),
        (["status"], {"AWS_PROFILE": "nobody"}, 1, "nobody"),
        (["start", "--stack", "Nope"], {}, 1, "There is no stack Nope in us-east-1"),
        (["start"], {"EIP_CUTOVER_STACK": "Nope"}, 1, "There is no stack Nope"),
        (["status", "--pair", "wbe"], {}, 1, "There is no pair 'wbe'; the stack serves web"),
        (["rollback", "--pair", "wbe"], {}, 1, "There is no pair 'wbe'"),
        (["unlock", "--pair", "wbe"], {}, 1, "There is no pair 'wbe'"),
        (["history", "--pair", "wbe"], {}, 1, "There is no pair 'wbe'"),
        (["start", "--colour"], {}, 2, "No such option"),
        (["start", "--name", "a b"], {}, 2, "--name"),
        (["history", "--limit", "0"], {}, 2, "--limit"),
        (["init", "--production", "web"], {}, 2, "--staging"),
        (["swap"], {}, 2, "No such command"),
        ([], {}, 2, "Usage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list | dict) else None,
)
def test_what_cannot_be_done_is_one_clear_sentence(
    run: Run, words: list[str], more: dict[str, str | None], code: int, says: str
) -> None:
    done = run(*words, **more)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.count("\n") == 1


def test_a_reader_that_stops_reading_gets_no_traceback(aws: LocalAws) -> None:
    piped = f"{sys.executable} {CLIENT[1]} history --json | head -c 1"
    shell = subprocess.run(["sh", "-c", piped], env=environment(aws), capture_output=True, text=True, check=False)
    assert "Traceback" not in shell.stderr


def test_the_help_lists_every_exit_code_as_the_readme_does(run: Run) -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (PROJECT / "README.md").read_text(), re.MULTILINE)
    for words in ([], ["start"], ["watch"], ["rollback"]):
        listed = re.findall(r"^ +(\d+)  (.+)$", run(*words, "--help").stdout, re.MULTILINE)
        assert [(code, meaning) for code, meaning in listed] == rows
