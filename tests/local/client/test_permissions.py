"""`docs/client.md` says what each command calls: its calls are recorded, and compared."""

import re
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from client.commands import main
from local.aws import LocalAws
from tests.local.situation import put_lock

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"


def documented() -> dict[str, set[str]]:
    """The actions by command; a row without a command belongs to that of the row above."""
    by_command: dict[str, set[str]] = {}
    rows = re.findall(r"^\| (?:`([\w -]+)` )?\| (`\w+:.+?) \|", DOCUMENT.read_text(), re.MULTILINE)
    command = ""
    for named, actions in rows:
        command = named or command
        by_command.setdefault(command, set()).update(re.findall(r"`(\w+:\w+)`", actions))
    return by_command


@pytest.fixture(autouse=True)
def here(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client runs in this process."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)


def called_by(*words: str, code: int = 0) -> set[str]:
    """The actions that a command calls, in IAM's words."""
    calls: set[str] = set()
    session = boto3.Session()

    def record(model: Any, **_: object) -> None:
        calls.add(f"{model.service_model.signing_name}:{model.name}")

    session.events.register("before-call.*.*", record)
    assert main(words, session=session) == code
    return calls


@pytest.mark.parametrize(
    ("executed", "has_dead_lock", "words"),
    [
        (None, False, ["start", "--server", "tao"]),
        ({"serverName": "tao"}, False, ["watch"]),
        (None, True, ["status"]),
        ({"pair": "nobody"}, False, ["history", "--pair", "web", "--limit", "3"]),
        ({"serverName": "tao"}, False, ["rollback"]),
        (None, True, ["unlock"]),
        (None, False, ["init", "--production", "127.0.0.41", "--staging", "127.0.0.42"]),
        (None, False, ["commands"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_calls_what_the_table_says_and_nothing_else(
    aws: LocalAws, executed: dict[str, str] | None, has_dead_lock: bool, words: list[str]
) -> None:
    ended = aws.execute(executed or {"dryRun": True})
    if has_dead_lock:
        put_lock(aws, ended.arn)
    if words[0] == "init":
        for ip in (words[2], words[4]):
            aws.ec2.associate(aws.ec2.allocate(ip), aws.ec2.launch(f"server-{ip}"))
    assert called_by(*words) == documented()[words[0]]


def test_a_new_server_of_a_pair_needs_what_the_table_says(aws: LocalAws) -> None:
    words = ["init", "--replace", "bittybot", "--instance", aws.ec2.launch("new")]
    assert called_by(*words) == documented()["init --replace"]


def test_an_execution_that_failed_is_verified_with_the_calls_of_the_table(aws: LocalAws) -> None:
    assert called_by("verify", aws.execute({"pair": "nobody"}).arn) == documented()["verify"]


def test_every_command_is_in_the_table() -> None:
    commands = {"start", "watch", "status", "history", "rollback", "approve", "reject", "unlock", "commands", "init",
                "init --replace", "verify"}  # fmt: skip
    assert set(documented()) == commands


def test_with_an_arn_watch_needs_neither_the_stack_nor_the_list(aws: LocalAws) -> None:
    arn = aws.execute({"dryRun": True}, name=f"dry-{time.time_ns()}").arn
    assert called_by("watch", arn) == {"states:DescribeExecution", "states:GetExecutionHistory"}
