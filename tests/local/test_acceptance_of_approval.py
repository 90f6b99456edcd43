"""The acceptance suite with a pair whose releases need an approval: it rejects a release, and approves the others.

Last, a server of this pair is terminated, and the suite refuses the pair.
"""

from collections.abc import Iterator

import pytest

from local.aws import LocalAws
from tests.local.conftest import TIME_SCALE
from tests.local.test_acceptance import REFUSED, run


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(time_scale=TIME_SCALE, pair={"approval": {"timeoutMinutes": 60}}) as aws:
        yield aws


def test_the_suite_rejects_a_release_and_approves_the_others(aws: LocalAws) -> None:
    suite = run(aws.environment, "-k", "rejected or exactly_one")
    assert suite.exit_code == 0, suite.text
    assert "2 passed" in suite.text
    assert "is approved" in suite.text


def test_the_suite_refuses_a_pair_with_a_terminated_server(aws: LocalAws) -> None:
    tao = aws.servers["tao"].instance_id
    aws.client("ec2").terminate_instances(InstanceIds=[tao])
    suite = run(aws.environment)
    assert suite.exit_code == REFUSED, suite.text
    assert f"tao ({tao}) is terminated. Launch another instance" in suite.text
    assert "Nothing was changed" in suite.text
    assert "Traceback" not in suite.text
