"""Who started an execution, found in CloudTrail's events."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from client.account import Account
from client.executions import PAGES, caller, started_by
from tests.unit.client_doubles import Service, cut_over, in_turn, refusal, session

ROLE = "arn:aws:sts::111122223333:assumed-role/Deployer/alice"
PIPELINE = "arn:aws:sts::111122223333:assumed-role/Pipeline/1770000000"
EXECUTIONS = [cut_over("release-2", "tao", "bittybot"), cut_over("release-1", "bittybot", "tao")]
FIRST, SECOND = (each["executionArn"] for each in EXECUTIONS)
BOB = {"type": "IAMUser", "userName": "bob"}


def trail(*pages: Any) -> Service:
    return Service(lookup_events=in_turn(*pages))


def names(service: Service, sleep: Any = lambda _: None) -> tuple[dict[str, str], str | None]:
    return started_by(Account(session(cloudtrail=service)), EXECUTIONS, sleep=sleep)


def started(arn: str, identity: object, **more: Any) -> dict[str, str]:
    event = {
        "eventSource": "states.amazonaws.com",
        "userIdentity": identity,
        "requestParameters": {"input": "HIDDEN_DUE_TO_SECURITY_REASONS"},
        "responseElements": {"executionArn": arn, "startDate": "Feb 1, 2026 9:30:00 AM"},
    }
    return {"CloudTrailEvent": json.dumps(event | more)}


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"}, "alice"),
        ({"type": "AssumedRole", "arn": ROLE}, "Deployer/alice"),
        ({"type": "AssumedRole", "arn": PIPELINE, "invokedBy": "codepipeline.amazonaws.com"},
         "Pipeline/1770000000 (codepipeline.amazonaws.com)"),
        ({"type": "AssumedRole", "principalId": "AROA:alice"}, "AROA:alice"),
        ({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}, "root"),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/bob"}, "bob"),
        ({"type": "AWSService", "invokedBy": "events.amazonaws.com"}, "events.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA:x", "accountId": "1"}, "AIDA:x"),
        ({"type": "IAMUser", "userName": "a\x1b[31m\nb"}, "a [31m b"),
        ({}, None),
    ],
    ids=str,
)  # fmt: skip
def test_an_identity_is_a_name(identity: dict[str, Any], name: str | None) -> None:
    assert caller(identity) == name


def test_each_execution_is_found_by_its_arn_among_all_the_other_events() -> None:
    mallory = {"type": "IAMUser", "userName": "mallory"}
    others = [
        started("arn:of:another", mallory),
        started(FIRST, mallory, eventSource="somewhere.else"),
        started(FIRST, None),
        {"CloudTrailEvent": "{"},
        {"CloudTrailEvent": "[]"},
        {},
        started(FIRST, mallory, responseElements=None),
    ]
    service = trail(
        {"Events": [started(FIRST, {"type": "AssumedRole", "arn": ROLE}), *others], "NextToken": "more"},
        {"Events": [started(SECOND, BOB)], "NextToken": "more"},
    )
    pauses: list[float] = []
    assert names(service, pauses.append) == ({FIRST: "Deployer/alice", SECOND: "bob"}, None)
    assert pauses == [0.5]  # two requests a second are allowed; and no request is made once all are found
    (_, first), (_, second) = service.calls
    assert first["LookupAttributes"] == [{"AttributeKey": "EventName", "AttributeValue": "StartExecution"}]
    assert first["StartTime"] < EXECUTIONS[1]["startDate"] < first["EndTime"]
    assert second["NextToken"] == "more"


def test_the_search_in_a_busy_account_has_an_end() -> None:
    service = trail({"Events": [], "NextToken": "more"})
    assert names(service) == ({}, None)
    assert len(service.calls) == PAGES


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal("AccessDeniedException", operation="LookupEvents"), "LookupEvents is not permitted"),
        (refusal("ThrottlingException", operation="LookupEvents"), "LookupEvents failed with ThrottlingException"),
        (EndpointConnectionError(endpoint_url="https://cloudtrail"), "The call to AWS failed"),
    ],
    ids=repr,
)
def test_if_cloudtrail_fails_the_names_so_far_are_kept_and_the_reason_is_given(error: Exception, says: str) -> None:
    by, why_unknown = names(trail({"Events": [started(FIRST, BOB)], "NextToken": "more"}, error))
    assert by == {FIRST: "bob"}
    assert says in str(why_unknown)


def test_without_executions_cloudtrail_is_not_called() -> None:
    assert started_by(Account(session()), []) == ({}, None)
