"""`make try-destroy` in an account of moto: what it removes, what it leaves alone, and what it says."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from tests.unit.try_world import TAG, WITHOUT_IMAGES, TryWorld
from try_pair import main
from try_stacks import CUTOVER, SERVERS

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:eip-cutover-try:release-2"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[TryWorld]:
    monkeypatch.setenv(*WITHOUT_IMAGES)
    with mock_aws():
        yield TryWorld()


@pytest.fixture
def tried(world: TryWorld) -> TryWorld:
    """After `make try`."""
    assert main(["create"], machine=world, session=world.session) == 0
    world.lines.clear()
    world.calls.clear()
    world.commands.clear()
    return world


def destroy(world: TryWorld) -> int:
    return main(["destroy"], machine=world, session=world.session)


def is_empty(world: TryWorld) -> bool:
    """But for the addresses themselves: moto does not release those of a deleted stack."""
    addresses = world.unseen("ec2").describe_addresses()["Addresses"]
    assert not any("AssociationId" in address for address in addresses)
    return (world.stack(SERVERS), world.stack(CUTOVER), world.tables) == (None, None, [])


def test_it_removes_both_stacks_the_retained_table_and_the_associations_in_the_order_that_aws_needs(
    tried: TryWorld,
) -> None:
    (table,) = tried.tables
    assert destroy(tried) == 0
    assert is_empty(tried)
    assert tried.calls == [
        *("DeleteStack", "UpdateTable", "DeleteTable"),
        *("DisassociateAddress", "DisassociateAddress", "DeleteStack"),
    ]
    assert tried.lines[0].startswith("Account 123456789012 ")
    removed = tried.lines[tried.lines.index("Removed:") + 1 :]
    assert removed[:3] == [
        "  - the stack EipCutoverTry: the workflow, its functions, alarms and logs",
        f"  - the lock table {table}",
        "  - the stack TwoServers: two servers, two Elastic IP addresses, the network",
    ]
    assert removed[3] == "Kept, and nothing of it costs as much as a cent a month:"
    assert tried.commands == []  # no synthesis


def test_a_second_time_there_is_nothing_to_remove(tried: TryWorld) -> None:
    destroy(tried)
    tried.calls.clear()
    assert destroy(tried) == 0
    assert (
        tried.lines[-1] == "There is nothing to remove: no stack EipCutoverTry, no stack TwoServers and no lock table."
    )
    assert tried.calls == []


def test_a_table_that_an_earlier_run_has_left_is_found_by_its_name_and_its_tag(tried: TryWorld) -> None:
    tried.unseen("cloudformation").delete_stack(StackName=CUTOVER)
    table: dict[str, Any] = {
        "KeySchema": [{"AttributeName": "pair", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pair", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    dynamodb = tried.unseen("dynamodb")
    dynamodb.create_table(**table, TableName="EipCutoverTry-Locks-of-someone-else")
    dynamodb.create_table(**table, TableName="EipCutover-Locks-of-production", Tags=TAG)
    assert len(tried.tables) == 3
    assert destroy(tried) == 0
    assert sorted(tried.tables) == ["EipCutover-Locks-of-production", "EipCutoverTry-Locks-of-someone-else"]


def test_only_the_servers_are_there_after_a_run_that_failed_early(world: TryWorld) -> None:
    world.make_servers()
    assert destroy(world) == 0
    assert is_empty(world)


@pytest.mark.parametrize("foreign", [SERVERS, CUTOVER])
def test_a_stack_that_is_not_tagged_is_refused_and_nothing_is_removed(world: TryWorld, foreign: str) -> None:
    world.make_servers(tags=[] if foreign == SERVERS else TAG)
    world.make_cutover(tags=[] if foreign == CUTOVER else TAG)
    assert destroy(world) == 1
    assert f"1. The stack {foreign} exists, and `make try` did not make it" in world.output_text
    assert world.calls == []
    assert world.stack(SERVERS)
    assert world.stack(CUTOVER)


def test_an_execution_that_runs_is_stopped_first_because_it_may_wait_for_a_week(tried: TryWorld) -> None:
    machine = {"ResourceType": "AWS::StepFunctions::StateMachine", "PhysicalResourceId": EXECUTION}
    gone = {**machine, "PhysicalResourceId": "arn:gone", "ResourceStatus": "DELETE_COMPLETE"}
    summaries = [{**machine, "ResourceStatus": "CREATE_COMPLETE"}, gone]
    tried.answer_call("ListStackResources", {"StackResourceSummaries": summaries})
    tried.answer_call("ListExecutions", {"executions": [{"executionArn": EXECUTION}]})
    tried.answer_call("StopExecution", {})
    assert destroy(tried) == 0
    assert tried.calls[:2] == ["StopExecution", "DeleteStack"]
    assert tried.lines.count(f"Stopping the execution {EXECUTION}.") == 1


def test_a_stack_that_cloudformation_works_on_is_waited_for(tried: TryWorld) -> None:
    stack = {**(tried.stack(CUTOVER) or {}), "StackStatus": "UPDATE_IN_PROGRESS"}
    ends_at = tried.monotonic() + 60

    def describe() -> Any:
        return tried.answered({"Stacks": [stack]}) if tried.monotonic() < ends_at else None

    tried.answer_by("DescribeStacks", describe)
    assert destroy(tried) == 0
    assert tried.lines.count("  EipCutoverTry: UPDATE_IN_PROGRESS") == 1
    assert tried.monotonic() >= ends_at
    assert is_empty(tried)


def test_a_stack_that_cannot_be_deleted_is_named_with_the_reasons(tried: TryWorld) -> None:
    network = {"LogicalResourceId": "Network", "ResourceType": "AWS::EC2::VPC", "ResourceStatus": "DELETE_FAILED"}
    failed = {**network, "ResourceStatusReason": "has\x1b[31m dependencies"}
    stack = {**(tried.stack(CUTOVER) or {}), "StackStatus": "DELETE_FAILED"}
    tried.answer_call("DeleteStack", {})
    tried.answer_call("DescribeStacks", {"Stacks": [stack]})
    tried.answer_call("ListStackResources", {"StackResourceSummaries": [failed]})
    assert destroy(tried) == 1
    assert "CloudFormation could not delete the stack EipCutoverTry (DELETE_FAILED)." in tried.lines
    assert "  Network (AWS::EC2::VPC): has [31m dependencies" in tried.lines
    assert "`make try-destroy` again continues from there." in tried.output_text


def test_a_stack_that_is_never_deleted_ends_the_run(tried: TryWorld) -> None:
    tried.answer_call("DeleteStack", {})
    tried.answer_call(
        "DescribeStacks", {"Stacks": [{**(tried.stack(CUTOVER) or {}), "StackStatus": "DELETE_IN_PROGRESS"}]}
    )
    assert destroy(tried) == 1
    assert "CloudFormation is still at work after 30 minutes. EipCutoverTry: DELETE_IN_PROGRESS" in tried.output_text


def test_an_interruption_says_what_exists_and_that_it_continues(tried: TryWorld) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    tried.answer_by("UpdateTable", interrupt)
    assert destroy(tried) == 130
    assert "The stacks now: TwoServers: CREATE_COMPLETE; EipCutoverTry: does not exist." in tried.lines
    tried.answer_by("UpdateTable", lambda: None)
    assert destroy(tried) == 0
    assert is_empty(tried)


def test_after_it_make_try_begins_again(tried: TryWorld) -> None:
    destroy(tried)
    tried.releases = {"bittybot": "1", "tao": "1"}
    assert main(["create"], machine=tried, session=tried.session) == 0
    assert tried.server_at("production") == "tao"
