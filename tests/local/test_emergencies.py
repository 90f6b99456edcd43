"""Users are served well again within 10 s of a rollback, under live load, whatever the bad release has broken.

`local/emergencies.py` has the emergencies; `make bench` measures all of them.
"""

from collections.abc import Iterator

import pytest

from domain.lock import LAST_CALL_SECONDS
from local import emergencies
from local.emergencies import DEFAULT_CHECK, EMERGENCIES, Emergency, Site
from stacks.configuration.health_check import HttpCheck
from tests.local.situation import places

# Variants of these, which only the benchmark tries here. All are tried in process (`tests/workflow`).
VARIANTS = (
    "nothing bars it",
    "its alarm is in ALARM, and CloudWatch refuses connections",
    "someone disassociated production, and there is no record",
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A dead lock is free after a tenth of the time. Everything else that users wait for takes as long as on AWS."""
    with emergencies.site(time_scale=0.1) as there:
        yield there


@pytest.mark.parametrize(
    "emergency",
    [pytest.param(each, id=each.title) for each in EMERGENCIES if each.title not in VARIANTS],
)
def test_users_are_served_well_within_10_s(site: Site, emergency: Emergency) -> None:
    ended = site.run(emergency)
    assert ended.seconds <= 10
    assert ended.execution.status == "SUCCEEDED", (ended.execution.error, ended.execution.cause)
    assert ended.execution.output["outcome"] == emergency.outcome
    assert places(site.aws) == (emergency.server, emergency.staging)
    assert "execution" not in site.item, "the lock is released"
    if emergency.bakes:
        assert ended.other
        assert ended.other.error == "RolledBack"


def test_the_emergencies_have_the_default_health_check_and_the_time_of_a_last_call() -> None:
    assert DEFAULT_CHECK.items() <= HttpCheck().model_dump().items()
    assert emergencies.LAST_CALL_SECONDS == LAST_CALL_SECONDS
