"""One local AWS for all the tests that need all of it, and a local EC2 for the others."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local.aws import LocalAws
from local.ec2 import Address, Ec2
from tests.local.evidence import broken_by, ended_since
from tests.local.situation import tidy

# The wait for the last call of a stopped execution takes 0.9 s here; no call of a warm function takes as long.
TIME_SCALE = 0.02


@pytest.fixture(autouse=True)
def verified_executions(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, the guarantees are checked against the histories of its executions that have ended."""
    began = datetime.now(UTC)
    yield
    used = {id(each): each for each in request.node.funcargs.values() if isinstance(each, LocalAws)}
    for aws in used.values():
        assert [text for arn in ended_since(aws, began) for text in broken_by(aws, arn)] == []


@pytest.fixture(scope="session")
def running_aws() -> Iterator[LocalAws]:
    """Its workflows wait and retry in a fiftieth of the time, and probe once. Its functions are warm."""
    with LocalAws(
        time_scale=TIME_SCALE, health_check={"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}
    ) as aws:
        aws.execute({"dryRun": True})
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws) -> LocalAws:
    """The local AWS as it was after its start: production on bittybot, staging on tao, release 1 on both, no lock."""
    tidy(running_aws)
    running_aws.reset()
    return running_aws


@pytest.fixture(scope="module")
def running_ec2() -> Iterator[Ec2]:
    with Ec2() as ec2:
        yield ec2


@pytest.fixture
def ec2(running_ec2: Ec2) -> Iterator[Ec2]:
    """The local EC2 alone, left without faults, delays and limits."""
    yield running_ec2
    running_ec2.faults.clear()
    running_ec2.latency_seconds = 0
    running_ec2.limit(None)


@pytest.fixture
def bittybot(ec2: Ec2) -> str:
    return ec2.launch("bittybot")


@pytest.fixture
def tao(ec2: Ec2) -> str:
    return ec2.launch("tao")


@pytest.fixture
def address(ec2: Ec2) -> Address:
    """An address on no server."""
    return ec2.allocate("127.0.0.10")
