"""The handler of the health check: certificates that expire soon, or are out of date, on either server."""

import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import StagingUnhealthy
from health.messages import expiring
from tests.unit.certificates import Authority, self_signed
from tests.unit.checks import check
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Behaviour,
    Connection,
    Server,
    answering,
    by_address,
    closing,
    hanging_after,
    over_tls,
    reading,
    serving,
    silent,
    status,
)
from tests.unit.test_health_warnings import LIVE

WWW = "localhost"


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    return Authority().trusted(tmp_path, monkeypatch)


def both(idle: Behaviour, live: Behaviour) -> AbstractContextManager[Server]:
    """Staging on 127.0.0.1, and production on 127.0.0.2."""
    return serving(by_address({"127.0.0.1": idle, "127.0.0.2": live}), "0.0.0.0")


def https(server: Server, **settings: Any) -> dict[str, Any]:
    return check_of(server, **{"protocol": "HTTPS", "hostHeader": WWW, "timeoutSeconds": 2, **settings})


def day(days: float) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


@pytest.mark.parametrize("verified", [True, False])
def test_certificates_of_both_servers_that_expire_soon_are_a_warning_and_a_reason(
    verified: bool, ca: Authority
) -> None:
    idle = over_tls(ca.certified_below((-9, 3), WWW, ends=1), answering(OK))
    live = over_tls(ca.certified(WWW, begins=-9, ends=-2), answering(OK))
    with both(idle, live) as server:
        result = called(https(server, verifyCertificate=verified), live=LIVE)
    at = [f"https://127.0.0.{number}:{server.port}" for number in (1, 2)]
    assert result["soon"] == [
        f"The certificate of tao (localhost) at {at[0]} expires in 1 day, on {day(1)}. "
        "Renew it, and reload the web server.",
        f"A certificate above that of tao (R11) at {at[0]} expires in 3 days, on {day(3)}. "
        "Replace what the server sends after its own certificate.",
        f"The certificate of kai (localhost) at {at[1]} expired on {day(-2)}. Renew it, and reload the web server.",
    ]
    assert result["warnings"] == result["soon"]


@pytest.mark.parametrize(("days", "warned"), [(None, 1), (14, 1), (13, 0), (0, 0)])
def test_a_certificate_counts_within_the_configured_days(days: int | None, warned: int, ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW, ends=13.5), answering(OK))) as server:
        result = called(https(server), certificateExpiryDays=days)
    assert len(result["soon"]) == warned


def test_a_certificate_that_several_checks_see_is_reported_once(ca: Authority) -> None:
    certified = over_tls(ca.certified(WWW), answering(OK))
    with both(certified, certified) as server:
        result = called(https(server), https(server, path="/"), check_of(server, protocol="TCP"), live=LIVE)
    assert len(result["soon"]) == 2


def test_without_a_live_server_nobody_else_is_asked(ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW, ends=99), answering(OK))) as server:
        assert called(https(server))["warnings"] == []
    assert server.connections == 3


def test_the_live_server_gets_one_handshake_at_the_address_that_its_check_uses(ca: Authority) -> None:
    live = {**LIVE, "publicIp": "192.0.2.1", "privateIp": "127.0.0.2"}
    staging = {"name": "staging", "publicIp": "192.0.2.2", "privateIp": "127.0.0.1"}
    certified = over_tls(ca.certified(WWW), answering(OK))
    with both(certified, certified) as server:
        result = called(https(server, via="private"), addressed=staging, live=live)
        assert ["kai" in sentence for sentence in result["soon"]] == [False, True]
        assert (server.connections, len(list(filter(None, server.requests)))) == (4, 3)
        result = called(https(server, via="private"), addressed=staging, live={**live, "privateIp": None})
    assert ["kai" in sentence for sentence in result["soon"]] == [False]


@pytest.mark.parametrize("live", [closing, silent, hanging_after(), answering(status(500))])
def test_a_live_server_without_tls_neither_delays_nor_fails_the_check(live: Behaviour, ca: Authority) -> None:
    began = time.monotonic()
    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), live) as server:
        result = called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        assert time.monotonic() - began < 1.5
    assert (result["healthy"], result["warnings"], result["soon"]) == (True, [], [])


def test_a_live_server_that_is_slower_than_a_quick_check_is_waited_for(ca: Authority) -> None:
    def late(connection: Connection) -> None:
        connection.pause(0.25)
        over_tls(ca.certified(WWW), answering(OK))(connection)

    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), late) as server:
        result = called(https(server, healthyThresholdCount=1), live=LIVE)
    assert ["kai" in sentence for sentence in result["soon"]] == [True]


def test_the_end_of_the_check_ends_the_handshake_with_the_live_server(ca: Authority) -> None:
    with both(over_tls(ca.certified(WWW, ends=99), answering(OK)), reading) as server:
        called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        ended = time.monotonic()
        while len(server.requests) < 4 and time.monotonic() - ended < 2:
            time.sleep(0.02)
        assert len(server.requests) == 4, "the live server has read to the end of its connection"


def test_a_failed_check_does_not_wait_for_the_live_server(ca: Authority) -> None:
    began = time.monotonic()
    with both(over_tls(ca.certified(WWW), answering(status(500))), silent) as server:
        with pytest.raises(StagingUnhealthy, match="found 500, 500, 500"):
            called(https(server, timeoutSeconds=10, deadlineSeconds=60), live=LIVE)
        assert time.monotonic() - began < 2


def test_the_names_that_a_server_sends_are_printable_and_short(ca: Authority) -> None:
    issuer = "\x1b]0;<!here>\u202e" + "R" * 50
    with serving(over_tls(ca.certified_below((-9, 3), WWW, ends=99, issuer=issuer), answering(OK))) as server:
        (sentence,) = called(https(server))["soon"]
    assert "(?]0;\\x3c!here>?RRRR" in sentence
    assert "R...)" in sentence


def test_a_self_signed_certificate_is_reported_if_any_certificate_is_accepted() -> None:
    with serving(over_tls(self_signed(), answering(OK))) as server:
        result = called(https(server, verifyCertificate=False), certificateExpiryDays=365_000)
    assert [sentence[:24] for sentence in result["soon"]] == ["The certificate of tao ("]


def test_production_has_no_such_warnings(ca: Authority) -> None:
    with serving(over_tls(ca.certified(WWW), answering(OK))) as server:
        result = called(https(server), address="production")
    assert (result["warnings"], "soon" in result) == ([], False)


@pytest.mark.parametrize(("verified", "reasons"), [(True, []), (False, ["tao", "kai"])])
def test_an_expired_certificate_that_no_client_needs_is_a_reason_only_if_nothing_is_verified(
    verified: bool, reasons: list[str], ca: Authority
) -> None:
    """As in the chains of Let's Encrypt with a cross-signed root: every client ignores it, and passes."""
    certified = over_tls(ca.cross_signed(WWW), answering(OK))
    with both(certified, certified) as server:
        result = called(https(server, verifyCertificate=verified), live=LIVE)
    assert [sentence.split(" (")[0] for sentence in result["soon"]] == [
        f"A certificate above that of {name}" for name in reasons
    ]


def test_of_a_live_server_whose_certificate_is_refused_all_that_it_sends_is_seen(ca: Authority) -> None:
    good, refused = (over_tls(ca.cross_signed(WWW, begins=-9, ends=ends), answering(OK)) for ends in (99, -2))
    with both(good, refused) as server:
        above, own = called(https(server), live=LIVE)["soon"]
    assert (day(-2) in own, day(-9) in above) == (True, True)


def test_an_expired_certificate_above_the_live_servers_is_reported(ca: Authority) -> None:
    good, refused = ca.certified(WWW, ends=99), ca.certified_below((-9, -1), WWW, ends=99)
    with both(over_tls(good, answering(OK)), over_tls(refused, answering(OK))) as server:
        (sentence,) = called(https(server), live=LIVE)["soon"]
    which = f"A certificate above that of kai (R11) at https://127.0.0.2:{server.port}"
    assert sentence == f"{which} expired on {day(-1)}. Replace what the server sends after its own certificate."


def test_a_live_certificate_that_is_not_yet_valid_is_reported(ca: Authority) -> None:
    good, early = (over_tls(ca.certified(WWW, begins=begins, ends=99), answering(OK)) for begins in (-2, 2))
    with both(good, early) as server:
        (sentence,) = called(https(server), live=LIVE)["soon"]
    which = f"The certificate of kai (localhost) at https://127.0.0.2:{server.port}"
    assert sentence == f"{which} is not valid before {day(2)}. Renew it, and reload the web server."


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_certificate_of_a_live_server_that_wants_one_of_the_client_is_seen(
    version: ssl.TLSVersion, ca: Authority, tmp_path: Path
) -> None:
    good, context = over_tls(ca.certified(WWW, ends=99), answering(OK)), ca.certified(WWW)
    context.maximum_version, context.verify_mode = version, ssl.CERT_REQUIRED
    context.load_verify_locations(str(tmp_path / "ca.pem"))
    with both(good, over_tls(context, answering(OK))) as server:
        result = called(https(server), live=LIVE)
    assert ["kai" in sentence for sentence in result["soon"]] == [True]


def test_20_checks_of_two_silent_or_expiring_servers_take_half_a_second(ca: Authority) -> None:
    with both(over_tls(ca.certified(WWW), answering(OK)), silent) as server:
        began = time.monotonic()
        checks = [https(server, path=f"/{number}", healthyThresholdCount=1) for number in range(20)]
        assert len(called(*checks, live=LIVE)["soon"]) == 1
        assert time.monotonic() - began < 2


NOON = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
HOUR = 3600


@pytest.fixture(params=["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def _anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as local:
        local.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("begins", "ends", "when"),
    [
        (-HOUR, -1, "expired on 2026-12-01"),
        (-HOUR, 0, "expired on 2026-12-01"),
        (-HOUR, 1, "expires today, on 2026-12-01"),
        (-HOUR, 11.9 * HOUR, "expires today, on 2026-12-01"),
        (-HOUR, 12 * HOUR, "expires in 1 day, on 2026-12-02"),
        (-HOUR, 36 * HOUR, "expires in 2 days, on 2026-12-03"),
        (-HOUR, 14 * 24 * HOUR, "expires in 14 days, on 2026-12-15"),
        (-HOUR, 14 * 24 * HOUR + 1, None),
        (0, 99 * 24 * HOUR, None),
        (1, 99 * 24 * HOUR, "is not valid before 2026-12-01"),
        (36 * HOUR, 48 * HOUR, "is not valid before 2026-12-03"),
    ],
)
@pytest.mark.usefixtures("_anywhere")
def test_a_certificate_is_out_of_date_to_the_second_and_its_date_is_in_utc(
    begins: float, ends: float, when: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOON)
    https = check(protocol="HTTPS", port=443)
    sentences = list(expiring(https, 14, ((NOON + ends, NOON + begins, '"a.example"'),)))
    which = "The certificate of tao (a.example) at https://203.0.113.11:443"
    assert sentences == ([f"{which} {when}. Renew it, and reload the web server."] if when else [])
