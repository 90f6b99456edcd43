"""The doors of the function that runs commands: to Systems Manager, and to the item of the lock."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from aws.calls import ONCE, aws_client
from aws.records import LockItem
from aws.run_command import NotSent, RunCommand
from domain.errors import CommandUnavailable, LockLost, RecordUnavailable
from domain.release_commands import HOOKS, Command
from run_commands import handler
from tests.unit.example_pair import WEB
from tests.unit.handler_calls import CONTEXT
from tests.unit.lock_table import LockTable

PAIR = replace(WEB, deploy={"command": "deploy", "timeoutSeconds": 60})
ME = "arn:aws:states:eu-west-1:1:execution:eip-cutover:night-1"
COMMAND = Command("deploy", "tao", "i-0bbbbbbbb", sent=1_770_000_000.0, until=1_770_000_690.0)
SENT = replace(COMMAND, id="c-1")


def error(code: str, status: int = 400) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": "says\x1b so"}, "ResponseMetadata": metadata}, "x")


class SystemsManager:
    """Answers what a test gives, and keeps the requests."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.requests = answer, list[dict[str, Any]]()

    def _called(self, **request: Any) -> Any:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    send_command = get_command_invocation = cancel_command = _called

    def get_paginator(self, _operation: str) -> "SystemsManager":
        return self

    def paginate(self, **request: Any) -> Any:
        return [self._called(**request)]


def commands(answer: Any) -> RunCommand:
    return RunCommand(PAIR, "night-1", SystemsManager(answer))


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCUMENTS", "eip-cutover.")


def sent(answer: Any) -> str:
    return commands(answer).send(COMMAND, "7", ME, 60)


UNAVAILABLE = [
    error("InternalServerError"), error("AnyOther", 503), ReadTimeoutError(endpoint_url="https://ssm"),
]  # fmt: skip


@pytest.mark.parametrize("answer", UNAVAILABLE, ids=str)
def test_a_command_that_may_have_been_sent_is_not_taken_for_refused(answer: Exception) -> None:
    with pytest.raises(CommandUnavailable, match="SendCommand"):
        sent(answer)
    with pytest.raises(CommandUnavailable, match="ListCommands"):
        commands(answer).find(COMMAND)


@pytest.mark.parametrize("code", ["ThrottlingException", "RequestLimitExceeded"])
def test_a_throttled_command_was_not_sent_and_may_be_sent_again(code: str) -> None:
    with pytest.raises(NotSent, match=code) as refused:
        sent(error(code))
    assert refused.value.throttled


def test_a_refused_command_says_where_why_and_what_to_do() -> None:
    with pytest.raises(NotSent) as refused:
        sent(error("InvalidInstanceId"))
    assert not refused.value.throttled
    assert str(refused.value) == (
        "Systems Manager did not accept the command deploy for tao (i-0bbbbbbbb): InvalidInstanceId: says? so. "
        "Check that its agent runs, and that its instance profile has AmazonSSMManagedInstanceCore."
    )


def test_a_command_is_found_by_its_comment_among_those_of_its_server_since_then() -> None:
    def listed(identity: str, comment: str, minute: int) -> dict[str, Any]:
        return {
            "CommandId": identity, "Comment": comment, "RequestedDateTime": datetime(2026, 2, 2, 2, minute, tzinfo=UTC)
        }  # fmt: skip

    mine = "deploy night-1"
    found = [listed("a", mine, 40), listed("b", mine, 41), listed("c", "deploy night-11", 42), listed("d", "", 43)]
    asked = commands({"Commands": found})
    assert asked.find(COMMAND) == "b"
    (request,) = asked._ssm.requests
    since = {"key": "InvokedAfter", "value": "2026-02-02T02:39:00Z"}
    assert request == {"InstanceId": "i-0bbbbbbbb", "Filters": [since]}
    assert commands({"Commands": found[2:]}).find(COMMAND) is None


@pytest.mark.parametrize(
    ("answer", "status", "goes_on"),
    [(error("InvocationDoesNotExist"), "Pending", True), (error("InternalServerError", 500), "Unknown", True),
     ({"Status": "Delayed"}, "Delayed", True), ({"Status": "Cancelling"}, "Cancelling", True),
     ({"Status": "Success", "ResponseCode": 0}, "Success", False),
     ({"Status": "Failed", "ResponseCode": 1}, "Failed", False)],
)  # fmt: skip
def test_a_command_goes_on_until_systems_manager_says_that_it_has_ended(
    answer: Any, status: str, goes_on: bool
) -> None:
    seen = commands(answer).look(SENT)
    assert (seen.status, seen.ended) == (status, not goes_on)


@pytest.mark.parametrize(
    ("shown", "failure"),
    [({"Status": "TimedOut", "StatusDetails": "ExecutionTimedOut", "ResponseCode": 137},
      "ended ExecutionTimedOut. Raise timeoutSeconds in cdk.json if it needs more time. Its last lines: (nothing)."),
     ({"Status": "Failed", "StatusDetails": "Undeliverable", "ResponseCode": -1},
      "ended Undeliverable. Check that its agent runs and reaches Systems Manager. Its last lines: (nothing)."),
     ({"Status": "Failed", "StatusDetails": "Failed", "ResponseCode": 2, "StandardErrorContent": "no\n"},
      "ended Failed with exit code 2. Its last lines:\n| no\nThe output ends here."),
     ({"Status": "Cancelled", "ResponseCode": -1, "StandardOutputContent": "half\n"},
      "ended Cancelled. Its last lines:\n| half\nThe output ends here.")],
)  # fmt: skip
def test_the_failure_of_a_command_says_how_it_ended(shown: dict[str, Any], failure: str) -> None:
    assert commands(shown).look(SENT).failure == failure


def test_a_cancellation_that_fails_raises_nothing() -> None:
    commands(error("ThrottlingException")).cancel(SENT)


# The item of the lock.


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockTable]:
    with mock_aws():
        aws_client.cache_clear()
        table = LockTable()
        monkeypatch.setenv("LOCK_TABLE", table.name)
        table.put(pair="web", execution=ME, rollbackTo={"server": "tao", "why": "it was live before"})
        yield table
    aws_client.cache_clear()


def item() -> LockItem:
    of_pair = LockItem("web", ME)
    of_pair.read()
    return of_pair


def test_a_command_is_read_by_the_next_call(table: LockTable) -> None:
    item().write(SENT, runs=True, more={"hooksBegan": "true"})
    again = item()
    assert (again.command, again.runs, again.record.hooks_began) == (SENT, True, True)
    assert again.record.rollback_to.server == "tao"
    again.write(replace(SENT, ended=True), runs=False)
    assert item().runs is False


def test_of_two_calls_only_one_begins_a_command(table: LockTable) -> None:
    one, two = item(), item()
    one.write(COMMAND, runs=True)
    with pytest.raises(RecordUnavailable, match="Another call has begun a command"):
        two.write(replace(COMMAND, sent=COMMAND.sent + 1), runs=True)
    one.write(SENT, runs=True)
    assert item().command == SENT


def test_a_call_that_was_left_behind_does_not_write_over_a_later_command(table: LockTable) -> None:
    behind, ahead = item(), item()
    behind.write(SENT, runs=True)
    ahead.read()
    ahead.write(replace(SENT, ended=True), runs=False)
    later = replace(COMMAND, step="beforeCutover0", sent=COMMAND.sent + 9)
    ahead.write(later, runs=True)
    with pytest.raises(RecordUnavailable):
        behind.write(replace(SENT, ended=True), runs=False)
    assert (item().command, item().runs) == (later, True)


def test_after_the_end_of_commands_none_is_begun_or_changed(table: LockTable) -> None:
    begun, late = item(), item()
    begun.write(SENT, runs=True)
    ending = LockItem("web", ME)
    ending.end_commands()
    assert (ending.command, ending.runs) == (SENT, True)
    for call, command in ((begun, SENT), (late, replace(COMMAND, sent=COMMAND.sent + 1))):
        with pytest.raises(LockLost):
            call.write(command, runs=True)
    with pytest.raises(LockLost):
        item()
    ending.write_end(replace(SENT, ended=True))
    assert "commandRuns" not in table.client.get_item(TableName=table.name, Key={"pair": {"S": "web"}})["Item"]


@pytest.mark.parametrize("holder", ["another", None])
def test_an_execution_without_the_lock_reads_and_writes_nothing(table: LockTable, holder: str | None) -> None:
    held = item()
    table.put(pair="web", **({"execution": holder} if holder else {"revision": 1}))
    for use in (held.read, held.end_commands, lambda: held.write(SENT, runs=True), lambda: held.write_end(None)):
        with pytest.raises(LockLost, match="does not hold the lock of pair web any more, so this step does nothing"):
            use()


def test_a_table_that_does_not_answer_may_be_asked_again(table: LockTable) -> None:
    held = item()
    table.client.delete_table(TableName=table.name)
    for use in (held.read, held.end_commands, lambda: held.write(SENT, runs=True)):
        with pytest.raises(RecordUnavailable):
            use()


def test_what_keeps_the_lock_is_tried_once_so_that_the_time_of_sending_is_known(table: LockTable) -> None:
    config = aws_client("dynamodb", ONCE).meta.config
    assert config.retries["total_max_attempts"] == 1
    assert config.connect_timeout + config.read_timeout <= 5


@pytest.fixture
def deployed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pair of the handler, with hooks of every moment."""
    hook = {"server": "idle", "command": "true", "timeoutSeconds": 9, "onFailure": "FAIL"}
    pair = {"production": "a", "staging": "b", "servers": {"tao": "i-1", "bittybot": "i-2"}, "healthCheck": [],
            "bakeSeconds": 0, "alarms": [], "hooks": {moment: [hook] for moment in HOOKS}}  # fmt: skip
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps({"web": pair}))
    monkeypatch.setenv("PAIRS_FILE", str(file))


@pytest.mark.parametrize(
    ("moment", "begun"),
    [
        ("deploy", "beforeCutover0"), ("beforeCutover", "afterCutover0"), ("beforeCutover", "afterRollback0"),
        ("afterCutover", "afterRollback0"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("deployed")
def test_a_late_call_of_an_earlier_moment_does_nothing(table: LockTable, moment: str, begun: str) -> None:
    """Step Functions has called again, and Lambda starts the first call 10 s late: neither is its command run nor the
    one that runs by now cancelled, or replaced."""
    later = replace(COMMAND, step=begun)
    item().write(later, runs=True)
    lock, servers = {"pair": "web", "execution": ME}, {"live": "tao", "idle": "bittybot"}
    with pytest.raises(LockLost, match=f"The execution has begun {begun}"):
        handler({"execution": "night-1", "pair": "web", "lock": lock, "moment": moment, **servers}, CONTEXT)
    assert (item().command, item().runs) == (later, True)


@pytest.mark.usefixtures("deployed")
def test_an_event_that_ends_commands_without_the_lock_is_refused(table: LockTable) -> None:
    ending = {"execution": "repair-1", "pair": "web", "end": True}
    with pytest.raises(LockLost):
        handler({**ending, "lock": {"pair": "web", "execution": "another"}}, CONTEXT)
    assert handler({**ending, "lock": {"pair": "web", "execution": ME}}, CONTEXT) == {}
