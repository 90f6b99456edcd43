"""The pure rules of the health check: what is good, and when that is decided."""

from dataclasses import replace

import pytest

from health.check import Check
from health.probe import Probe
from health.verdict import Finding, GoOn, Healthy, Problem, Unhealthy, decide, decide_bake, judge, matches
from tests.unit.checks import BAD, CHECK, GOOD, REFUSED, SLOW, answer, check, failed, findings, production

# What is good


@pytest.mark.parametrize(
    ("matcher", "good", "bad"),
    [
        ("200", [200], [199, 201, 500]),
        ("200-299", [200, 250, 299], [199, 300]),
        ("200,301", [200, 301], [201, 300, 302]),
        ("200,300-302", [200, 300, 301, 302], [201, 299, 303]),
        ("200-202,404", [200, 202, 404], [203, 403]),
    ],
)
def test_a_matcher_means_what_it_means_in_elb(matcher: str, good: list[int], bad: list[int]) -> None:
    assert [code for code in good + bad if matches(matcher, code)] == good


def problem(check: Check, found: Probe) -> Problem | None:
    return judge(check, found, 0).problem


def test_a_good_status_with_an_incomplete_body_is_not_good() -> None:
    found = failed("incomplete", "closed the connection within its body", 200)
    assert problem(CHECK, found) == Problem("incomplete", "200: closed the connection within its body")


def test_a_connection_is_all_that_is_good_with_tcp() -> None:
    assert problem(check(protocol="TCP"), Probe(None, 3)) is None
    assert problem(check(protocol="TCP"), REFUSED) == Problem("refused", "connection refused")


def test_an_answer_may_take_as_long_as_max_latency() -> None:
    quick = check(maxLatencyMs=500)
    assert problem(quick, Probe(200, 500)) is None
    assert problem(quick, Probe(200, 501)) == Problem("slow", "took 501 ms, expected at most 500 ms")
    assert problem(CHECK, Probe(200, 1999)) is None


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (answer(b"all is well"), None),
        (answer("bien s\u00fbr, all is well".encode()), None),
        (answer(b"all is Well"), 'the body lacks "is well", it begins "all is Well"'),
        (answer(b""), 'the body lacks "is well": it is empty'),
        (answer(b"<h1>\r\n\t 502\x1b[2J  </h1>"), 'the body lacks "is well", it begins "<h1> 502?[2J </h1>"'),
        (answer(b"x" * 5000), f'the body lacks "is well", it begins "{"x" * 77}..."'),
        (
            answer(b"\x1f\x8b\x08", Content_Encoding="gzip"),
            'the body lacks "is well": it came encoded (gzip), though that was not asked for',
        ),
    ],
)
def test_the_body_must_contain_the_text(found: Probe, error: str | None) -> None:
    assert problem(check(bodyContains="is well"), found) == (error and Problem("body", error))


def test_the_text_may_be_any_that_utf_8_has() -> None:
    assert problem(check(bodyContains="s\u00fbr"), answer("bien s\u00fbr".encode())) is None
    assert problem(check(bodyContains="s\u00fbr"), answer("bien s\u00fbr".encode("latin-1"))) is not None


RELEASED = replace(check(releaseHeader="X-Release"), expected_release="42")


@pytest.mark.parametrize(
    ("found", "error"),
    [
        (answer(X_Release="42"), None),
        (answer(X_Release=" 42 "), None),
        (answer(X_Release="41"), 'X-Release is "41", expected "42"'),
        (answer(X_Release="42a"), 'X-Release is "42a", expected "42"'),
        (answer(), 'X-Release is missing, expected "42"'),
        (answer(X_Release=""), 'X-Release is missing, expected "42"'),
    ],
)
def test_the_release_must_be_the_expected_one_on_staging_and_on_production(found: Probe, error: str | None) -> None:
    for one in (RELEASED, replace(RELEASED, address="production")):
        assert problem(one, found) == (error and Problem("release", error))


def test_a_release_is_not_compared_where_none_is_expected_or_no_header_is_configured() -> None:
    assert problem(check(releaseHeader="X-Release"), answer()) is None
    assert problem(replace(CHECK, expected_release="42"), answer()) is None


def test_an_answer_of_staging_must_name_the_server() -> None:
    named = check(identityHeader="X-Server-Id")
    assert judge(named, answer(X_Server_Id="tao"), 0).identity == "tao"
    assert problem(named, answer(X_Server_Id="tao")) is None
    error = "X-Server-Id is missing, which names the server that answers"
    assert problem(named, answer()) == Problem("no identity", error)
    assert problem(named, answer(X_Server_Id=" ")) == Problem("no identity", error)


@pytest.mark.parametrize(("found", "is_value"), [(answer(X_Server_Id="kai"), 'is "kai"'), (answer(), "is missing")])
def test_an_answer_of_production_must_name_the_server_that_staging_named(found: Probe, is_value: str) -> None:
    same = production(identity_header="X-Server-Id", expected_identity="tao")
    assert problem(same, answer(X_Server_Id="tao")) is None
    error = f'X-Server-Id {is_value}, expected "tao", which staging answered before the cutover: '
    assert problem(same, found) == Problem("identity", error + "a cached, proxied or mis-routed answer")


def test_identity_is_not_compared_where_staging_was_not_asked() -> None:
    restored = production(identity_header="X-Server-Id", shared_header="X-Store")
    assert problem(restored, answer(X_Server_Id="anybody")) is None
    assert problem(restored, answer()) is None


def test_an_answer_of_staging_must_name_what_the_servers_share() -> None:
    sharing = check(sharedHeader="X-Store")
    assert judge(sharing, answer(X_Store="db-1"), 0).shared == "db-1"
    assert problem(sharing, answer()) == Problem("no shared", "X-Store is missing, which names what the servers share")


def test_of_several_problems_the_one_that_explains_the_others_is_told() -> None:
    picky = replace(
        check(maxLatencyMs=5, bodyContains="ok", releaseHeader="X-Release", identityHeader="X-Id"), expected_release="2"
    )
    kinds = []
    for found in (REFUSED, BAD, GOOD, Probe(200, 1), Probe(200, 1, body=b"ok")):
        seen = problem(picky, found)
        assert seen
        kinds.append(seen.kind)
    assert kinds == ["refused", "status", "slow", "body", "release"]


# When it is decided


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([GOOD], GoOn()),
        ([GOOD, GOOD], GoOn()),
        ([GOOD, GOOD, GOOD], Healthy()),
        ([BAD, BAD, GOOD, GOOD, GOOD], Healthy()),
        ([GOOD, GOOD, BAD, GOOD], GoOn()),
        ([BAD, BAD, GOOD, BAD, BAD], GoOn()),
        ([BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([GOOD, GOOD, BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([REFUSED] * 3, Unhealthy("3 probes in a row failed: connection refused")),
        ([REFUSED, SLOW, SLOW], Unhealthy("3 probes in a row failed: connection refused; no answer within 2 s")),
        (
            [REFUSED, BAD, failed("incomplete", "closed it", 200)],
            Unhealthy("3 probes in a row failed: expected status 200, found connection refused, 500, 200: closed it"),
        ),
    ],
)
def test_enough_probes_in_a_row_decide(probes: list[Probe], verdict: object) -> None:
    assert decide(CHECK, findings(CHECK, probes), next_seconds=1) == verdict


def test_one_probe_decides_where_the_thresholds_are_one() -> None:
    quick = check(healthyThresholdCount=1, unhealthyThresholdCount=1)
    assert decide(quick, findings(quick, [GOOD]), next_seconds=1) == Healthy()
    unhealthy = Unhealthy("1 probe in a row failed: connection refused")
    assert decide(quick, findings(quick, [REFUSED]), next_seconds=1) == unhealthy


def test_the_last_probe_is_one_that_can_be_over_by_the_deadline() -> None:
    assert decide(CHECK, findings(CHECK, [GOOD, BAD]), next_seconds=10) == GoOn()
    assert decide(CHECK, findings(CHECK, [GOOD, BAD]), next_seconds=10.5) == Unhealthy(
        "it kept flapping: in 12 s neither 3 good probes in a row nor 3 bad ones: expected status 200, found 200, 500"
    )


def test_a_verdict_at_the_deadline_is_still_a_verdict() -> None:
    assert decide(CHECK, findings(CHECK, [GOOD] * 3), next_seconds=99) == Healthy()


TAO, KAI = answer(X_Id="tao"), answer(X_Id="kai")


@pytest.mark.parametrize(
    ("probes", "varies"),
    [
        ([TAO, TAO, TAO], False),
        ([KAI, BAD, TAO, TAO, TAO], False),
        ([TAO, KAI, TAO], True),
        ([TAO, TAO, KAI], True),
    ],
)
def test_the_good_probes_of_staging_that_decide_must_all_name_the_same_server(
    probes: list[Probe], varies: bool
) -> None:
    named = check(identityHeader="X-Id")
    verdict = decide(named, findings(named, probes), next_seconds=1)
    assert isinstance(verdict, Unhealthy) == varies
    if isinstance(verdict, Unhealthy):
        assert verdict.reason.startswith('X-Id varies from one good probe to the next: "tao", "kai"')


def test_the_identity_of_production_may_vary_where_it_is_not_compared() -> None:
    named = production(identity_header="X-Id")
    assert decide(named, findings(named, [TAO, KAI, TAO]), next_seconds=1) == Healthy()


# The start period


STARTING = check(startPeriodSeconds=4, deadlineSeconds=60)


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([BAD] * 4, GoOn()),
        ([BAD] * 6, GoOn()),
        (
            [BAD] * 7,
            Unhealthy(
                "3 probes in a row failed, with its start period of 4 s used up: "
                "expected status 200, found 500, 500, 500"
            ),
        ),
        ([BAD] * 6 + [GOOD] * 3, Healthy()),
        ([GOOD, BAD, BAD], GoOn()),
        ([GOOD, BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([BAD, GOOD, BAD, BAD], GoOn()),
        ([BAD, GOOD, BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
        ([GOOD] * 3, Healthy()),
    ],
    ids=lambda value: (
        None if isinstance(value, GoOn | Healthy | Unhealthy) else ",".join(str(one.status) for one in value)
    ),
)
def test_in_the_start_period_a_failure_counts_only_after_the_first_good_probe(
    probes: list[Probe], verdict: object
) -> None:
    assert decide(STARTING, findings(STARTING, probes), next_seconds=1) == verdict


def test_a_probe_that_begins_when_the_start_period_ends_counts() -> None:
    started = check(startPeriodSeconds=4, unhealthyThresholdCount=1)
    assert decide(started, findings(started, [REFUSED] * 4), next_seconds=4) == GoOn()
    assert isinstance(decide(started, findings(started, [REFUSED] * 5), next_seconds=5), Unhealthy)


def test_the_deadline_holds_in_the_start_period_too() -> None:
    slow = check(startPeriodSeconds=12, deadlineSeconds=12)
    assert decide(slow, findings(slow, [REFUSED] * 10), next_seconds=10.5) == Unhealthy(
        "no good probe within 12 s, with its start period of 12 s used up: connection refused"
    )


# The bake


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([GOOD], GoOn()),
        ([BAD, BAD], GoOn()),
        ([BAD, BAD, GOOD, BAD, BAD], GoOn()),
        ([GOOD, BAD, BAD, BAD], Unhealthy("3 probes in a row failed: expected status 200, found 500, 500, 500")),
    ],
)
def test_a_hiccup_is_none_in_a_bake_and_as_many_as_the_threshold_are(probes: list[Probe], verdict: object) -> None:
    assert decide_bake(CHECK, findings(CHECK, probes)) == verdict


def test_a_bake_does_not_care_how_often_a_server_flaps() -> None:
    seen: list[Finding] = findings(CHECK, [GOOD, BAD] * 100)
    assert decide_bake(CHECK, seen) == GoOn()


# While an address is moving

FORMER = answer(X_Server="kai")
NEW = answer(X_Server="tao")
NOWHERE = failed("unreachable", "no connection within 2 s")
MOVED = production(
    identity_header="X-Server",
    expected_identity="tao",
    unhealthy_threshold_count=2,
    moving_seconds=10,
    deadline_seconds=22,
)


@pytest.mark.parametrize("before", [FORMER, NOWHERE, replace(FORMER, status=500)])
def test_what_a_moving_address_leads_to_before_it_has_moved_does_not_count(before: Probe) -> None:
    waited = findings(MOVED, [before] * 5)
    assert decide(MOVED, waited, 5) == GoOn()
    assert decide(MOVED, findings(MOVED, [before] * 5 + [NEW] * 3), 8) == Healthy()


@pytest.mark.parametrize("answered", [replace(NEW, status=500), REFUSED])
def test_what_the_new_server_answers_counts_at_once(answered: Probe) -> None:
    verdict = decide(MOVED, findings(MOVED, [FORMER, answered, answered]), 3)
    assert isinstance(verdict, Unhealthy)
    assert verdict.reason.startswith("2 probes in a row failed")


def test_an_address_that_still_leads_elsewhere_after_that_time_is_unhealthy() -> None:
    assert decide(MOVED, findings(MOVED, [FORMER] * 11), 11) == GoOn()
    assert isinstance(decide(MOVED, findings(MOVED, [FORMER] * 12), 12), Unhealthy)


def test_an_address_that_was_not_moved_leads_where_it_should() -> None:
    still = replace(MOVED, moving_seconds=0)
    assert isinstance(decide(still, findings(still, [FORMER] * 2), 2), Unhealthy)
