"""Run Command as the local AWSs have it: AWS's states, errors and limits, at a time that the tests set."""

import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from local.systems_manager import SystemsManager
from local.systems_manager_agents import Command
from local.systems_manager_requests import Refused
from local.systems_manager_runs import HANGS, GivenRun, ProcessRun, Result

TAO, KAI, GONE = "i-0123456789abcdef0", "i-0123456789abcdef1", "i-0123456789abcdef2"
NAME = "eip-cutover.0123456789abcdef"
CONTENT = json.dumps({
    "schemaVersion": "2.2",
    "parameters": {
        "Step": {"type": "String", "allowedValues": ["deploy"]},
        "Release": {"type": "String", "allowedPattern": "^[a-z0-9]+$", "default": "none"},
        "TimeoutSeconds": {"type": "String", "allowedPattern": "^[0-9]+$", "default": "100"},
    },
    "mainSteps": [{
        "action": "aws:runShellScript", "name": "run",
        "inputs": {
            "timeoutSeconds": "{{ TimeoutSeconds }}", "runCommand": ["deploy {{ Release }}", "{{Step}} {{Other}}"],
        },
    }],
})  # fmt: skip


class Account:
    """A service with two running instances, at 1,000 s, where commands do what `result` says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.result = Result(output="deployed\n", seconds=10)
        self.states: dict[str, str] = {TAO: "running", KAI: "running", GONE: "terminated"}
        self.rebooted: list[str] = []
        self.core = SystemsManager(
            self.states.get, self._run, account="123456789012", now=lambda: self.now, rebooted=self.rebooted.append
        )
        self.core.hidden_calls = 0
        self.core.register(NAME, CONTENT)

    def _run(self, _command: Command, began: float) -> GivenRun:
        return GivenRun(self.result, began=began)

    def send(self, parameters: Mapping[str, str] | None = None, **request: Any) -> str:
        values = {name: [value] for name, value in {"Step": "deploy", **(parameters or {})}.items()}
        sent = {"DocumentName": NAME, "InstanceIds": [TAO], "Parameters": values, **request}
        return str(self.core.answer("SendCommand", sent)["Command"]["CommandId"])

    def shown(self, command: str, *, after: float = 0) -> dict[str, Any]:
        self.now += after
        return self.core.answer("GetCommandInvocation", {"CommandId": command, "InstanceId": TAO})

    def status(self, command: str, *, after: float = 0) -> tuple[str, str]:
        shown = self.shown(command, after=after)
        return shown["Status"], shown["StatusDetails"]

    def cancel(self, command: str) -> None:
        self.core.answer("CancelCommand", {"CommandId": command, "InstanceIds": [TAO]})

    def listed(self, **request: Any) -> list[str]:
        return [each["CommandId"] for each in self.core.answer("ListCommands", request)["Commands"]]


@pytest.fixture
def account() -> Account:
    return Account()


def code_of(error: pytest.ExceptionInfo[Refused]) -> str:
    return error.value.code


def test_a_command_is_pending_then_in_progress_then_over(account: Account) -> None:
    command = account.send()
    pending, running, over = (account.shown(command, after=seconds) for seconds in (0, 1, 10))
    assert [each["Status"] for each in (pending, running, over)] == ["Pending", "InProgress", "Success"]
    assert [each["ResponseCode"] for each in (pending, running, over)] == [-1, -1, 0]
    assert [each["StandardOutputContent"] for each in (pending, running, over)] == ["", "", "deployed\n"]
    assert over["ExecutionElapsedTime"] == "PT10.000S"


def test_the_invocation_does_not_exist_right_after_the_command_was_sent(account: Account) -> None:
    account.core.hidden_calls = 1
    command = account.send()
    with pytest.raises(Refused) as error:
        account.shown(command)
    assert code_of(error) == "InvocationDoesNotExist"
    assert account.status(command)[0] == "Pending"


def test_an_exit_code_other_than_0_is_a_failure(account: Account) -> None:
    account.result = Result(3, "no space\n", "left\n")
    shown = account.shown(account.send(), after=1)
    assert (shown["Status"], shown["ResponseCode"], shown["StandardOutputContent"]) == ("Failed", 3, "no space\n")
    assert shown["StandardErrorContent"] == "left\nfailed to run commands: exit status 3"


def test_only_the_first_characters_of_the_output_are_kept(account: Account) -> None:
    account.result = Result(1, "o" * 24_001, "e" * 8_001)
    shown = account.shown(account.send(), after=1)
    assert (shown["StandardOutputContent"], shown["StandardErrorContent"]) == ("o" * 24_000, "e" * 8_000)


def test_the_script_is_the_text_of_the_document_with_the_parameters_put_in(account: Account) -> None:
    account.send({"Release": "r7"})
    assert account.core.commands[0].script == "deploy r7\ndeploy {{Other}}\n"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"DocumentName": "eip-cutover.none"}, "InvalidDocument"),
        ({"DocumentVersion": "2"}, "InvalidDocumentVersion"),
        ({"DocumentHash": sha256(b"another").hexdigest(), "DocumentHashType": "Sha256"}, "InvalidDocument"),
        ({"InstanceIds": [GONE]}, "InvalidInstanceId"),
        ({"InstanceIds": ["i-0123456789abcdeff"]}, "InvalidInstanceId"),
        ({"InstanceIds": ["tao"]}, "ValidationException"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"Parameters": {"Step": ["deploy"], "Unknown": ["x"]}}, "InvalidParameters"),
        ({"Parameters": {"Step": ["other"]}}, "InvalidParameters"),
        ({"Parameters": {"Step": ["deploy"], "Release": ["$(reboot)"]}}, "InvalidParameters"),
        ({"Parameters": {"Step": ["deploy", "deploy"]}}, "InvalidParameters"),
        ({"TimeoutSeconds": 29}, "ValidationException"),
        ({"Comment": "c" * 101}, "ValidationException"),
    ],
)
def test_a_command_that_cannot_be_sent_is_refused(account: Account, request_: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as error:
        account.send(**request_)
    assert code_of(error) == code
    assert account.core.commands == []


def test_the_version_and_the_hash_of_the_document_may_be_named(account: Account) -> None:
    named: dict[str, Any] = {
        "DocumentVersion": "1",
        "DocumentHash": sha256(CONTENT.encode()).hexdigest(),
        "DocumentHashType": "Sha256",
    }
    assert account.status(account.send(**named), after=20)[0] == "Success"


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped", "shutting-down"])
def test_a_server_that_does_not_run_gets_no_command(account: Account, state: str) -> None:
    account.states[TAO] = state
    with pytest.raises(Refused, match="not in a valid state for account 123456789012") as error:
        account.send()
    assert code_of(error) == "InvalidInstanceId"


def test_a_server_without_an_agent_gets_no_command(account: Account) -> None:
    account.core.agents.manner[TAO] = "missing"
    with pytest.raises(Refused) as error:
        account.send()
    assert code_of(error) == "InvalidInstanceId"


def test_a_command_that_no_agent_fetches_is_not_delivered_in_time(account: Account) -> None:
    account.core.agents.manner[TAO] = "silent"
    command = account.send(TimeoutSeconds=60)
    assert account.status(command, after=59) == ("Pending", "Pending")
    assert account.status(command, after=2) == ("TimedOut", "DeliveryTimedOut")
    account.core.agents.manner[TAO] = "online"
    account.cancel(command)
    assert account.status(command, after=60) == ("TimedOut", "DeliveryTimedOut")
    assert account.shown(command)["ResponseCode"] == -1


@pytest.mark.parametrize("what", ["lost", "terminated"])
def test_a_command_to_an_agent_that_is_not_there_any_more_is_undeliverable(account: Account, what: str) -> None:
    command = account.send()
    if what == "lost":
        account.core.agents.manner[TAO] = "lost"
    else:
        account.states[TAO] = "terminated"
    assert account.status(command, after=1) == ("Failed", "Undeliverable")


def test_a_command_that_runs_too_long_is_killed(account: Account) -> None:
    account.result = HANGS
    command = account.send({"TimeoutSeconds": "30"})
    assert account.status(command, after=30)[0] == "InProgress"
    shown = account.shown(command, after=1)
    assert (shown["Status"], shown["StatusDetails"], shown["ResponseCode"]) == ("TimedOut", "ExecutionTimedOut", 137)


@pytest.mark.parametrize("seconds", ["4", "999999"])
def test_the_agent_replaces_a_timeout_out_of_range_by_an_hour(account: Account, seconds: str) -> None:
    account.result = HANGS
    command = account.send({"TimeoutSeconds": seconds})
    assert account.status(command, after=3599)[0] == "InProgress"
    assert account.status(command, after=2)[0] == "TimedOut"


def test_what_happened_first_counts_also_if_nobody_asked_in_between(account: Account) -> None:
    command = account.send({"TimeoutSeconds": "30"})
    assert account.status(command, after=3600)[0] == "Success"


def test_a_cancelled_command_is_cancelling_until_it_has_been_killed(account: Account) -> None:
    account.result = HANGS
    command = account.send()
    account.status(command, after=1)
    account.cancel(command)
    assert account.status(command) == ("Cancelling", "Cancelling")
    assert account.status(command, after=1) == ("Cancelled", "Cancelled")


def test_a_command_that_was_not_fetched_is_cancelled_at_once_and_never_runs(account: Account) -> None:
    command = account.send()
    account.cancel(command)
    assert account.status(command, after=20) == ("Cancelled", "Cancelled")
    assert account.core.commands[0].starts == 0


def test_an_agent_that_does_not_cancel_leaves_the_command_cancelling_until_it_ends(account: Account) -> None:
    account.core.agents.manner[TAO] = "deaf"
    command = account.send()
    account.status(command, after=1)
    account.cancel(command)
    assert account.status(command, after=5) == ("Cancelling", "Cancelling")
    assert account.status(command, after=10) == ("Success", "Success")


def test_a_command_that_is_over_is_not_cancelled(account: Account) -> None:
    command = account.send()
    account.status(command, after=20)
    account.cancel(command)
    assert account.status(command)[0] == "Success"


def test_a_command_fails_when_its_server_is_back(account: Account) -> None:
    command = account.send()
    account.status(command, after=1)
    account.states[TAO] = "stopped"
    assert account.status(command, after=60) == ("InProgress", "InProgress")
    account.states[TAO] = "running"
    shown = account.shown(command)
    assert shown["Status"] == "Failed"
    assert "document process failed unexpectedly" in shown["StandardErrorContent"]


def test_a_command_whose_server_never_comes_back_expires(account: Account) -> None:
    command = account.send({"TimeoutSeconds": "30"}, TimeoutSeconds=60)
    account.status(command, after=1)
    account.core.agents.manner[TAO] = "down"
    assert account.status(command, after=60) == ("InProgress", "InProgress")
    assert account.status(command, after=30) == ("TimedOut", "DeliveryTimedOut")


def test_the_exit_code_194_reboots_the_server_and_runs_the_command_again(account: Account) -> None:
    account.result = Result(194, seconds=1)
    command = account.send()
    assert account.status(command, after=2)[0] == "InProgress"
    assert account.rebooted == [TAO]
    account.result = Result(0)
    assert account.status(command, after=10)[0] == "Success"
    assert account.core.commands[0].starts == 2


def test_an_unknown_command_cannot_be_shown_or_cancelled(account: Account) -> None:
    unknown = {"CommandId": "0" * 36, "InstanceId": TAO}
    for action, code in (("GetCommandInvocation", "InvocationDoesNotExist"), ("CancelCommand", "InvalidCommandId")):
        with pytest.raises(Refused) as error:
            account.core.answer(action, unknown)
        assert code_of(error) == code
    other = {"CommandId": account.send(), "InstanceId": KAI}
    with pytest.raises(Refused) as error:
        account.core.answer("GetCommandInvocation", other)
    assert code_of(error) == "InvocationDoesNotExist"


def test_commands_are_listed_newest_first_by_server_time_and_state(account: Account) -> None:
    first = account.send()
    account.now += 3600  # 01:16:40
    second, other = account.send(Comment="deploy 42"), account.send(InstanceIds=[KAI])
    assert account.listed() == [other, second, first]
    assert account.listed(InstanceId=TAO) == [second, first]
    since = [{"key": "InvokedAfter", "value": "1970-01-01T01:00:00Z"}]
    assert account.listed(InstanceId=TAO, Filters=since) == [second]
    assert account.listed(Filters=[{"key": "Status", "value": "Success"}]) == [first]
    assert account.listed(Filters=[{"key": "ExecutionStage", "value": "Executing"}]) == [other, second]
    (shown,) = account.core.answer("ListCommands", {"CommandId": second})["Commands"]
    assert (shown["Comment"], shown["Status"], shown["InstanceIds"]) == ("deploy 42", "Pending", [TAO])


def test_a_list_has_pages(account: Account) -> None:
    sent = [account.send() for _ in range(3)]
    page = account.core.answer("ListCommands", {"MaxResults": 2})
    assert [each["CommandId"] for each in page["Commands"]] == [sent[2], sent[1]]
    assert account.listed(MaxResults=2, NextToken=page["NextToken"]) == [sent[0]]
    with pytest.raises(Refused) as error:
        account.listed(NextToken="of no page")
    assert code_of(error) == "InvalidNextToken"


def test_commands_that_run_at_once_on_one_server_are_seen(account: Account) -> None:
    first = account.send()
    account.now += 5
    second = account.send()
    account.send(InstanceIds=[KAI])
    account.now += 20
    account.send()
    account.now += 20
    assert [(a.id, b.id) for a, b in account.core.overlaps()] == [(first, second)]


@pytest.mark.parametrize("content", ['{"schemaVersion": "0.3"}', '{"schemaVersion": "2.2", "mainSteps": []}'])
def test_a_document_that_cannot_run_here_is_refused(account: Account, content: str) -> None:
    with pytest.raises(Refused) as error:
        account.core.register("other", content)
    assert code_of(error) == "InvalidDocumentContent"


def test_every_account_has_the_document_of_aws_that_runs_any_script(account: Account) -> None:
    script = {"commands": ["cd /srv", "echo {{ workingDirectory }}"], "workingDirectory": ["/opt"]}
    asked = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [TAO], "Parameters": script}
    sent = account.core.answer("SendCommand", asked)["Command"]
    assert sent["Parameters"] == script
    (command,) = account.core.commands
    assert (command.script, command.working_directory, command.timeout_seconds) == (
        "cd /srv\necho {{ workingDirectory }}\n", "/opt", 3600,
    )  # fmt: skip
    assert account.shown(command.id)["PluginName"] == "aws:runShellScript"
    assert account.core.documents.keys() == {NAME}, "not one of the stack"


@pytest.mark.parametrize("wrong", [{}, {"commands": ["true"], "executionTimeout": ["172801"]}])
def test_the_document_of_aws_refuses_parameters_as_others_do(account: Account, wrong: dict[str, list[str]]) -> None:
    asked = {"DocumentName": "AWS-RunShellScript", "InstanceIds": [TAO], "Parameters": wrong}
    with pytest.raises(Refused) as error:
        account.core.answer("SendCommand", asked)
    assert code_of(error) == "InvalidParameters"


@pytest.mark.parametrize("kind", [{"DocumentType": "Automation"}, {"DocumentFormat": "YAML"}])
def test_only_commands_in_json_become_documents(account: Account, kind: dict[str, str]) -> None:
    with pytest.raises(Refused) as error:
        account.core.answer("CreateDocument", {"Name": "other", "Content": CONTENT, **kind})
    assert (code_of(error), "other" in account.core.documents) == ("InvalidDocumentContent", False)


def run(script: str, folder: Path) -> ProcessRun:
    return ProcessRun(script, folder=folder, environment={"PATH": "/usr/bin:/bin", "GIVEN": "7"}, files=folder)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(process: ProcessRun) -> Result:
    until(lambda: process.end() is not None)
    end = process.end()
    process.kill()
    assert end
    return end[1]


def test_a_script_runs_in_its_folder_with_its_environment(tmp_path: Path) -> None:
    result = ended(run('echo "$GIVEN $(pwd)"; echo problem >&2; exit 3', tmp_path))
    assert (result.exit_code, result.output, result.errors) == (3, f"7 {tmp_path}\n", "problem\n")


def test_a_script_whose_folder_does_not_exist_fails(tmp_path: Path) -> None:
    missing = {"folder": tmp_path / "missing", "files": tmp_path}
    result = ended(ProcessRun("echo ran", environment={"PATH": "/usr/bin:/bin"}, **missing))
    assert result.exit_code != 0
    assert (result.output, "missing" in result.errors) == ("", True)


def test_a_script_may_name_its_interpreter(tmp_path: Path) -> None:
    assert ended(run("#!/usr/bin/env python3\nprint(6 * 7)\n", tmp_path)).output == "42\n"


@pytest.mark.parametrize("closed", ["", ">/dev/null", "2>/dev/null"])
def test_a_daemon_that_has_an_output_open_keeps_its_command_running(tmp_path: Path, closed: str) -> None:
    process = run(f"sleep 999 {closed} & echo begun >begun", tmp_path)
    try:
        until((tmp_path / "begun").exists)
        time.sleep(0.1)  # in which it would end
        assert process.end() is None
    finally:
        process.kill()


def test_a_script_that_kills_its_process_group_has_failed_with_what_it_has_printed(tmp_path: Path) -> None:
    process = run("#!/bin/sh\necho so far; sleep 0.2; kill -KILL 0\n", tmp_path)
    assert ended(process) == Result(137, "so far\n")
