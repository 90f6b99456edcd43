"""The client's calls to AWS: pages, filters, and resources that do not exist."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from client.account import Account, AwsError, NotAnExecution, Problem, moment_of
from tests.unit.client_doubles import (
    EXECUTION,
    INSTANCES,
    MACHINE,
    OUTPUTS,
    Service,
    event,
    execution,
    published,
    refusal,
    session,
)

ARN = f"{EXECUTION}:release-1"


def account(**services: Service) -> Account:
    return Account(session=session(**services))


@pytest.mark.parametrize(("after", "pages"), [(0, 3), (100, 2), (240, 1), (250, 1)])
def test_only_the_pages_of_a_history_with_new_events_are_read(after: int, pages: int) -> None:
    events = [event(number, "TaskScheduled") for number in range(250, 0, -1)]

    def page(*, reverseOrder: bool, maxResults: int = 100, nextToken: str = "0", **_: Any) -> dict[str, Any]:  # noqa: N803
        assert reverseOrder
        end = int(nextToken) + maxResults
        return {"events": events[int(nextToken) : end], "nextToken": str(end) if end < len(events) else None}

    states = Service(get_execution_history=page)
    read = account(stepfunctions=states).events("arn:aws:states:x", after=after)
    assert [each["id"] for each in read] == list(range(after + 1, 251))
    assert len(states.calls) == pages


def test_two_hundred_pairs_take_two_calls_to_ec2_even_if_an_address_does_not_exist() -> None:
    pairs = [published(f"pair-{n}", f"eipalloc-p{n}", f"eipalloc-s{n}", INSTANCES) for n in range(200)]

    def describe(*, Filters: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert len(Filters[0]["Values"]) <= 200
        return {
            "Addresses": [
                {"AllocationId": value, "PublicIp": "x"} for value in Filters[0]["Values"] if value != "eipalloc-s7"
            ]
        }

    ec2 = Service(describe_addresses=describe)
    assert len(account(ec2=ec2).addresses(pairs)) == 399
    assert len(ec2.calls) == 2


@pytest.mark.parametrize("key", sorted(OUTPUTS))
def test_a_stack_of_another_project_is_named_with_the_output_that_it_lacks(key: str) -> None:
    outputs = [{"OutputKey": other, "OutputValue": "x"} for other in OUTPUTS if other != key]
    cloudformation = Service(describe_stacks={"Stacks": [{"Outputs": outputs}]})
    with pytest.raises(Problem, match=f"has no output {key}"):
        account(cloudformation=cloudformation).output(key)


def test_a_name_becomes_the_arn_of_an_execution_and_an_arn_is_used_unchanged() -> None:
    assert account().arn_of("release-1") == f"{EXECUTION}:release-1"
    assert account().arn_of("arn:aws:states:x") == "arn:aws:states:x"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_an_existing_name_with_the_same_input_is_the_same_execution(status: str) -> None:
    request = {"pair": "web", "serverName": "tao"}
    existing = execution("release-1", status, input='{ "serverName":"tao", "pair":"web" }')
    states = Service(start_execution=refusal("ExecutionAlreadyExists"), describe_execution=existing)
    assert account(stepfunctions=states).start(ARN, request) is False
    with pytest.raises(Problem, match="Choose another --name"):
        account(stepfunctions=states).start(ARN, {**request, "dryRun": True})


def test_a_new_execution_has_a_name_so_that_a_repeated_call_starts_nothing() -> None:
    states = Service(start_execution={"executionArn": "arn"})
    assert account(stepfunctions=states).start(ARN, {"dryRun": True}) is True
    ((_, parameters),) = states.calls
    assert parameters == {"stateMachineArn": MACHINE, "name": "release-1", "input": json.dumps({"dryRun": True})}


def test_the_time_comes_from_the_answer_of_aws_or_else_from_this_machine() -> None:
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sun, 01 Feb 2026 10:00:00 GMT"}}}
    assert moment_of(answer) == datetime(2026, 2, 1, 10, tzinfo=UTC)
    for undated in ({}, {"ResponseMetadata": {"HTTPHeaders": {"date": "soon"}}}):
        assert abs((moment_of(undated) - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal("AccessDenied", "x is\nnot authorized", operation="Scan"), "Scan is not permitted; docs/client.md"),
        (refusal("ExpiredToken"), "Renew them"),
        (refusal("InvalidName", "Bad \x1b[31m", operation="StartExecution"), "StartExecution failed with InvalidName"),
    ],
    ids=str,
)
def test_an_error_of_aws_is_one_printable_sentence(error: Exception, says: str) -> None:
    assert says in str(AwsError(error))
    assert str(AwsError(error)).isprintable()


def test_a_text_that_is_not_an_execution_arn_is_refused_by_aws_or_before_the_call() -> None:
    states = Service(describe_execution=refusal("InvalidArn"))
    for arn in ("arn:aws:states", "", "by\x1bhand"):
        with pytest.raises(NotAnExecution, match="is not the ARN of an execution"):
            account(stepfunctions=states).describe(arn)
    assert len(states.calls) == 1
