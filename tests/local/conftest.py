"""One local AWS for all the tests that need it whole, brought up by the first of them."""

from collections.abc import Iterator

import pytest

from local.aws import LocalAws


@pytest.fixture(scope="session")
def running_aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws) -> LocalAws:
    """The local AWS as it came up: production on bittybot, staging on tao, release 1 on both."""
    running_aws.reset()
    return running_aws


# The wait for the last call of a stopped execution takes 0.9 s here, and no call of a warm function takes as long.
TIME_SCALE = 0.02


@pytest.fixture(scope="session")
def quick_aws() -> Iterator[LocalAws]:
    """Another one, whose workflows wait and retry in a fiftieth of the time, and probe once. Its functions are warm."""
    with LocalAws(
        time_scale=TIME_SCALE, health_check={"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}
    ) as aws:
        aws.execute({"dryRun": True})
        yield aws
