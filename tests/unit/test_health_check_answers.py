"""The handler of the health check, and the servers' answers about themselves: their name and their shared store."""

import json
import time
from contextlib import AbstractContextManager
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
    reading,
    refusing,
    serving,
    status,
    with_headers,
)

# Identities


def test_production_must_answer_what_staging_answered() -> None:
    with serving(answering(with_headers(b"X-Server-Id: tao"))) as tao, serving(reading) as port:
        checks = [check_of(port, protocol="TCP"), check_of(tao, identityHeader="X-Server-Id")]
        answered = called(*checks)["answered"]
        assert [each["identity"] for each in answered] == [None, "tao"]
        assert called(*checks, address="production", answered=json.loads(json.dumps(answered)))["healthy"]
    with serving(answering(with_headers(b"X-Server-Id: kai"))) as kai, serving(reading) as port:
        checks = [check_of(port, protocol="TCP"), check_of(kai, identityHeader="X-Server-Id")]
        assert called(*checks, address="production")["answered"][1]["identity"] == "kai"
        with pytest.raises(ProductionUnhealthy, match='X-Server-Id is "kai", expected "tao", as staging answered'):
            called(*checks, address="production", answered=answered)


def test_the_last_good_probe_decides_the_identity() -> None:
    first = with_headers(b"X-Server-Id: old")
    with serving(answering(first, status(500), with_headers(b"X-Server-Id: new"))) as server:
        assert called(check_of(server, identityHeader="X-Server-Id"))["answered"][0]["identity"] == "new"


# Which release the live server answers with

SEVEN, SIX, NO_RELEASE = (with_headers(*line) for line in ([b"X-Release: 7"], [b"X-Release: 6"], []))
SICK_SEVEN = SEVEN.replace(b"200 OK", b"500 Oops")


def asked(*servers: Server, **settings: Any) -> dict[str, Any]:
    """For a check with a release header of each of these servers, and for one without, which counts for nothing."""
    checks = [check_of(server, releaseHeader="X-Release", **settings) for server in servers]
    return called(*checks, check_of(servers[0]), address="production", asks=True, expectedRelease="7")


@pytest.mark.parametrize(
    ("answers", "has_release", "release", "probes"),
    [
        ((SEVEN,), True, "7", 1),
        ((SICK_SEVEN,), True, "7", 1),
        ((SIX, SEVEN), False, "6", 1),
        ((NO_RELEASE, b"", status(500), SEVEN), True, "7", 4),
        ((NO_RELEASE, b"", SIX, SEVEN), False, "6", 3),
        ((NO_RELEASE, b"", status(500), NO_RELEASE, SEVEN), False, None, 4),
    ],
)
def test_a_live_server_is_asked_for_its_release_until_it_says_one(
    answers: tuple[bytes, ...], has_release: bool, release: str | None, probes: int
) -> None:
    with serving(answering(*answers)) as server:
        result = asked(server, unhealthyThresholdCount=4, healthyThresholdCount=3, bodyContains="well", maxLatencyMs=0)
    about = {"address": "production", "publicIp": "127.0.0.1", "server": "tao"}
    assert result == {"hasRelease": has_release, "release": release, **about}
    assert server.connections == probes


def test_every_check_must_say_the_release_and_one_that_says_another_decides_at_once() -> None:
    with serving(answering(SEVEN)) as new, serving(answering(SIX)) as old, serving(hanging_after()) as silent:
        assert asked(new, new)["hasRelease"]
        began = time.monotonic()
        result = asked(new, old, silent, timeoutSeconds=10)
        assert (result["hasRelease"], result["release"]) == (False, "6")
        assert time.monotonic() - began < 5
        result = asked(new, silent, timeoutSeconds=0.1)
    assert (result["hasRelease"], result["release"]) == (False, None)


# What the servers share

DB_1, DB_2 = with_headers(b"X-Store: db-1"), with_headers(b"X-Store: db-2")
LIVE = {"name": "kai", "instanceId": "i-0aaaaaaaaaaaaaaaa", "publicIp": "127.0.0.2", "privateIp": None}


def sharing(staging: bytes, production: bytes | None) -> AbstractContextManager[Server]:
    """A server that answers this as staging on 127.0.0.1 and that as production on 127.0.0.2; None closes at once."""
    live = closing if production is None else answering(production)
    return serving(by_address({"127.0.0.1": answering(staging), "127.0.0.2": live}), "0.0.0.0")


def called_with_live(server: Server, live: dict[str, Any] | None = LIVE, **settings: Any) -> dict[str, Any]:
    """The result for one check with a shared header and one without."""
    return called(check_of(server, sharedHeader="X-Store", **settings), check_of(server), live=live)


def test_servers_that_share_their_store_are_healthy() -> None:
    with sharing(DB_1, DB_1) as server:
        result = called_with_live(server)
    assert [check["shared"] for check in result["checks"]] == [{"compared": True, "value": "db-1"}, None]
    assert [answered["shared"] for answered in result["answered"]] == ["db-1", None]
    assert server.connections == 9, "the live server is asked for the check that compares, and for no other"


def test_servers_that_do_not_share_their_store_fail_the_preflight() -> None:
    with sharing(DB_1, DB_2) as server, pytest.raises(PreflightFailed, match=r'tao answers "db-1" .*, kai "db-2"'):
        called_with_live(server)


@pytest.mark.parametrize("production", [None, status(500)])
def test_a_dead_live_server_is_not_compared_and_does_not_block_the_cutover(
    production: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Although it is known to be dead long before staging is healthy, and has no start period."""
    began = time.monotonic()
    with sharing(DB_1, production) as server:
        result = called_with_live(
            server, unhealthyThresholdCount=1, healthyThresholdCount=5, startPeriodSeconds=5, deadlineSeconds=20
        )
    assert time.monotonic() - began < 4
    shared = result["checks"][0]["shared"]
    assert (result["healthy"], result["checks"][0]["probeCount"], shared["compared"]) == (True, 5, False)
    assert shared["reason"].startswith("production is not healthy: 1 probe in a row failed: ")
    assert result["warnings"] == [f"X-Store of tao was not compared: {shared['reason']}."]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == result["warnings"]


def test_production_is_not_compared_with_itself() -> None:
    with sharing(DB_1, DB_2) as server:
        result = called(check_of(server, sharedHeader="X-Store"), address="production")
    assert result["checks"][0]["shared"] is None


def test_an_unhealthy_staging_does_not_wait_for_the_live_server() -> None:
    began = time.monotonic()
    behaviour = by_address({"127.0.0.1": answering(status(500)), "127.0.0.2": hanging_after()})
    with serving(behaviour, "0.0.0.0") as server, pytest.raises(StagingUnhealthy):
        called_with_live(server)
    assert time.monotonic() - began < 0.5 + 1


# Public and private addresses


def test_only_staging_is_checked_through_its_private_address() -> None:
    with sharing(OK, status(404)) as server:
        private = check_of(server, via="private")
        ips = {"publicIp": "127.0.0.2", "privateIp": "127.0.0.1"}
        result = called(private, addressed={"name": "staging", **ips})
        assert result["checks"][0]["check"] == f"http://127.0.0.1:{server.port}/health"
        with pytest.raises(ProductionUnhealthy, match="found 404"):
            called(private, addressed={"name": "production", **ips})
        with pytest.raises(StagingUnhealthy, match="found 404"):
            called(check_of(server), addressed={"name": "staging", **ips})


def test_the_live_server_is_compared_through_its_private_address_if_staging_is_checked_privately() -> None:
    live = {**LIVE, "publicIp": "192.0.2.1", "privateIp": "127.0.0.2"}
    staging = {"name": "staging", "publicIp": "192.0.2.2", "privateIp": "127.0.0.1"}
    with sharing(DB_1, DB_2) as server:
        check = check_of(server, sharedHeader="X-Store", via="private")
        with pytest.raises(PreflightFailed, match=r'kai "db-2" .*127\.0\.0\.2'):
            called(check, addressed=staging, live=live)
        result = called(check, addressed=staging, live={**live, "privateIp": None})
    assert result["checks"][0]["shared"]["compared"] is False


def test_an_address_that_is_not_associated_fails_the_preflight() -> None:
    with refusing() as server, pytest.raises(PreflightFailed, match="EC2 shows no private IP for it"):
        called(check_of(server, via="private"))
