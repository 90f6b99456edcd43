"""`make try-destroy` in an account of moto: what it removes, what it leaves alone, and what it says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from tests.unit.try_world import EMPTY_TEMPLATE, TAG, WITHOUT_IMAGES, TryWorld
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
    assert [line.partition(":")[0] for line in removed[4:]] == [
        "  - the CDK's bootstrap stack of this account and Region, with the uploaded code",
        "  - the system backup of the lock table, which DynamoDB makes of a deleted table and keeps for 35 days",
    ]
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
    kept = world.lines[world.lines.index("Kept, and nothing of it costs as much as a cent a month:") + 1 :]
    assert [line.split(",")[0] for line in kept] == ["  - the CDK's bootstrap stack of this account and Region"]


def test_what_is_kept_follows_from_what_the_stack_had(tried: TryWorld) -> None:
    key = {"ResourceType": "AWS::KMS::Key", "PhysicalResourceId": "key", "ResourceStatus": "CREATE_COMPLETE"}
    tried.answer_call("ListStackResources", {"StackResourceSummaries": [key]})
    assert destroy(tried) == 0
    assert "  - the key of the notifications: its deletion is scheduled, in 30 days" in tried.output_text
    assert "metrics of the executions" not in tried.output_text


def test_servers_that_are_not_tagged_are_refused_and_nothing_is_removed(world: TryWorld) -> None:
    world.make_servers(tags=[])
    world.make_cutover()
    assert destroy(world) == 1
    assert "1. The stack TwoServers exists, and `make try` did not make it" in world.output_text
    assert world.calls == []
    assert world.stack(SERVERS)
    assert world.stack(CUTOVER)


def test_a_workflow_that_is_not_tagged_is_refused_if_there_is_nothing_else(world: TryWorld) -> None:
    world.make_cutover(tags=[])
    assert destroy(world) == 1
    assert "1. The stack EipCutoverTry exists, and `make try` did not make it" in world.output_text
    assert (world.calls, len(world.tables)) == ([], 1)


def test_an_execution_that_runs_is_stopped_first_because_it_may_wait_for_a_week(tried: TryWorld) -> None:
    machine = {"ResourceType": "AWS::StepFunctions::StateMachine", "PhysicalResourceId": EXECUTION}
    gone = {**machine, "PhysicalResourceId": "arn:gone", "ResourceStatus": "DELETE_COMPLETE"}
    summaries = [{**machine, "ResourceStatus": "CREATE_COMPLETE"}, gone]
    tried.answer_call("ListStackResources", {"StackResourceSummaries": summaries})
    repair = EXECUTION.replace("try:", "try-repair:")
    running = [EXECUTION]

    def stop(parameters: Any) -> Any:
        arn = json.loads(parameters)["executionArn"]
        running.remove(arn)
        if arn == EXECUTION:
            starts.append(tried.monotonic() + 8)  # as EventBridge starts it, after a while
        return tried.answered({})

    def executions() -> Any:
        if starts and tried.monotonic() >= starts[0]:
            starts.clear()
            running.append(repair)
        return tried.answered({"executions": [{"executionArn": each} for each in running]})

    starts: list[float] = []
    tried.answer_by("ListExecutions", executions)
    tried.answer_by_parameters("StopExecution", stop)
    assert destroy(tried) == 0
    assert tried.calls[:3] == ["StopExecution", "StopExecution", "DeleteStack"]
    for arn in (EXECUTION, repair):
        assert tried.lines.count(f"Stopping the execution {arn}.") == 1
    assert running == []


def test_executions_that_never_end_end_the_run(tried: TryWorld) -> None:
    machine = {"ResourceType": "AWS::StepFunctions::StateMachine", "PhysicalResourceId": EXECUTION}
    summaries = [{**machine, "ResourceStatus": "CREATE_COMPLETE"}]
    tried.answer_call("ListStackResources", {"StackResourceSummaries": summaries})
    tried.answer_call("ListExecutions", {"executions": [{"executionArn": EXECUTION}]})
    tried.answer_call("StopExecution", {})
    assert destroy(tried) == 1
    assert f"Executions of EipCutoverTry still run, or are started again: {EXECUTION}." in tried.lines
    assert "DeleteStack" not in tried.calls


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
    assert tried.lines[-2:] == ["This continues from there:", "    AWS_REGION=eu-west-1 make try-destroy"]


@pytest.mark.parametrize("name", [SERVERS, CUTOVER])
def test_a_stack_that_has_only_a_change_set_is_removed_although_it_shows_no_tags(world: TryWorld, name: str) -> None:
    """A run that was interrupted has left it. On AWS it gets its tags when the change set is executed."""
    world.make_servers(tags=[] if name == SERVERS else TAG)
    world.unseen("cloudformation").create_stack(StackName=CUTOVER, TemplateBody=EMPTY_TEMPLATE)
    stacks = {each: {**(world.stack(each) or {}), "Outputs": []} for each in (SERVERS, CUTOVER)}
    stacks[name]["StackStatus"] = "REVIEW_IN_PROGRESS"
    if name == SERVERS:
        world.unseen("cloudformation").delete_stack(StackName=CUTOVER)

    def describe(parameters: Mapping[str, Any]) -> Any:
        asked = parameters["StackName"]
        shown = next((each for each in stacks.values() if asked in (each["StackName"], each["StackId"])), None)
        return world.answered({"Stacks": [shown]}) if shown and world.stack(shown["StackName"]) else None

    world.answer_by_parameters("DescribeStacks", describe)
    assert destroy(world) == 0
    assert (world.stack(SERVERS), world.stack(CUTOVER)) == (None, None)
    assert f"  - the stack {name}, which had no resources" in world.lines


def test_servers_of_ours_are_removed_although_someone_elses_stack_has_the_other_name(world: TryWorld) -> None:
    world.make_servers()
    world.make_cutover(tags=[])
    assert destroy(world) == 1
    assert world.stack(SERVERS) is None
    assert world.stack(CUTOVER)
    assert len(world.tables) == 1
    last = world.output_text[world.output_text.index("Removed:") :]
    assert "Not removed: The stack EipCutoverTry exists, and `make try` did not make it" in last


def test_a_stack_that_is_shown_as_it_was_before_its_deletion_is_waited_for(tried: TryWorld) -> None:
    shown = [tried.stack(CUTOVER), tried.stack(CUTOVER)]
    stale: list[Any] = []

    def describe() -> Any:
        return tried.answered({"Stacks": [stale.pop()]}) if stale else None

    tried.answer_by("DescribeStacks", describe)
    tried.answer_by("DeleteStack", lambda: stale.extend(shown) or shown.clear())  # type: ignore[func-returns-value]
    assert destroy(tried) == 0
    assert "  EipCutoverTry: CREATE_COMPLETE" in tried.lines
    assert is_empty(tried)


def test_a_stack_that_is_never_deleted_ends_the_run(tried: TryWorld) -> None:
    tried.answer_call("DeleteStack", {})
    tried.answer_call(
        "DescribeStacks", {"Stacks": [{**(tried.stack(CUTOVER) or {}), "StackStatus": "DELETE_IN_PROGRESS"}]}
    )
    assert destroy(tried) == 1
    assert "CloudFormation is still at work after 30 minutes. EipCutoverTry: DELETE_IN_PROGRESS" in tried.output_text


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ResourceInUseException"])
def test_a_table_that_is_gone_or_is_being_deleted_is_not_in_the_way(tried: TryWorld, code: str) -> None:
    tried.unseen("cloudformation").delete_stack(StackName=CUTOVER)
    (table,) = tried.tables
    tried.refuse("DescribeTable" if code == "ResourceNotFoundException" else "ListTagsOfResource", code)
    assert destroy(tried) == 0
    assert table not in tried.output_text


def test_a_table_that_is_being_deleted_is_left_alone(tried: TryWorld) -> None:
    tried.unseen("cloudformation").delete_stack(StackName=CUTOVER)
    tried.answer_call("DescribeTable", {"Table": {"TableStatus": "DELETING", "TableArn": "arn:table"}})
    assert destroy(tried) == 0
    assert "DeleteTable" not in tried.calls


def test_an_interruption_says_each_thing_once(tried: TryWorld) -> None:
    def interrupt() -> Any:
        raise KeyboardInterrupt

    tried.answer_by("UpdateTable", interrupt)
    assert destroy(tried) == 130
    last = tried.lines[tried.lines.index("Interrupted.") :]
    assert len(last) == len(set(last)) == 5
    assert " ".join(last).count("make try-destroy") == 1


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
