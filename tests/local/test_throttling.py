"""The local EC2 throttles as EC2 does, if it has token buckets."""

import pytest
from botocore.exceptions import ClientError

from local.ec2 import Address, Ec2
from local.token_buckets import Limit, TokenBuckets
from tests.local.situation import client_of


def describe(ec2: Ec2, address: Address, *, tries: int) -> int:
    """The number of tries that a description took, of so many."""
    answer = client_of(ec2, tries=tries).describe_addresses(AllocationIds=[address.allocation_id])
    return 1 + int(answer["ResponseMetadata"]["RetryAttempts"])


def test_a_request_without_a_token_is_answered_as_ec2_does(ec2: Ec2, address: Address) -> None:
    ec2.limit(TokenBuckets({"DescribeAddresses": Limit(1, 0)}))
    assert describe(ec2, address, tries=1) == 1
    with pytest.raises(ClientError) as refused:
        describe(ec2, address, tries=1)
    assert refused.value.response["Error"]["Code"] == "RequestLimitExceeded"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_the_sdk_tries_a_throttled_request_again(ec2: Ec2, address: Address) -> None:
    seconds = iter([0.0, 0.0, 0.0, 1.0])  # when the bucket is made, and at each request
    ec2.limit(TokenBuckets({"DescribeAddresses": Limit(1, 1)}, clock=lambda: next(seconds)))
    assert describe(ec2, address, tries=3) == 1
    assert describe(ec2, address, tries=3) == 2


def test_a_dry_run_takes_a_token_of_its_api(ec2: Ec2, address: Address, tao: str) -> None:
    ec2.limit(TokenBuckets({"AssociateAddress": Limit(1, 0)}))
    for code in ("DryRunOperation", "RequestLimitExceeded"):
        with pytest.raises(ClientError, match=code):
            client_of(ec2, tries=1).associate_address(AllocationId=address.allocation_id, InstanceId=tao, DryRun=True)


def test_without_limits_nothing_is_throttled(ec2: Ec2, address: Address) -> None:
    for _ in range(120):
        answer = ec2.client().describe_addresses(AllocationIds=[address.allocation_id])
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0
