"""`make acceptance` on the local AWS, as `make aws` runs it: the suite passes, and refuses what is not a test pair.

The suite is a process of its own, which knows only the variables of an AWS client.
"""

import ast
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.deployment import ROOT
from local.ec2 import TEST_PAIR
from local.environment import of_this_machine
from local.faults import Fault
from tests.acceptance.discovery import DEFAULT_NAME, find_pair, stack_of
from tests.acceptance.interrupts import SAME_SECONDS
from tests.acceptance.progress import Progress
from tests.local.situation import AS_BEFORE, locks, places, tidy, until
from tests.local.test_local_aws import who_answers

SUITE = ROOT / "tests" / "acceptance"
REFUSED = int(pytest.ExitCode.USAGE_ERROR)
INTERRUPTED = int(pytest.ExitCode.INTERRUPTED)


@dataclass(frozen=True)
class Run:
    """The end of a run of the suite, and what it printed."""

    exit_code: int
    text: str
    seconds: float


def run(environment: dict[str, str], *arguments: str, interrupt: Callable[[str], int | None] | None = None) -> Run:
    """Run the suite. It gets the signal that `interrupt` returns for a line that it prints."""
    began, lines = time.monotonic(), list[str]()
    variables = {name: value for name, value in of_this_machine().items() if not name.startswith("PYTEST")}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", SUITE, *arguments],
        cwd=ROOT,
        env=variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as suite:
        assert suite.stdout
        for line in suite.stdout:
            lines.append(line)
            if interrupt and (number := interrupt(line)):
                suite.send_signal(number)
    return Run(suite.returncode, "".join(lines), time.monotonic() - began)


@pytest.fixture(scope="module")
def running() -> Iterator[LocalAws]:
    """As `make aws` runs it."""
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def aws(running: LocalAws) -> LocalAws:
    tidy(running)
    running.reset()
    return running


def test_the_suite_passes_and_leaves_the_pair_as_it_was(aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> None:
    calls = len(aws.ec2.calls)
    suite = run(aws.environment)
    assert suite.exit_code == 0, suite.text
    remaps = [call.action for call in aws.ec2.calls[calls:]].count("AssociateAddress")
    with capsys.disabled():
        print(f"\nmake acceptance took {suite.seconds:.0f} s and {remaps} remaps: {suite.text.splitlines()[-1]}")
    assert remaps < 100  # as many are free in a month
    assert places(aws) == AS_BEFORE
    assert locks(aws) == []
    assert [who_answers(aws, ip) for ip in (aws.production_ip, aws.staging_ip)] == ["bittybot 1", "tao 1"]


def test_moves_are_measured_until_ctrl_c_and_the_report_has_those_that_were_made(aws: LocalAws) -> None:
    suite = run(
        aws.environment, "--moves", "50", "--from", "a test",
        interrupt=lambda line: signal.SIGINT if "move 3 of 50" in line else None,
    )  # fmt: skip
    text, lines = suite.text, suite.text.splitlines()
    assert suite.exit_code == INTERRUPTED, text
    assert "50 moves are 100 remaps" in text
    (folder,) = (Path(line.partition("/report.md: ")[0]) for line in lines if "/report.md: " in line)
    report, (_, *rows) = (folder / "report.md").read_text(), (folder / "moves.csv").read_text().splitlines()
    shutil.rmtree(folder)
    assert "| moves | 3 of 50, each by an execution |" in report
    assert "**This is not AWS.**" in report
    assert [row.split(",")[:3] for row in rows] == [
        ["1", "tao", "CUT_OVER"], ["2", "bittybot", "CUT_OVER"], ["3", "tao", "CUT_OVER"],
    ]  # fmt: skip
    assert "| `time-of-a-move` ? |" in text
    assert places(aws) == AS_BEFORE
    assert locks(aws) == []


def test_an_interrupt_before_the_first_test_is_followed_by_a_sound_pair(aws: LocalAws) -> None:
    aws.place(production="tao", staging="bittybot")
    suite = run(
        aws.environment, "-k", "live_already",
        interrupt=lambda line: signal.SIGTERM if "of eip-cutover starts" in line and "bittybot" in line else None,
    )  # fmt: skip
    assert suite.exit_code == INTERRUPTED, suite.text
    assert suite.text.count("Interrupted") == 1, suite.text
    assert "1 of 1" not in suite.text
    assert "Traceback" not in suite.text
    assert places(aws) == AS_BEFORE
    assert locks(aws) == []


def test_a_second_interrupt_says_how_the_pair_is_left_and_the_next_run_makes_it_sound(aws: LocalAws) -> None:
    bittybot, instances = aws.servers["bittybot"].instance_id, aws.ec2.client()

    def interrupt(line: str) -> int | None:
        if "has entered DeployRelease" in line:
            return signal.SIGINT
        if "At the end" in line:
            time.sleep(SAME_SECONDS + 0.1)
            instances.stop_instances(InstanceIds=[bittybot])
            return signal.SIGTERM
        return None

    suite = run(aws.environment, "-k", "ends_a_deployment", interrupt=interrupt)
    assert suite.exit_code == 128 + signal.SIGTERM, suite.text
    (lock,) = locks(aws)
    left = suite.text.partition("Interrupted again. The pair is left as it is. ")[2]
    assert f"Production {aws.production_ip} is on bittybot. Staging {aws.staging_ip} is on tao. " in left, suite.text
    assert f"bittybot ({bittybot}) is stopped. {lock.execution} holds the pair, and runs. " in left, suite.text
    assert "`make acceptance` makes the pair sound again" in left
    assert "Traceback" not in suite.text
    aws.wait(aws.start({"rollback": True}))  # which ends what holds the pair
    suite = run(aws.environment, "-k", "live_already")
    assert suite.exit_code == 0, suite.text
    assert places(aws) == AS_BEFORE


@pytest.mark.parametrize("change", ["associate", "disassociate"])
def test_a_change_of_the_suite_waits_until_ec2_shows_it(
    aws: LocalAws, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    pair = find_pair(Progress(), stack=stack_of(DEFAULT_NAME), pair=None)
    described = 1 if change == "disassociate" else 0  # before the change, to find the association
    aws.ec2.faults.inject(Fault(action="DescribeAddresses", kind="stale", nth=described + 1, times=3))
    if change == "associate":
        pair.associate("production", "tao")
        assert pair.places().production == "tao"
    else:
        pair.disassociate("staging")
        assert pair.places().staging is None


Untagged = Callable[[LocalAws], str]
UNTAGGED: dict[str, Untagged] = {
    "the production address": lambda aws: aws.addresses["production"].allocation_id,
    "the staging address": lambda aws: aws.addresses["staging"].allocation_id,
    "the live server": lambda aws: aws.servers["bittybot"].instance_id,
    "the idle server": lambda aws: aws.servers["tao"].instance_id,
}


@pytest.mark.parametrize("resource", UNTAGGED.values(), ids=UNTAGGED)
def test_the_suite_changes_nothing_of_a_pair_with_something_that_is_not_tagged(
    aws: LocalAws, resource: Untagged
) -> None:
    ec2, id_ = aws.client("ec2"), resource(aws)
    ec2.create_tags(Resources=[id_], Tags=[{**TEST_PAIR, "Value": "false"}])
    with unchanged(aws):
        suite = run(aws.environment)
    ec2.create_tags(Resources=[id_], Tags=[TEST_PAIR])
    assert suite.exit_code == REFUSED, suite.text
    assert "Not a test pair" in suite.text
    assert suite.text.count(id_) == 2, suite.text  # what lacks the tag, and the command that tags it
    assert "Traceback" not in suite.text


def test_the_suite_changes_nothing_while_an_execution_of_the_pair_runs(aws: LocalAws) -> None:
    arn = aws.start({"release": "2-slow"})
    until(lambda: locks(aws))
    suite = run(aws.environment)
    assert aws.wait(arn).output["outcome"] == "CUT_OVER"
    assert suite.exit_code == REFUSED, suite.text
    assert arn in suite.text


# What is wrong with the environment, and a word of what to do.
ENVIRONMENTS: dict[str, tuple[dict[str, str], str]] = {
    "no credentials": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "Set AWS_PROFILE"),
    "credentials that AWS does not accept": ({"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, "AWS did not answer"),
    "no Region": ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "Set AWS_REGION"),
    "no such stack": ({"EIP_CUTOVER_STACK": "Nobodys"}, "There is no stack Nobodys in us-east-1"),
}


@pytest.mark.parametrize(("variables", "message"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_suite_says_what_it_needs_from_the_environment(
    aws: LocalAws, variables: dict[str, str], message: str
) -> None:
    with unchanged(aws):
        suite = run(aws.environment | variables)
    assert suite.exit_code == REFUSED, suite.text
    assert message in suite.text, suite.text
    assert "Traceback" not in suite.text


@contextmanager
def unchanged(aws: LocalAws) -> Iterator[None]:
    """Fail if the block changes anything in EC2, starts an execution or a command, or writes the pair's item."""
    before, calls, commands = state(aws), len(aws.ec2.calls), len(aws.systems_manager.core.commands)
    yield
    assert {call.action for call in aws.ec2.calls[calls:]} <= {"DescribeAddresses", "DescribeInstances"}
    assert len(aws.systems_manager.core.commands) == commands
    assert state(aws) == before


def state(aws: LocalAws) -> tuple[object, ...]:
    states, table = aws.client("stepfunctions"), aws.client("dynamodb")
    machines = [machine["stateMachineArn"] for machine in states.list_state_machines()["stateMachines"]]
    executions = [states.list_executions(stateMachineArn=machine)["executions"] for machine in machines]
    items = table.scan(TableName=aws.outputs["LockTableName"])["Items"]
    return executions, items, aws.ec2.client().describe_tags()["Tags"]


def test_the_suite_knows_no_emulator() -> None:
    """It could run from a folder that has nothing of the local AWS but the load generator."""
    imported = {
        name
        for file in SUITE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in names_of(node)
        if name.partition(".")[0] in ("local", "moto", "ministack")
    }
    assert imported <= {"local.load"}


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
