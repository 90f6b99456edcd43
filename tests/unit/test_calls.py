"""How EC2 is called, and what its errors mean to the workflow."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from aws.calls import ec2_client, rehearsed, translated
from domain.errors import EC2Refused, EC2Throttled, EC2Unavailable, PreflightFailed


def error(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "EC2 says\nwhy."}}
    response["ResponseMetadata"] = {"HTTPStatusCode": status}
    return ClientError(response, "Action")


def test_the_slowest_call_of_a_client_ends_within_21_seconds() -> None:
    config = ec2_client().meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}  # type: ignore[attr-defined]
    assert (config.connect_timeout, config.read_timeout) == (2, 5)  # type: ignore[attr-defined]


UNAVAILABLE = {"InternalError": 400, "IncorrectInstanceState": 400, "InvalidInstanceID": 400, "SomethingNew": 500}
THROTTLED = {"EC2ThrottledException": 503, "RequestLimitExceeded": 503, "Throttling": 400, "ThrottlingException": 400}
REFUSED = {"Resource.AlreadyAssociated": 400, "UnauthorizedOperation": 403, "AuthFailure": 403}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        *((code, status, EC2Unavailable) for code, status in UNAVAILABLE.items()),
        *((code, status, EC2Throttled) for code, status in THROTTLED.items()),
        *((code, status, EC2Refused) for code, status in REFUSED.items()),
    ],
)
def test_an_error_of_ec2_says_whether_to_try_again(code: str, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised, translated("AssociateAddress of x"):
        raise error(code, status)
    assert str(raised.value) == f"AssociateAddress of x failed with {code}: EC2 says?why."


def test_a_call_without_an_answer_may_be_tried_again() -> None:
    with pytest.raises(EC2Unavailable, match="of x got no answer: Could not connect"), translated("Action of x"):
        raise EndpointConnectionError(endpoint_url="ec2")


@pytest.mark.parametrize(
    ("code", "kind"), [("UnauthorizedOperation", PreflightFailed), ("RequestLimitExceeded", EC2Throttled)]
)
def test_a_refused_rehearsal_fails_the_preflight_and_a_throttled_rehearsal_is_retried(
    code: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=code), rehearsed("AssociateAddress of x"):
        raise error(code)


def test_a_rehearsal_is_permitted_if_ec2_says_that_it_was_a_dry_run() -> None:
    with rehearsed("AssociateAddress of x"):
        raise error("DryRunOperation", 412)
