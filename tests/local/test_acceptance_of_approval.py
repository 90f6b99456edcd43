"""The acceptance suite with a pair whose releases need an approval: it rejects a release, and approves the others."""

from local.aws import LocalAws
from tests.local.conftest import TIME_SCALE
from tests.local.test_acceptance import run


def test_the_suite_rejects_a_release_and_approves_the_others() -> None:
    with LocalAws(time_scale=TIME_SCALE, pair={"approval": {"timeoutMinutes": 60}}) as aws:
        suite = run(aws.environment, "-k", "rejected or exactly_one")
    assert suite.exit_code == 0, suite.text
    assert "2 passed" in suite.text
    assert "is approved" in suite.text
