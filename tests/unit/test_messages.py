"""What a person reads when a health check fails."""

from dataclasses import replace
from typing import get_args

import pytest

from health.check import Check
from health.deadline import Failure
from health.messages import WHERE_TO_LOOK, alarm_message, bake_message, unhealthy_message
from health.polling import Polled
from health.probe import Probe
from health.verdict import Kind, Unhealthy, decide, found
from tests.unit.checks import BAD, CHECK, GOOD, REFUSED, answer, check, failed, findings, production


def ended(checked: Check, *probes: Probe, reason: str | None = None) -> Polled:
    seen = findings(checked, list(probes))
    return Polled(checked, Unhealthy(found(checked, seen) if reason is None else reason), seen, len(seen), 12.2)


def message(checked: Check, *probes: Probe) -> str:
    return unhealthy_message(ended(checked, *probes))


def test_a_message_says_what_was_asked_what_was_found_and_where_to_look() -> None:
    reason = "3 probes in a row failed: expected status 200, found 500, 500, 500"
    assert unhealthy_message(ended(CHECK, GOOD, BAD, BAD, BAD, reason=reason)) == (
        "tao (i-0bbbbbbbbbbbbbbbb) is not healthy through the staging address, at http://203.0.113.11:80/health: "
        "3 probes in a row failed: expected status 200, found 500, 500, 500 (4 probes in all). "
        "Look at the log of the application on tao."
    )


def test_of_several_checks_the_message_says_how_many_did_not_pass() -> None:
    tcp = check(protocol="TCP", port=5432)
    assert unhealthy_message(ended(tcp, REFUSED), failed=1, checks=3).startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) is not healthy through the staging address, 1 of 3 checks, at "
        "tcp://203.0.113.11:5432: connection refused (1 probe in all). "
    )


def test_a_message_of_a_bake_says_so_and_after_how_many_seconds() -> None:
    assert bake_message(ended(production(), BAD, BAD, BAD, reason="why"), failed=2, checks=2).startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) became unhealthy during the bake, 12 s after it was found healthy, through the "
        "production address, 2 of 2 checks, at http://203.0.113.7:80/health: why (3 probes in all). "
    )


def test_a_message_about_an_alarm_names_the_server_that_still_answers() -> None:
    text = alarm_message(production(), "the alarm X is in ALARM", 7.4)
    assert text.startswith(
        "tao (i-0bbbbbbbbbbbbbbbb) answers well through the production address, at 203.0.113.7, but during the bake, "
        "7 s after it was found healthy, the alarm X is in ALARM. Look at "
    )
    assert len(alarm_message(production(), "x" * 2000, 7.4)) < 1000


def test_a_message_leaves_it_to_the_workflow_to_say_what_was_changed() -> None:
    for one in (CHECK, production()):
        assert f"through the {one.address} address" in message(one, BAD)
        assert "changed" not in message(one, BAD)


@pytest.mark.parametrize(
    ("checked", "probe", "where"),
    [
        (CHECK, REFUSED, "tao was reached and nothing takes connections on its port 80: look whether the application"),
        (
            CHECK,
            failed("unreachable", "no connection within 2 s"),
            "security group and network ACL let the internet in",
        ),
        (check(via="private"), failed("unreachable", "no"), "network ACL let this function's subnets in"),
        (check(protocol="HTTPS", port=443), failed("tls", "TLS: eof"), "speaks HTTPS on port 443"),
        (
            check(protocol="HTTPS", hostHeader="www.example.com:8443"),
            failed("certificate", "certificate: it has expired"),
            "the certificate that the web server on tao sends for www.example.com, and whether it was reloaded",
        ),
        (CHECK, failed("no answer", "no answer within 2 s"), "whether its application hangs"),
        (CHECK, failed("incomplete", "no complete answer", 200), "it begins its answers and does not finish them."),
        (CHECK, Probe(302, 5), "A redirect is not followed"),
        (
            CHECK,
            Probe(302, 5, headers={"location": "https://www.example.com/" + "l" * 200 + "\x1b"}),
            "A redirect is not followed: it leads to https://www.example.com/llll",
        ),
        (CHECK, Probe(401, 5), "wants credentials: give them in headers, or configure a path that needs none."),
        (CHECK, Probe(403, 5), "wants credentials: give them in headers, or configure a path that needs none."),
        (CHECK, Probe(429, 5), "limits the rate of requests: raise intervalSeconds, or exempt the health check."),
        (CHECK, Probe(400, 5, body=b"<h1>Bad\r\n Host</h1>"), 'The answer begins "<h1>Bad Host</h1>".'),
        (
            CHECK,
            Probe(400, 5),
            "accepts a request whose Host header is 203.0.113.11; if it wants a name, configure hostH",
        ),
        (check(hostHeader="www.example.com"), Probe(404, 5), "accepts a request whose Host header is www.example.com."),
        (CHECK, Probe(503, 5), "Look at the log of the application on tao."),
        (
            check(maxLatencyMs=5),
            GOOD,
            "took 10 ms, expected at most 5 ms (1 probe in all). Look at the load of tao and ",
        ),
        (
            check(bodyContains="ok"),
            answer(b"sorry"),
            'the body lacks "ok", it begins "sorry" (1 probe in all). Look at ',
        ),
        (
            replace(check(releaseHeader="X-Release"), expected_release="42"),
            answer(X_Release="41"),
            'X-Release is "41", expected "42" (1 probe in all). The release was not deployed to tao, or its applic',
        ),
        (check(identityHeader="X-Id"), GOOD, "send this header, or take identityHeader out of the configuration."),
        (check(sharedHeader="X-Store"), GOOD, "send this header, or take sharedHeader out of the configuration."),
        (
            production(identity_header="X-Id", expected_identity="tao"),
            answer(X_Id="kai"),
            "Look for a cache or proxy before the application on tao",
        ),
        (check(startPeriodSeconds=5), REFUSED, "If it needs longer to start, raise startPeriodSeconds."),
    ],
)
def test_a_message_says_where_to_look_for_what_the_last_bad_probe_found(
    checked: Check, probe: Probe, where: str
) -> None:
    assert where in message(checked, probe)


def test_it_is_the_last_bad_probe_that_says_where_to_look() -> None:
    assert message(CHECK, REFUSED, BAD, GOOD).endswith("Look at the log of the application on tao.")
    assert "was reached and nothing takes connections" in message(CHECK, BAD, REFUSED, GOOD)


def test_where_every_probe_was_good_and_too_few_fitted_in_the_deadline_is_to_blame() -> None:
    seen = findings(CHECK, [GOOD, GOOD])
    verdict = decide(CHECK, seen, next_seconds=11)
    assert isinstance(verdict, Unhealthy)
    text = unhealthy_message(Polled(CHECK, verdict, seen, 2, 11))
    assert "in 12 s only 2 probes fitted in, all of them good, and it takes 3 in a row (2 probes in all)" in text
    assert text.endswith("Raise deadlineSeconds.")


def test_an_identity_that_varies_is_a_request_id_or_a_load_balancer() -> None:
    named = check(identityHeader="X-Id")
    seen = findings(named, [BAD, *(answer(X_Id=one * 256) for one in "abc")])
    verdict = decide(named, seen, next_seconds=4)
    assert isinstance(verdict, Unhealthy)
    text = unhealthy_message(Polled(named, verdict, seen, 4, 4))
    assert text.endswith(
        "Does this header name the request and not the server, or is there a load balancer behind the address?"
    )
    assert f'"{"c" * 57}..."' in text


def test_a_server_that_had_started_is_not_said_to_need_longer() -> None:
    assert "startPeriodSeconds" not in message(check(startPeriodSeconds=5), GOOD, REFUSED)


def kinds(alias: object) -> set[str]:
    return {kind for one in get_args(alias) for kind in (kinds(one) if get_args(one) else {one})}


def test_there_is_a_place_to_look_for_every_kind_of_problem() -> None:
    assert set(WHERE_TO_LOOK) | {"status"} == kinds(Kind)


LONGEST = replace(
    check(
        protocol="HTTPS",
        port=65535,
        path="/" + "p" * 1023,
        hostHeader="h" * 253,
        matcher="200," * 300 + "200",
        unhealthyThresholdCount=10,
        startPeriodSeconds=1,
        maxLatencyMs=1,
        bodyContains="t" * 1000,
        identityHeader="X-" + "i" * 62,
        releaseHeader="X-" + "r" * 62,
        sharedHeader="X-" + "s" * 62,
    ),
    server="s" * 64,
    instance_id="i-0123456789abcdef0",
    expected_release="r" * 256,
    expected_identity="d" * 256,
)


@pytest.mark.parametrize(
    "probe",
    [
        *[failed(kind, "e" * 240, 404) for kind in get_args(Failure)],
        Probe(404, 1),
        Probe(302, 1, headers={"location": "l" * 1000}),
        Probe(400, 1, body=b"b" * 5_120),
        Probe(200, 120_000),
        Probe(200, 1, body=b"b" * 5_120),
        Probe(200, 1, body=b"t" * 1000),
    ],
)
def test_a_message_stays_below_1000_characters_and_whole_at_its_end_with_the_longest_of_everything(
    probe: Probe,
) -> None:
    seen = findings(LONGEST, [probe] * 10)
    verdict = decide(LONGEST, seen, next_seconds=99)
    assert isinstance(verdict, Unhealthy)
    for one in (LONGEST, replace(LONGEST, address="production")):
        polled = Polled(one, verdict, seen, 99_999, 99_999)
        for text in (
            unhealthy_message(polled, failed=10, checks=10),
            bake_message(polled, failed=10, checks=10),
        ):
            assert len(text) < 1000
            assert text.endswith("raise startPeriodSeconds.")
            assert "99999 probes in all" in text
            assert len(text[text.index("): ") : text.index(" (99999")]) > 100, "and enough of what was found"
