"""The rules of the health check: which probes are good, and which probes decide."""

from dataclasses import replace

import pytest

from health.check import Check
from health.result import Probe
from health.verdict import Healthy, Unhealthy, decide, decide_bake, judge, matches
from tests.unit.checks import (
    BAD,
    CHECK,
    GOOD,
    REFUSED,
    SLOW,
    answer,
    check,
    failed,
    findings,
    production,
)

# What is good


@pytest.mark.parametrize(
    ("matcher", "good", "bad"),
    [
        ("200", [200], [199, 201, 500]),
        ("200-299", [200, 250, 299], [199, 300]),
        ("200,301", [200, 301], [201, 300, 302]),
        ("200-202,404", [200, 202, 404], [203, 403]),
    ],
)
def test_a_matcher_has_the_meaning_that_elb_gives_it(matcher: str, good: list[int], bad: list[int]) -> None:
    assert [code for code in good + bad if matches(matcher, code)] == good


def problem(check: Check, probe: Probe) -> str | None:
    """Its kind and text."""
    judged = judge(check, probe, 0).problem
    return f"{judged.kind}: {judged.text}" if judged else None


QUICK = check(maxLatencyMs=500)
WELL = check(bodyContains="is well")
SURE = check(bodyContains="s\u00fbr")
RELEASED = check(releaseHeader="X-Release", expected_release="42")
NAMED = check(identityHeader="X-Server-Id")
SAME = production(identity_header="X-Server-Id", expected_identity="tao")
RESTORED = production(identity_header="X-Server-Id", shared_header="X-Store")
SHARING = check(sharedHeader="X-Store")
TCP = check(protocol="TCP", path=None, matcher=None)
LACKS = 'body: the body lacks "is well"'
ENCODED = ': it is encoded ("gzip"), although the probe asked for no encoding'
OTHER = ", as staging answered before the cutover: the answer is cached, proxied or misrouted"


@pytest.mark.parametrize(
    ("check", "probe", "expected"),
    [
        (CHECK, GOOD, None),
        (CHECK, BAD, "status: 500"),
        (CHECK, failed("incomplete", "closed it", 200), "incomplete: 200: closed it"),
        (TCP, Probe(None, 3), None),
        (TCP, REFUSED, "refused: connection refused"),
        (QUICK, Probe(200, 500), None),
        (QUICK, Probe(200, 501), "slow: took 501 ms, expected at most 500 ms"),
        (WELL, answer("bien s\u00fbr, all is well".encode()), None),
        (
            WELL,
            answer(b"all is Well", Content_Type="text/plain; charset=utf-8"),
            f"{LACKS}: it is 11 bytes of text/plain",
        ),
        (WELL, answer(b"all is Well"), f"{LACKS}: it is 11 bytes without a Content-Type"),
        (WELL, answer(b""), f"{LACKS}: it is empty"),
        (
            WELL,
            answer(b"x" * 5_120, Content_Type="a/" + "b" * 99),
            f"{LACKS}: it is at least 5120 bytes of a/{'b' * 35}...",
        ),
        (WELL, answer(b"\x1f\x8b\x08", Content_Encoding="gzip"), LACKS + ENCODED),
        (SURE, answer("bien s\u00fbr".encode()), None),
        (
            SURE,
            answer("bien s\u00fbr".encode("latin-1")),
            'body: the body lacks "s?r": it is 8 bytes without a Content-Type',
        ),
        (RELEASED, answer(X_Release=" 42 "), None),
        (RELEASED, answer(X_Release="42a"), 'release: X-Release is "42a", expected "42"'),
        (RELEASED, answer(X_Release=""), 'release: X-Release is missing, expected "42"'),
        (replace(RELEASED, address="production"), answer(), 'release: X-Release is missing, expected "42"'),
        (check(releaseHeader="X-Release"), answer(), None),
        (check(expected_release="42"), answer(), None),
        (NAMED, answer(X_Server_Id="tao"), None),
        (NAMED, answer(X_Server_Id=" "), "no identity: X-Server-Id is missing; it names the server that answers"),
        (SAME, answer(X_Server_Id="tao"), None),
        (SAME, answer(X_Server_Id="kai"), f'identity: X-Server-Id is "kai", expected "tao"{OTHER}'),
        (SAME, answer(), f'identity: X-Server-Id is missing, expected "tao"{OTHER}'),
        (RESTORED, answer(X_Server_Id="anyone"), None),
        (RESTORED, answer(), None),
        (SHARING, answer(X_Store="db-1"), None),
        (SHARING, answer(), "no shared: X-Store is missing; it names what the servers share"),
    ],
)
def test_a_probe_is_good_or_reports_what_was_found_and_expected(
    check: Check, probe: Probe, expected: str | None
) -> None:
    assert problem(check, probe) == expected


def test_the_problem_that_explains_the_others_is_reported() -> None:
    picky = check(
        maxLatencyMs=5, bodyContains="ok", releaseHeader="X-Release", identityHeader="X-Id", expected_release="2"
    )
    probes = (REFUSED, BAD, GOOD, Probe(200, 1), Probe(200, 1, body=b"ok"))
    kinds = [str(problem(picky, probe)).partition(":")[0] for probe in probes]
    assert kinds == ["refused", "status", "slow", "body", "release"]


# When it is decided

INCOMPLETE = failed("incomplete", "closed it", 200)
FOUND = "3 probes in a row failed: expected status 200, found"
FAILED_3 = Unhealthy(f"{FOUND} 500, 500, 500")
ONE = check(healthyThresholdCount=1, unhealthyThresholdCount=1)
NAMING = check(identityHeader="X-Id")
TAO, KAI = answer(X_Id="tao"), answer(X_Id="kai")
VARIES = Unhealthy('X-Id varies from one good probe to the next: "tao", "kai"', "identities")


@pytest.mark.parametrize(
    ("check", "probes", "verdict"),
    [
        (CHECK, [GOOD, GOOD], None),
        (CHECK, [GOOD, GOOD, GOOD], Healthy()),
        (CHECK, [BAD, BAD, GOOD, GOOD, GOOD], Healthy()),
        (CHECK, [GOOD, GOOD, BAD, GOOD], None),
        (CHECK, [BAD, BAD, GOOD, BAD, BAD], None),
        (CHECK, [GOOD, GOOD, BAD, BAD, BAD], FAILED_3),
        (CHECK, [REFUSED, SLOW, SLOW], Unhealthy("3 probes in a row failed: connection refused; no answer within 2 s")),
        (CHECK, [REFUSED, BAD, INCOMPLETE], Unhealthy(f"{FOUND} connection refused, 500, 200: closed it")),
        (ONE, [GOOD], Healthy()),
        (ONE, [REFUSED], Unhealthy("1 probe in a row failed: connection refused")),
        (NAMING, [KAI, BAD, TAO, TAO, TAO], Healthy()),
        (NAMING, [TAO, TAO, KAI], VARIES),
        (production(identity_header="X-Id"), [TAO, KAI, TAO], Healthy()),
    ],
)
def test_enough_probes_in_a_row_of_one_server_decide(check: Check, probes: list[Probe], verdict: object) -> None:
    assert decide(check, findings(check, probes), next_seconds=1) == verdict


def test_the_last_probe_can_end_by_the_deadline() -> None:
    assert decide(CHECK, findings(CHECK, [GOOD, BAD]), next_seconds=10) is None
    assert decide(CHECK, findings(CHECK, [GOOD, BAD]), next_seconds=10.5) == Unhealthy(
        "it kept flapping: neither 3 good nor 3 bad probes came in a row within 12 s: expected status 200, found "
        "200, 500"
    )
    assert decide(CHECK, findings(CHECK, [GOOD] * 3), next_seconds=99) == Healthy()


# The start period

USED_UP = " (its start period of 4 s is over): expected status 200, found 500, 500, 500"


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [
        ([BAD] * 6, None), ([BAD] * 7, Unhealthy(f"3 probes in a row failed{USED_UP}")),
        ([BAD] * 6 + [GOOD] * 3, Healthy()), ([GOOD, BAD, BAD], None), ([GOOD, BAD, BAD, BAD], FAILED_3),
        ([BAD, GOOD, BAD, BAD, BAD], FAILED_3),
    ],
)  # fmt: skip
def test_in_the_start_period_a_failure_counts_after_the_first_good_probe(probes: list[Probe], verdict: object) -> None:
    starting = check(startPeriodSeconds=4, deadlineSeconds=60)
    assert decide(starting, findings(starting, probes), next_seconds=1) == verdict


def test_the_deadline_holds_in_the_start_period_too() -> None:
    slow = check(startPeriodSeconds=12, deadlineSeconds=12)
    assert decide(slow, findings(slow, [REFUSED] * 10), next_seconds=10.5) == Unhealthy(
        "no good probe within 12 s (its start period of 12 s is over): connection refused"
    )


# The bake


@pytest.mark.parametrize(
    ("probes", "verdict"),
    [([GOOD], None), ([BAD, BAD], None), ([GOOD, BAD] * 100, None), ([GOOD, BAD, BAD, BAD], FAILED_3)],
)
def test_a_bake_tolerates_fewer_failures_in_a_row_than_the_threshold(probes: list[Probe], verdict: object) -> None:
    assert decide_bake(CHECK, findings(CHECK, probes)) == verdict


# While an address is moving

FORMER = answer(X_Server="kai")
NEW = answer(X_Server="tao")
NOWHERE = failed("unreachable", "no connection within 2 s")
MOVED = production(identity_header="X-Server", expected_identity="tao", moving_seconds=10, deadline_seconds=22)


@pytest.mark.parametrize("before", [FORMER, NOWHERE, replace(FORMER, status=500)])
def test_failures_and_answers_of_the_former_server_do_not_count_while_the_address_moves(before: Probe) -> None:
    assert decide(MOVED, findings(MOVED, [before] * 12), 12) is None
    assert decide(MOVED, findings(MOVED, [before] * 5 + [NEW] * 3), 8) == Healthy()


@pytest.mark.parametrize("answered", [replace(NEW, status=500), REFUSED])
def test_an_answer_of_the_new_server_counts_at_once(answered: Probe) -> None:
    verdict = decide(MOVED, findings(MOVED, [FORMER, *[answered] * 3]), 4)
    assert isinstance(verdict, Unhealthy)
    assert verdict.reason.startswith("3 probes in a row failed")


@pytest.mark.parametrize(("moving_seconds", "probes"), [(10, 13), (0, 3)])
def test_an_address_that_has_not_moved_in_time_is_unhealthy(moving_seconds: float, probes: int) -> None:
    moved = replace(MOVED, moving_seconds=moving_seconds)
    assert isinstance(decide(moved, findings(moved, [FORMER] * probes), probes), Unhealthy)
