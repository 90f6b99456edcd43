"""Whether two servers share their store, from the answers of both."""

from dataclasses import replace

import pytest

from domain.errors import PreflightFailed
from health.check import Check, live_checks
from health.messages import compared
from health.polling import Polled
from health.result import Probe
from health.verdict import Healthy, Unhealthy
from tests.unit.checks import GOOD, KAI, REFUSED, answer, check, findings, settings

DB_1, DB_2 = answer(X_Store="db-1"), answer(X_Store="db-2")
DEAD = Unhealthy("3 probes in a row failed: connection refused")
LIVE = live_checks([settings(sharedHeader="X-Store")], KAI)[0]


def polled(check: Check, verdict: Healthy | Unhealthy | None, *probes: Probe) -> Polled:
    return Polled(check, verdict, findings(check, list(probes)), len(probes))


def live(verdict: Healthy | Unhealthy | None, *probes: Probe) -> Polled:
    return polled(LIVE, verdict, *probes)


STAGING = polled(check(sharedHeader="X-Store"), Healthy(), DB_1)


def test_a_live_server_with_an_address_gets_the_checks_without_a_start_period() -> None:
    both = [settings(), settings(sharedHeader="X-Store", startPeriodSeconds=5)]
    assert {number: each.start_period_seconds for number, each in live_checks(both, KAI).items()} == {0: 0, 1: 0}
    assert live_checks(both, replace(KAI, public_ip=None)) == live_checks(both, None) == {}


@pytest.mark.parametrize(
    "production", [live(Healthy(), DB_1, DB_1), live(DEAD, replace(DB_1, status=503), REFUSED)], ids=["good", "bad"]
)
def test_servers_with_the_same_value_pass(production: Polled) -> None:
    assert compared(STAGING, production) == {"compared": True, "value": "db-1"}


def test_different_values_are_refused_with_both_values_and_the_danger() -> None:
    with pytest.raises(PreflightFailed) as raised:
        compared(STAGING, live(Healthy(), DB_2))
    assert str(raised.value) == (
        'tao and kai do not share what X-Store names: tao answers "db-1" through the staging address '
        '(http://203.0.113.11:80/health), kai "db-2" through the production address (203.0.113.7:80). '
        "If each server has its own database or session store, what users write to one server is missing on the other "
        "after the cutover. Let both use one store, or correct what the header reports."
    )


BAD_DB_2 = replace(DB_2, status=503)


@pytest.mark.parametrize(
    "production",
    [live(DEAD, DB_2, REFUSED), live(DEAD, BAD_DB_2), live(None, BAD_DB_2), live(Healthy(), BAD_DB_2, DB_1)],
)
def test_one_answer_with_another_value_refuses_the_cutover_even_if_the_answer_is_bad(production: Polled) -> None:
    with pytest.raises(PreflightFailed, match='kai "db-2" through the production address'):
        compared(STAGING, production)


def test_a_healthy_live_server_without_the_header_is_refused() -> None:
    message = r"^X-Store is missing on the live server: tao answers .*, kai without it "
    with pytest.raises(PreflightFailed, match=message):
        compared(STAGING, live(Healthy(), GOOD))


@pytest.mark.parametrize(
    ("production", "reason"),
    [
        (None, "the live server was not asked"),
        (live(DEAD, REFUSED), f"production is not healthy: {DEAD.reason}"),
        (live(DEAD, GOOD, REFUSED), f"production is not healthy: {DEAD.reason}"),
        (live(None, REFUSED), "production is not healthy: it gave no good answer"),
    ],
)
def test_dead_production_without_the_header_does_not_block_a_cutover(production: Polled | None, reason: str) -> None:
    assert compared(STAGING, production) == {"compared": False, "reason": reason}


def test_the_message_stays_below_1000_characters_with_the_longest_of_everything() -> None:
    longest = check(
        sharedHeader="X-" + "s" * 62, path="/" + "p" * 1023, hostHeader="h" * 253, protocol="HTTPS", port=65535
    )
    staging = polled(longest, Healthy(), replace(GOOD, headers={"x-" + "s" * 62: "a" * 256}))
    with pytest.raises(PreflightFailed) as raised:
        compared(staging, live(Healthy(), answer(X_Store="b" * 256)))
    assert len(str(raised.value)) < 1000 - 3 * 64, "and with names of 64 characters too"
