"""EC2's limit in the local EC2: a burst, and then as many requests as tokens come back."""

import pytest

from local.token_buckets import LIMITS, Limit, TokenBuckets
from tests.unit.test_servers import Clock


def buckets_by(clock: Clock) -> TokenBuckets:
    return TokenBuckets({"AssociateAddress": Limit(50, 5), "DescribeAddresses": Limit(100, 20)}, clock=clock.read)


def admitted(buckets: TokenBuckets, action: str) -> int:
    """How many of 200 requests at once."""
    return sum(buckets.admits(action) for _ in range(200))


def test_each_api_admits_a_burst_and_without_a_limit_everything() -> None:
    buckets = buckets_by(Clock())
    assert [admitted(buckets, action) for action in ("AssociateAddress", "DescribeAddresses", "RunInstances")] == [
        50, 100, 200,
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "requests"), [(3, 15), (3600, 50)])
def test_after_a_burst_requests_pass_as_tokens_come_back_up_to_a_full_bucket(seconds: int, requests: int) -> None:
    buckets = buckets_by(clock := Clock())
    admitted(buckets, "AssociateAddress")
    clock.now += seconds
    assert admitted(buckets, "AssociateAddress") == requests


def test_a_request_that_is_rejected_takes_no_token() -> None:
    clock = Clock()
    buckets = TokenBuckets({"AssociateAddress": Limit(1, 4)}, clock=clock.read)
    assert buckets.admits("AssociateAddress")
    for _ in range(10):
        clock.now += 0.125
        assert not buckets.admits("AssociateAddress")
        clock.now += 0.125
        assert buckets.admits("AssociateAddress")


def test_every_api_that_a_cutover_calls_has_its_limit() -> None:
    moves = {"AssociateAddress", "DisassociateAddress"}
    looks = {"DescribeAddresses", "DescribeAddressTransfers", "DescribeInstances", "DescribeInstanceStatus"}
    assert set(LIMITS) == moves | looks
