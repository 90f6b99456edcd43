"""EC2's limit as the local EC2 has it: a burst, then as many requests as tokens come back."""

import pytest

from local.token_buckets import LIMITS, Limit, TokenBuckets


class Clock:
    """Time passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def buckets(clock: Clock) -> TokenBuckets:
    return TokenBuckets({"AssociateAddress": Limit(50, 5), "DescribeAddresses": Limit(100, 20)}, clock=clock.read)


def admitted(buckets: TokenBuckets, action: str, requests: int = 200) -> int:
    """How many of so many requests at once."""
    return sum(buckets.admits(action) for _ in range(requests))


def test_a_burst_is_admitted_and_no_more(buckets: TokenBuckets) -> None:
    assert admitted(buckets, "AssociateAddress") == 50


def test_what_is_admitted_then_is_what_came_back(buckets: TokenBuckets, clock: Clock) -> None:
    admitted(buckets, "AssociateAddress")
    clock.now += 3
    assert admitted(buckets, "AssociateAddress") == 15


def test_a_request_that_is_rejected_takes_no_token(clock: Clock) -> None:
    buckets = TokenBuckets({"AssociateAddress": Limit(1, 4)}, clock=clock.read)
    assert buckets.admits("AssociateAddress")
    for _ in range(10):
        clock.now += 0.125
        assert not buckets.admits("AssociateAddress")
        clock.now += 0.125
        assert buckets.admits("AssociateAddress")


def test_a_bucket_is_never_fuller_than_full(buckets: TokenBuckets, clock: Clock) -> None:
    clock.now += 3600
    assert admitted(buckets, "AssociateAddress") == 50


def test_each_api_has_a_bucket_of_its_own(buckets: TokenBuckets) -> None:
    admitted(buckets, "AssociateAddress")
    assert admitted(buckets, "DescribeAddresses") == 100


def test_an_api_without_a_limit_is_always_admitted(buckets: TokenBuckets) -> None:
    assert admitted(buckets, "RunInstances") == 200


def test_every_api_that_a_cutover_calls_has_its_limit() -> None:
    assert set(LIMITS) == {
        "AssociateAddress",
        "DisassociateAddress",
        "DescribeAddresses",
        "DescribeAddressTransfers",
        "DescribeInstances",
        "DescribeInstanceStatus",
    }
