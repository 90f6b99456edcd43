"""Who started which execution, by CloudTrail's events."""

import json
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from client.started_by import PAGES, starters, who
from tests.unit.client_doubles import AccountInMemory, cut_over, refusal

ROLE = "arn:aws:sts::111122223333:assumed-role/Deployer/alice"
PIPELINE = "arn:aws:sts::111122223333:assumed-role/Pipeline/1770000000"
EXECUTIONS = [cut_over("release-2", "tao", "bittybot"), cut_over("release-1", "bittybot", "tao")]
FIRST, SECOND = (each["executionArn"] for each in EXECUTIONS)


class CloudTrail:
    """Answers with these pages, or raises."""

    def __init__(self, *pages: Any) -> None:
        self._pages, self.asked = list(pages), list[dict[str, Any]]()

    def lookup_events(self, **asked: Any) -> Any:
        self.asked.append(asked)
        page = self._pages.pop(0) if len(self._pages) > 1 else self._pages[0]
        if isinstance(page, Exception):
            raise page
        return page


def account(trail: CloudTrail) -> AccountInMemory:
    found = AccountInMemory()
    found._clients["cloudtrail"] = trail
    return found


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
    assert who(identity) == name


def test_each_execution_is_found_by_its_arn_whatever_else_is_in_the_trail() -> None:
    others = [
        started("arn:of:another", {"type": "IAMUser", "userName": "mallory"}),
        started(FIRST, {"type": "IAMUser", "userName": "mallory"}, eventSource="somewhere.else"),
        started(FIRST, None),
        {"CloudTrailEvent": "{"},
        {"CloudTrailEvent": "[]"},
        {},
        started(FIRST, {"type": "IAMUser", "userName": "x"}, responseElements=None),
    ]
    trail = CloudTrail(
        {"Events": [started(FIRST, {"type": "AssumedRole", "arn": ROLE}), *others], "NextToken": "more"},
        {"Events": [started(SECOND, {"type": "IAMUser", "userName": "bob"})], "NextToken": "more"},
    )
    pauses: list[float] = []
    assert starters(account(trail), EXECUTIONS, sleep=pauses.append) == ({FIRST: "Deployer/alice", SECOND: "bob"}, None)
    assert pauses == [0.5]  # two requests a second are allowed; and none is made when all are found
    assert trail.asked[0]["LookupAttributes"] == [{"AttributeKey": "EventName", "AttributeValue": "StartExecution"}]
    assert trail.asked[0]["StartTime"] < EXECUTIONS[1]["startDate"] < trail.asked[0]["EndTime"]
    assert trail.asked[1]["NextToken"] == "more"


def test_a_busy_account_is_not_searched_without_end() -> None:
    trail = CloudTrail({"Events": [], "NextToken": "more"})
    assert starters(account(trail), EXECUTIONS, sleep=lambda _: None) == ({}, None)
    assert len(trail.asked) == PAGES


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (refusal("AccessDeniedException", operation="LookupEvents"), "LookupEvents is not permitted"),
        (refusal("ThrottlingException", operation="LookupEvents"), "LookupEvents failed with ThrottlingException"),
        (EndpointConnectionError(endpoint_url="https://cloudtrail"), "AWS could not be asked"),
    ],
    ids=repr,
)
def test_where_cloudtrail_does_not_say_what_was_found_is_kept_and_the_reason_told(error: Exception, says: str) -> None:
    first = {"Events": [started(FIRST, {"type": "IAMUser", "userName": "bob"})], "NextToken": "more"}
    found, why = starters(account(CloudTrail(first, error)), EXECUTIONS, sleep=lambda _: None)
    assert found == {FIRST: "bob"}
    assert says in str(why)


def test_without_executions_cloudtrail_is_not_asked() -> None:
    trail = CloudTrail(AssertionError("was asked"))
    assert starters(account(trail), []) == ({}, None)
