"""One cutover per pair at a time, and a dead holder never blocks the next."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.functions.functions import CHANGE_TIMEOUT
from tests.workflow import engine
from tests.workflow.account import RELEASES, Aws
from tests.workflow.ec2_calls import EC2Calls
from tests.workflow.engine import WAITS, redriven
from tests.workflow.web import Web

Held = Callable[[str], str]


@pytest.fixture
def hectic() -> Iterator[None]:
    """Threads take turns all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hectic")
def test_only_one_of_several_conditional_writes_succeeds(aws: Aws) -> None:
    """As DynamoDB has it; what moto does otherwise is corrected in `engine.py`."""
    refused = aws.dynamodb.exceptions.ConditionalCheckFailedException
    for turn in range(20):
        begin = threading.Barrier(6)

        def write(item: dict[str, Any], begin: threading.Barrier = begin) -> bool:
            begin.wait()
            with suppress(refused):
                aws.dynamodb.put_item(TableName=aws.table, Item=item, ConditionExpression="attribute_not_exists(pair)")
                return True
            return False

        with ThreadPoolExecutor(6) as threads:
            items = [{"pair": {"S": f"turn-{turn}"}, "execution": {"S": str(number)}} for number in range(6)]
            assert sum(threads.map(write, items)) == 1
        aws.dynamodb.delete_item(TableName=aws.table, Key={"pair": {"S": f"turn-{turn}"}})


@pytest.mark.usefixtures("hectic")
def test_what_is_read_during_a_write_is_what_was_before_it_or_what_is_after_it(aws: Aws) -> None:
    """As DynamoDB has it: a lock of which only the holder's name is there would end a rollback that could wait."""
    names = [f"name{number}" for number in range(20)]
    change = {
        "TableName": aws.table,
        "Key": {"pair": {"S": "changes"}},
        "UpdateExpression": "SET " + ", ".join(f"{name} = :value" for name in names),
    }

    def write() -> None:
        for turn in range(40):
            aws.dynamodb.update_item(**change, ExpressionAttributeValues={":value": {"S": str(turn)}})

    with ThreadPoolExecutor(1) as thread:
        writes = thread.submit(write)
        while not writes.done():
            item = aws.dynamodb.get_item(TableName=aws.table, Key=change["Key"]).get("Item", {})
            assert len({item.get(name, {}).get("S") for name in names}) == 1, item
        writes.result()


@pytest.mark.parametrize("executions", [5, 20])
def test_only_one_of_several_executions_at_once_cuts_over(aws: Aws, web: Web, executions: int) -> None:
    aws.configure(port=web.port, timeoutSeconds=30, deadlineSeconds=60)
    web.gates["staging"].clear()
    arns = [aws.start({}) for _ in range(executions)]
    for arn in arns:
        aws.wait_for(arn, "AcquireLock")
    aws.until(lambda: sum(aws.status(arn) == "RUNNING" for arn in arns) == 1)
    web.open_gates()
    assert sorted(aws.wait(arn).outcome for arn in arns) == ["CUT_OVER", *["CutoverInProgress"] * (executions - 1)]
    assert aws.places == ("tao", "bittybot")
    assert aws.locks == []


def test_the_refused_execution_names_the_holder_of_the_lock_and_since_when(aws: Aws, web: Web, held: Held) -> None:
    holder = held("staging")
    loser = aws.execute({})
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"
    assert loser.outcome == "CutoverInProgress"
    (lock_since,) = [word for word in str(loser.cause).split() if word.startswith("20")]
    assert f"cutting over pair web to tao: {holder}, since {lock_since}" in str(loser.cause)
    assert "Nothing was changed." in str(loser.cause)


def test_a_dead_holders_lock_is_taken_over_once_its_last_call_is_over(aws: Aws, stopped: Callable[[], str]) -> None:
    dead = stopped()
    assert [lock["execution"]["S"] for lock in aws.locks] == [dead]
    assert aws.places == ("tao", "bittybot")
    execution = aws.execute({"serverName": "bittybot"})
    assert execution.outcome == "CUT_OVER"
    assert execution.states[:7] == [
        "DescribeAddresses", "AcquireLock", "DescribeLock", "LockHeld?", "DescribeLockHolder", "HolderRunning?",
        "WaitForLastCall",
    ]  # fmt: skip
    assert max(WAITS) > CHANGE_TIMEOUT.to_seconds()
    assert aws.places == ("bittybot", "tao")
    assert aws.locks == []


def test_a_lock_whose_execution_step_functions_no_longer_knows_is_taken_over(aws: Aws) -> None:
    aws.put_lock(aws.state_machine.replace(":stateMachine:", ":execution:") + ":forgotten", server="tao")
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert "WaitForLastCall" not in execution.states
    assert aws.locks == []


def test_the_lock_of_an_execution_that_is_not_visible_yet_is_not_taken_over(aws: Aws, web: Web, held: Held) -> None:
    """DescribeExecution is eventually consistent; here it knows the holder after a quarter of a minute."""
    holder = held("staging")
    metadata = {"HTTPStatusCode": 400, "RequestId": "test"}
    error = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "not yet"}, "ResponseMetadata": metadata}
    answers = [(SimpleNamespace(status_code=400), error)] * 5
    with aws.just_before("stepfunctions", "DescribeExecution", lambda: answers.pop() if answers else None):
        execution = aws.execute({})
    assert execution.outcome == "CutoverInProgress"
    assert not answers
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"


def test_the_wait_for_the_last_call_counts_from_the_end_of_the_dead_holder(aws: Aws) -> None:
    dead = aws.execute({"dryRun": True}).arn
    aws.backdate(dead, hours=1)
    aws.put_lock(dead, server="tao")
    execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert "WaitForLastCall" in execution.states
    assert max(WAITS, default=0) <= 0


def test_a_lock_that_another_execution_took_over_first_stays_with_it(
    aws: Aws, web: Web, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = aws.execute({"dryRun": True}).arn
    holder = held("production")
    aws.put_lock(dead, server="tao")
    monkeypatch.setattr(engine, "DURING_WAITS", [lambda: aws.put_lock(holder, server="tao")])
    loser = aws.execute({"serverName": "bittybot"})
    assert loser.outcome == "CutoverInProgress"
    assert holder in str(loser.cause)
    assert [lock["execution"]["S"] for lock in aws.locks] == [holder]
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"
    assert aws.places == ("tao", "bittybot")


def test_an_execution_does_not_release_a_lock_that_it_no_longer_holds(aws: Aws, web: Web, held: Held) -> None:
    arn = held("production")
    aws.put_lock("another-execution", server="tao")
    web.open_gates()
    assert aws.wait(arn).outcome == "CUT_OVER"
    assert [lock["execution"]["S"] for lock in aws.locks] == ["another-execution"]


def test_a_lock_belongs_to_the_execution_even_if_the_answer_was_lost(aws: Aws) -> None:
    with aws.losing_an_answer("dynamodb", "UpdateItem"):
        execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert "DescribeLock" not in execution.states
    assert aws.locks == []


@pytest.mark.parametrize(("value", "server"), [({}, "tao"), ({"serverName": "bittybot"}, "bittybot")])
def test_the_lock_names_the_server_that_should_become_live(aws: Aws, value: object, server: str) -> None:
    seen: list[dict[str, Any]] = []
    with aws.just_before("dynamodb", "UpdateItem", lambda: seen.extend(aws.locks), containing=RELEASES):
        aws.execute(value)
    assert [lock["server"]["S"] for lock in seen] == [server]


def test_a_lock_that_is_released_before_its_holder_is_looked_up_is_acquired(aws: Aws) -> None:
    aws.put_lock("just-done", server="tao")
    key = {"pair": {"S": "web"}}
    with aws.just_before("dynamodb", "GetItem", lambda: aws.dynamodb.delete_item(TableName=aws.table, Key=key)):
        execution = aws.execute({})
    assert execution.outcome == "CUT_OVER"
    assert execution.states[1:7] == [
        "AcquireLock", "DescribeLock", "LockHeld?", "DescribeAddresses", "AcquireLock", "Decision?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("live", "idle", "outcome"),
    [("bittybot", None, "CUT_OVER"), ("tao", None, "REPAIRED"), ("tao", "bittybot", "ALREADY_LIVE")],
)
def test_the_same_input_finishes_what_a_dead_holder_began(
    aws: Aws, stopped: Callable[[], str], live: str, idle: str | None, outcome: str
) -> None:
    stopped()
    aws.place(production=live, staging=idle)
    execution = aws.execute({})
    assert execution.outcome == outcome
    assert aws.places == ("tao", "bittybot")


def test_twenty_pairs_at_once_are_each_cut_over_once(aws: Aws, web: Web) -> None:
    # Twenty executions share this process with the servers.
    pairs = aws.configure_many(20, port=web.port, timeoutSeconds=10)
    arns = {name: aws.start({"pair": name}) for name in pairs}
    for name, arn in arns.items():
        execution = aws.wait(arn)
        assert (execution.outcome, execution.output["pair"]) == ("CUT_OVER", name)
    for pair in pairs.values():
        described = aws.ec2.describe_addresses(AllocationIds=[pair["production"], pair["staging"]])["Addresses"]
        holders = {address["AllocationId"]: address["InstanceId"] for address in described}
        assert holders == {pair["production"]: pair["servers"]["two"], pair["staging"]: pair["servers"]["one"]}
    assert len(aws.notices) == len(pairs)
    assert aws.locks == []


@pytest.mark.parametrize(("staging", "value"), [("tao", {}), (None, {"serverName": "bittybot"})], ids=["sound", "not"])
def test_a_redriven_execution_changes_and_repairs_nothing_and_says_so(
    aws: Aws, ec2_calls: EC2Calls, staging: str | None, value: object
) -> None:
    aws.place(production="bittybot", staging=staging)
    with redriven():
        execution = aws.execute(value)
    assert execution.outcome == "PreflightFailed"
    assert "This execution had ended and was redriven" in str(execution.cause)
    assert ec2_calls.changes == []
    assert aws.places == ("bittybot", staging)
    assert aws.repair(execution.arn).outcome == "REPAIRED"
    assert (aws.places, aws.locks) == (("bittybot", "tao"), [])


def test_an_execution_that_has_lost_its_lock_changes_nothing_and_says_so(
    aws: Aws, web: Web, ec2_calls: EC2Calls, held: Held
) -> None:
    holder = held("staging")
    aws.delete_lock()
    web.open_gates()
    execution = aws.wait(holder)
    assert execution.outcome == "PreflightFailed"
    assert "LockLost: The execution does not hold the lock of pair web any more" in str(execution.cause)
    assert execution.states[-4:-1] == ["Notify", "PutEvent", "Outcome?"]
    assert ec2_calls.changes == []
    assert aws.places == ("bittybot", "tao")


def test_a_server_is_not_called_live_until_its_cutover_is_over(aws: Aws, web: Web, held: Held) -> None:
    holder = held("production")
    assert aws.places == ("tao", "bittybot")
    assert aws.execute({"serverName": "tao"}).outcome == "CutoverInProgress"
    web.open_gates()
    assert aws.wait(holder).outcome == "CUT_OVER"
    assert aws.execute({"serverName": "tao"}).outcome == "ALREADY_LIVE"
