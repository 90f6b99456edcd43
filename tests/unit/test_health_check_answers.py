"""The handler of the health check and what servers say of themselves: their release, their name, what they share."""

import json
import re
import time
from typing import Any

import pytest

from domain.errors import PreflightFailed, ProductionUnhealthy, StagingUnhealthy
from tests.unit.handler_calls import called, check_of
from tests.unit.misbehaving_servers import (
    OK,
    Server,
    answering,
    by_address,
    closing,
    hanging_after,
    in_turn,
    reading,
    refusing,
    serving,
    status,
    with_headers,
)

# Releases and identities


def test_the_release_must_be_the_expected_one() -> None:
    with serving(answering(with_headers(b"X-Release: 42"))) as server:
        asked = check_of(server, releaseHeader="X-Release")
        for address, error in (("staging", StagingUnhealthy), ("production", ProductionUnhealthy)):
            result = called(asked, address=address, expectedRelease="42")
            assert result["checks"][0]["release"] == "42"
            with pytest.raises(error, match=r'X-Release is "42", expected "43" .*The release was not deployed to tao'):
                called(asked, address=address, expectedRelease="43")
        assert called(asked)["checks"][0]["release"] == "42"


def test_what_staging_answered_is_what_production_must_answer() -> None:
    with serving(answering(with_headers(b"X-Server-Id: tao", b"X-Server-Id: kai"))) as tao, serving(reading) as port:
        checks = [check_of(port, protocol="TCP"), check_of(tao, identityHeader="X-Server-Id")]
        answered = called(*checks)["answered"]
        assert [one["identity"] for one in answered] == [None, "tao"]
        assert called(*checks, address="production", answered=json.loads(json.dumps(answered)))["healthy"]
    with serving(answering(with_headers(b"X-Server-Id: kai"))) as kai, serving(reading) as port:
        checks = [check_of(port, protocol="TCP"), check_of(kai, identityHeader="X-Server-Id")]
        assert called(*checks, address="production")["answered"][1]["identity"] == "kai"
        with pytest.raises(ProductionUnhealthy) as raised:
            called(*checks, address="production", answered=answered)
    assert (
        'X-Server-Id is "kai", expected "tao", which staging answered before the cutover: a cached, proxied or '
        "mis-routed answer" in str(raised.value)
    )


def test_the_identity_is_that_of_the_last_good_probe() -> None:
    first = with_headers(b"X-Server-Id: old")
    with serving(answering(first, status(500), with_headers(b"X-Server-Id: new"))) as server:
        assert called(check_of(server, identityHeader="X-Server-Id"))["answered"][0]["identity"] == "new"


def test_an_identity_that_varies_on_staging_is_unhealthy() -> None:
    turns = in_turn(answering(with_headers(b"X-Id: a")), answering(with_headers(b"X-Id: b")))
    with serving(turns) as server, pytest.raises(StagingUnhealthy, match=r'X-Id varies .*"a", "b"'):
        called(check_of(server, identityHeader="X-Id"))


def test_long_and_unprintable_identities_are_returned_shortened_and_compare_as_they_are() -> None:
    long = with_headers(b"X-Server-Id: " + b"\xff" * 5000 + b"1")
    longer = with_headers(b"X-Server-Id: " + b"\xff" * 5000 + b"2")
    with serving(answering(long)) as server:
        asked = check_of(server, identityHeader="X-Server-Id")
        answered = called(asked)["answered"]
        assert re.fullmatch("[ -~]{256}", answered[0]["identity"])
        assert called(asked, address="production", answered=answered)["healthy"]
    with serving(answering(longer)) as server, pytest.raises(ProductionUnhealthy):
        called(check_of(server, identityHeader="X-Server-Id"), address="production", answered=answered)


# What the servers share


def sharing(staging: bytes, production: bytes | None) -> Any:
    """A server that answers this as staging on 127.0.0.1 and that as production on 127.0.0.2; None closes at once."""
    live = closing if production is None else answering(production)
    return serving(by_address({"127.0.0.1": answering(staging), "127.0.0.2": live}), "0.0.0.0")


def called_with_live(server: Server, **event: Any) -> dict[str, Any]:
    live = {"name": "kai", "instanceId": "i-0aaaaaaaaaaaaaaaa", "publicIp": "127.0.0.2", "privateIp": None}
    return called(check_of(server, sharedHeader="X-Store"), check_of(server), **{"live": live, **event})


DB_1, DB_2 = with_headers(b"X-Store: db-1"), with_headers(b"X-Store: db-2")


def test_servers_that_share_their_store_are_healthy() -> None:
    with sharing(DB_1, DB_1) as server:
        result = called_with_live(server)
    assert [one["shared"] for one in result["checks"]] == [{"compared": True, "value": "db-1"}, None]
    assert [one["shared"] for one in result["answered"]] == ["db-1", None]
    assert server.connections == 9, "the live server is asked for the check that compares, and for no other"


@pytest.mark.parametrize(
    ("production", "message"),
    [(DB_2, 'tao answers "db-1" .*, kai "db-2"'), (OK, "X-Store is missing on the live server")],
)
def test_servers_that_do_not_fail_the_preflight(production: bytes, message: str) -> None:
    with sharing(DB_1, production) as server, pytest.raises(PreflightFailed, match=f"{message}.* go out of step"):
        called_with_live(server)


def test_staging_without_the_header_is_unhealthy() -> None:
    with sharing(OK, DB_1) as server, pytest.raises(StagingUnhealthy, match="X-Store is missing"):
        called_with_live(server)


@pytest.mark.parametrize("production", [None, status(500)])
def test_a_dead_production_is_not_compared_with_and_does_not_block_the_cutover(
    production: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with sharing(DB_1, production) as server:
        result = called_with_live(server)
    shared = result["checks"][0]["shared"]
    assert (result["healthy"], shared["compared"]) == (True, False)
    assert shared["reason"].startswith("production does not answer well: 3 probes in a row failed: ")
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert vars(warning)["reason"] == shared["reason"]


def test_a_production_that_is_sick_and_shows_another_store_is_compared() -> None:
    sick = with_headers(b"X-Store: db-2").replace(b"200 OK", b"503 Busy")
    with sharing(DB_1, sick) as server, pytest.raises(PreflightFailed, match='kai "db-2"'):
        called_with_live(server)


def test_a_dead_production_has_no_start_period_to_wait_for() -> None:
    began = time.monotonic()
    live = {"name": "kai", "instanceId": "i-0", "publicIp": "127.0.0.2", "privateIp": None}
    with sharing(DB_1, None) as server:
        result = called(check_of(server, sharedHeader="X-Store", startPeriodSeconds=5), live=live)
    assert result["checks"][0]["shared"]["compared"] is False
    assert time.monotonic() - began < 4


def test_a_dead_production_is_known_long_before_staging_is_healthy_and_does_not_stop_its_check() -> None:
    live = {"name": "kai", "instanceId": "i-0", "publicIp": "127.0.0.2", "privateIp": None}
    with sharing(DB_1, None) as server:
        result = called(
            check_of(server, sharedHeader="X-Store", unhealthyThresholdCount=1, healthyThresholdCount=5), live=live
        )
    assert (result["healthy"], result["checks"][0]["probeCount"]) == (True, 5)


def test_without_a_live_server_nothing_is_compared() -> None:
    with sharing(DB_1, DB_2) as server:
        shared = called_with_live(server, live=None)["checks"][0]["shared"]
    assert shared == {"compared": False, "reason": "no server holds the production address"}


def test_production_is_not_compared_with_itself() -> None:
    with sharing(DB_1, DB_2) as server:
        result = called_with_live(server, address="production")
    assert result["checks"][0]["shared"] is None
    assert server.connections == 6, "nor is it asked twice"


def test_a_sick_staging_does_not_wait_for_the_live_server() -> None:
    began = time.monotonic()
    behaviour = by_address({"127.0.0.1": answering(status(500)), "127.0.0.2": hanging_after()})
    with serving(behaviour, "0.0.0.0") as server, pytest.raises(StagingUnhealthy):
        called_with_live(server)
    assert time.monotonic() - began < 0.5 + 1


# Public and private addresses


def test_staging_is_asked_through_its_private_address_and_production_never() -> None:
    with sharing(OK, status(404)) as server:
        private = check_of(server, via="private")
        addressed = {"publicIp": "127.0.0.2", "privateIp": "127.0.0.1"}
        result = called(private, addressed={"name": "staging", **addressed})
        assert result["checks"][0]["check"] == f"http://127.0.0.1:{server.port}/health"
        with pytest.raises(ProductionUnhealthy, match="found 404"):
            called(private, addressed={"name": "production", **addressed})
        with pytest.raises(StagingUnhealthy, match="found 404"):
            called(check_of(server), addressed={"name": "staging", **addressed})


def test_the_live_server_is_asked_through_its_private_address_where_staging_is() -> None:
    live = {"name": "kai", "instanceId": "i-0", "publicIp": "192.0.2.1", "privateIp": "127.0.0.2"}
    staging = {"name": "staging", "publicIp": "192.0.2.2", "privateIp": "127.0.0.1"}
    with sharing(DB_1, DB_2) as server, pytest.raises(PreflightFailed, match=r'kai "db-2" .*127\.0\.0\.2'):
        called(check_of(server, sharedHeader="X-Store", via="private"), addressed=staging, live=live)


def test_a_live_server_without_a_private_address_is_not_compared_with() -> None:
    live = {"name": "kai", "instanceId": "i-0", "publicIp": "192.0.2.1", "privateIp": None}
    staging = {"name": "staging", "publicIp": "192.0.2.2", "privateIp": "127.0.0.1"}
    with serving(answering(DB_1)) as server:
        result = called(check_of(server, sharedHeader="X-Store", via="private"), addressed=staging, live=live)
    assert result["checks"][0]["shared"]["compared"] is False


def test_an_address_that_is_not_there_fails_the_preflight() -> None:
    with refusing() as server, pytest.raises(PreflightFailed, match="EC2 shows no privateIp of it"):
        called(check_of(server, via="private"))
