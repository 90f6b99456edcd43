"""Whether two servers share what they must share, by what each answered."""

from dataclasses import replace

import pytest

from domain.errors import PreflightFailed
from health.check import Check, live_checks_of
from health.polling import Polled
from health.probe import Probe
from health.shared_store import NotCompared, Same, compared
from health.verdict import Healthy, Stopped, Unhealthy
from tests.unit.checks import EVENT, GOOD, LIVE, REFUSED, SETTINGS, answer, check, findings

STAGING = check(sharedHeader="X-Store")
DEAD = Unhealthy("3 probes in a row failed: connection refused")


def live_check() -> Check:
    [found] = live_checks_of({**EVENT, "live": LIVE, "healthCheck": [{**SETTINGS, "sharedHeader": "X-Store"}]})
    assert found
    return found


def live(verdict: Healthy | Unhealthy | Stopped, *probes: Probe) -> Polled:
    return Polled(live_check(), verdict, findings(live_check(), list(probes)), len(probes), 2)


def test_the_same_value_is_the_same() -> None:
    assert compared(STAGING, "db-1", live(Healthy(), *[answer(X_Store="db-1")] * 3)) == Same("db-1")


def test_different_values_are_refused_with_both_and_with_the_danger() -> None:
    with pytest.raises(PreflightFailed) as raised:
        compared(STAGING, "db-1", live(Healthy(), *[answer(X_Store="db-2")] * 3))
    assert str(raised.value) == (
        'tao and kai do not share what X-Store names: tao answers "db-1" through the staging address '
        '(http://203.0.113.11:80/health), kai "db-2" through the production address (203.0.113.7:80). '
        "Two servers with a database or session store of their own go out of step: what users write to one is missing "
        "on the other after the cutover. Let both use one store, or correct what the header reports."
    )


def test_a_live_server_that_answers_well_without_the_header_is_refused() -> None:
    with pytest.raises(
        PreflightFailed, match=r"^X-Store is missing on the live server: tao answers .*, kai without it "
    ):
        compared(STAGING, "db-1", live(Healthy(), *[GOOD] * 3))


@pytest.mark.parametrize(
    ("polled", "reason"),
    [
        (None, "no server holds the production address"),
        (live(DEAD, *[REFUSED] * 3), f"production does not answer well: {DEAD.reason}"),
        (live(DEAD, GOOD, *[REFUSED] * 3), f"production does not answer well: {DEAD.reason}"),
        (live(Stopped(), REFUSED), "production does not answer well: it gave no good answer"),
    ],
)
def test_production_that_fails_and_never_shows_the_header_does_not_block_the_way_out_of_it(
    polled: Polled | None, reason: str
) -> None:
    assert compared(STAGING, "db-1", polled) == NotCompared(reason)


SICK = replace(answer(X_Store="db-2"), status=503)


@pytest.mark.parametrize(
    "polled",
    [
        live(DEAD, answer(X_Store="db-2"), *[REFUSED] * 3),
        live(DEAD, *[SICK] * 3),
        live(Stopped(), SICK),
        live(Healthy(), SICK, *[answer(X_Store="db-1")] * 3),
    ],
)
def test_an_answer_that_shows_another_value_is_enough_to_refuse_good_or_not(polled: Polled) -> None:
    with pytest.raises(PreflightFailed, match='kai "db-2" through the production address'):
        compared(STAGING, "db-1", polled)


def test_a_sick_answer_that_shows_the_same_value_is_compared() -> None:
    sick = replace(SICK, headers={"x-store": "db-1"})
    assert compared(STAGING, "db-1", live(DEAD, sick, sick, REFUSED)) == Same("db-1")


def test_the_message_stays_below_1000_characters_with_the_longest_of_everything() -> None:
    longest = check(
        sharedHeader="X-" + "s" * 62, path="/" + "p" * 1023, hostHeader="h" * 253, protocol="HTTPS", port=65535
    )
    with pytest.raises(PreflightFailed) as raised:
        compared(longest, "a" * 256, live(Healthy(), answer(X_Store="b" * 256)))
    assert len(str(raised.value)) < 1000 - 3 * 64, "and with names of 64 characters too"
