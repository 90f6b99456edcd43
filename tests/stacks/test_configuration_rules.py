"""What the keys of a health check allow beside one another, and what a person is told where they do not fit."""

import json

import pytest

from stacks.configuration.pairs import configured_pairs
from tests.stacks.test_configuration import VPC, assert_only_problem, check, pair, problems_of
from tests.stacks.test_configuration_checks import HTTPS, TCP, Bad, checks

BY_A_NAME = "the DNS name for which the server's certificate is verified; give it, or say verifyCertificate: false"


def at_the_deadline(found: str, allowed: str, **keys: object) -> Bad:
    return check(**keys), "pairs.web.healthCheck.deadlineSeconds", found, allowed


def with_tcp(key: str, value: object) -> Bad:
    found = f'{json.dumps(value)} with protocol "TCP"'
    return check(**TCP, **{key: value}), f"pairs.web.healthCheck.{key}", found, 'only with protocol "HTTP'


BROKEN: dict[str, Bad] = {
    "HTTPS without a host": (check(protocol="HTTPS"), "pairs.web.healthCheck.hostHeader", "nothing", BY_A_NAME),
    "HTTPS that is verified without a host": (
        checks({"protocol": "HTTPS", "verifyCertificate": True}),
        "pairs.web.healthCheck[0].hostHeader",
        "nothing",
        BY_A_NAME,
    ),
    "HTTPS with a host that is none": (
        check(protocol="HTTPS", hostHeader="-"),
        "pairs.web.healthCheck.hostHeader",
        '"-"',
        "a DNS name",
    ),
    "HTTP that verifies a certificate": (
        check(verifyCertificate=True),
        "pairs.web.healthCheck.verifyCertificate",
        'true with protocol "HTTP"',
        'only with protocol "HTTPS"',
    ),
    "HTTP that verifies no certificate": (
        check(protocol="HTTP", verifyCertificate=False),
        "pairs.web.healthCheck.verifyCertificate",
        'false with protocol "HTTP"',
        'only with protocol "HTTPS"',
    ),
    "TCP without a port": (
        check(protocol="TCP"),
        "pairs.web.healthCheck.port",
        "nothing",
        "a whole number from 1 to 65535; left out, it is 80 with HTTP, 443 with HTTPS; with TCP it is required",
    ),
    "TCP with a path": with_tcp("path", "/"),
    "TCP with a matcher": with_tcp("matcher", "200"),
    "TCP with a text": with_tcp("bodyContains", "ok"),
    "TCP with a host": with_tcp("hostHeader", "www.example.com"),
    "TCP with a certificate": with_tcp("verifyCertificate", False),
    "TCP with headers": with_tcp("headers", {}),
    "TCP with an identity": with_tcp("identityHeader", "X-Server"),
    "TCP with a release": with_tcp("releaseHeader", "X-Release"),
    "TCP with shared data": with_tcp("sharedHeader", "X-Data"),
    "TCP with a path that is none": with_tcp("path", None),
    "a latency that the timeout comes before": (
        check(maxLatencyMs=2001),
        "pairs.web.healthCheck.maxLatencyMs",
        "2001",
        "at most 2000: timeoutSeconds is 2, and a probe that takes longer has failed",
    ),
    "a latency that a short timeout comes before": (
        check(maxLatencyMs=1001, timeoutSeconds=1),
        "pairs.web.healthCheck.maxLatencyMs",
        "1001",
        "at most 1000: timeoutSeconds is 1",
    ),
    "a deadline too short to call a server healthy": at_the_deadline(
        "19", "at least 20", deadlineSeconds=19, healthyThresholdCount=10
    ),
    "a deadline too short to call a server unhealthy": at_the_deadline(
        "19", "at least 20", deadlineSeconds=19, unhealthyThresholdCount=10
    ),
    "a deadline too short for its interval": at_the_deadline(
        "89",
        "at least 90, or no verdict could be reached (startPeriodSeconds + max(healthyThresholdCount, "
        "unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)); or lower intervalSeconds (30), "
        "healthyThresholdCount (3), unhealthyThresholdCount (3)",
        deadlineSeconds=89,
        intervalSeconds=30,
    ),
    "a deadline within the start period": at_the_deadline(
        "65",
        "at least 66, or no verdict could be reached (startPeriodSeconds + max(healthyThresholdCount, "
        "unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)); or lower startPeriodSeconds (60), "
        "timeoutSeconds (2), healthyThresholdCount (3), unhealthyThresholdCount (3)",
        deadlineSeconds=65,
        startPeriodSeconds=60,
    ),
    "a start period that leaves no time for a probe": at_the_deadline(
        "840", "at least 846", deadlineSeconds=840, startPeriodSeconds=840
    ),
    "probes that take longer than a function runs": at_the_deadline(
        "960, its default here",
        "at most 840: lower timeoutSeconds (120), healthyThresholdCount (4), unhealthyThresholdCount (4); "
        "or give deadlineSeconds, 480 to 840",
        intervalSeconds=10,
        timeoutSeconds=120,
        healthyThresholdCount=4,
        unhealthyThresholdCount=4,
    ),
    "an interval that makes the probes take a little too long": at_the_deadline(
        "843, its default here",
        "at most 840: lower intervalSeconds (281), unhealthyThresholdCount (2); or give deadlineSeconds, 562 to 840",
        intervalSeconds=281,
        healthyThresholdCount=1,
        unhealthyThresholdCount=2,
    ),
    "a start period that makes the default a second too long": at_the_deadline(
        "841, its default here",
        "at most 840: lower startPeriodSeconds (829), timeoutSeconds (2), healthyThresholdCount (3), "
        "unhealthyThresholdCount (3); or give deadlineSeconds, 835 to 840",
        startPeriodSeconds=829,
    ),
    "probes for whose verdict no deadline is long enough": at_the_deadline(
        "1320, its default here",
        "at most 840: lower intervalSeconds (120), timeoutSeconds (120), healthyThresholdCount (10)",
        intervalSeconds=120,
        timeoutSeconds=120,
        healthyThresholdCount=10,
        unhealthyThresholdCount=1,
    ),
    "checks that go different ways": (
        checks({"via": "private"}, TCP, {"via": "private"}),
        "pairs.web.healthCheck[1].via",
        '"public", and pairs.web.healthCheck[0].via is "private"',
        "the same for every check of a pair, because one function runs them",
    ),
    "a bake that is too long behind the check": (
        {"web": pair(bakeSeconds=823)},
        "pairs.web.bakeSeconds",
        "823",
        "at most 822: of 840 seconds, the checks before it may take 12 (the longest deadlineSeconds), and probes after "
        "it 6 (the longest (unhealthyThresholdCount - 1) * max(intervalSeconds, timeoutSeconds) + timeoutSeconds)",
    ),
    "a bake that is too long for the probes after it": (
        {"web": pair(bakeSeconds=789, healthCheck=[{}, {"intervalSeconds": 20, "deadlineSeconds": 60}])},
        "pairs.web.bakeSeconds",
        "789",
        "at most 738: ",
    ),
    "a bake that is too short to fail": (
        {"web": pair(bakeSeconds=5)},
        "pairs.web.bakeSeconds",
        "5",
        "0, or at least 6, or the bake could not fail (the longest unhealthyThresholdCount * max(intervalSeconds, "
        "timeoutSeconds))",
    ),
    "a bake that is too short for the slowest of the checks to fail": (
        {"web": pair(bakeSeconds=59, healthCheck=[{}, {"intervalSeconds": 30, "unhealthyThresholdCount": 2}])},
        "pairs.web.bakeSeconds",
        "59",
        "0, or at least 60, or the bake could not fail",
    ),
    "a bake for which there is no time left": (
        {"web": pair(bakeSeconds=5, healthCheck={"deadlineSeconds": 829})},
        "pairs.web.bakeSeconds",
        "5",
        "0: of 840 seconds, the checks before it may take 829",
    ),
    "a bake that is too long behind the longest of the checks": (
        {"web": pair(bakeSeconds=235, healthCheck=[{}, {"deadlineSeconds": 600}, {}])},
        "pairs.web.bakeSeconds",
        "235",
        "at most 234: of 840 seconds, the checks before it may take 600 (the longest deadlineSeconds)",
    ),
    "a bake behind a check that takes all the time": (
        {"web": pair(bakeSeconds=1, healthCheck={"deadlineSeconds": 840})},
        "pairs.web.bakeSeconds",
        "1",
        "0: of 840 seconds, the checks before it may take 840 (the longest deadlineSeconds)",
    ),
    "a pair that is too long for a plan": (
        checks(*[{"headers": {f"X-{key}": '"' * 1024 for key in range(4)}} for _ in range(8)]),
        "pairs.web",
        " bytes of JSON, its defaults included",
        "at most 65536: fewer checks or alarms, or shorter headers",
    ),
}


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BROKEN.values(), ids=BROKEN.keys())
def test_keys_that_do_not_fit_are_refused_with_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    assert_only_problem(context, path, found, allowed, VPC)


def test_no_deadline_is_offered_where_none_is_long_enough() -> None:
    (problem,) = problems_of(check(timeoutSeconds=120, healthyThresholdCount=10, unhealthyThresholdCount=1))
    assert "or give deadlineSeconds" not in problem


def test_a_pair_may_have_as_many_bytes_as_a_plan_takes_and_not_one_more() -> None:
    def given(length: int) -> dict[str, object]:
        headers = {f"X-{key}": "v" * 1000 for key in range(6)}
        paths = [length // 10] * 9 + [length - length // 10 * 9]
        return checks(*({"headers": headers, "path": "/" + "p" * path} for path in paths))

    empty = len(json.dumps(configured_pairs(given(0))["web"]))
    assert configured_pairs(given(65_536 - empty))
    assert_only_problem(given(65_537 - empty), "pairs.web", "65537 bytes of JSON", "at most 65536")


def test_a_bake_may_take_all_the_time_that_the_longest_check_leaves() -> None:
    shortest = {"timeoutSeconds": 1, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1, "deadlineSeconds": 1}
    assert configured_pairs({"web": pair(bakeSeconds=838, healthCheck=shortest)})
    assert configured_pairs({"web": pair(bakeSeconds=234, healthCheck=[shortest, {"deadlineSeconds": 600}])})


def test_a_bake_may_be_as_short_as_it_takes_to_fail() -> None:
    for least, checks_of_pair in ((6, {}), (60, [{}, {"intervalSeconds": 30, "unhealthyThresholdCount": 2}])):
        assert configured_pairs({"web": pair(bakeSeconds=least, healthCheck=checks_of_pair)})


def test_a_private_check_is_refused_without_a_vpc_and_both_are_named() -> None:
    for context, path in (
        (check(via="private"), "pairs.web.healthCheck.via"),
        (checks({"via": "private"}), "pairs.web.healthCheck[0].via"),
    ):
        assert_only_problem(context, path, '"private", and no context value `vpc`', "beside a `vpc` with subnetIds and")


def test_a_vpc_that_is_wrong_is_the_only_problem_of_a_private_check() -> None:
    assert_only_problem(check(via="private"), "vpc.subnetIds", "null", "a list of 1 to 16", VPC | {"subnetIds": None})


def test_two_pairs_may_go_different_ways() -> None:
    other = {"production": "eipalloc-5e6f7a8b", "staging": "eipalloc-9a9b9c9d"}
    servers = {"servers": {"a": "i-5e6f7a8b", "b": "i-9a9b9c9d"}}
    pairs = {"web": pair(), "api": pair(**other, **servers, healthCheck={"via": "private"})}
    assert_only_problem(pairs, "pairs.api.healthCheck.via", '"private"', "beside a `vpc`")


def test_a_key_that_is_wrong_by_itself_is_reported_once_and_by_nothing_that_follows_from_it() -> None:
    wrong = {"timeoutSeconds": 0, "maxLatencyMs": 5000, "deadlineSeconds": 1}
    assert_only_problem(check(**wrong), "pairs.web.healthCheck.timeoutSeconds", "0", "from 1 to 120")
    assert_only_problem(check(**TCP | {"port": 0}), "pairs.web.healthCheck.port", "0", "from 1 to 65535")
    assert_only_problem(check(**HTTPS | {"protocol": "https"}), "pairs.web.healthCheck.protocol", "https", "HTTPS")
    assert_only_problem(
        checks({"via": "Private"}, {"via": "private"}),
        "pairs.web.healthCheck[0].via",
        '"Private"',
        '"public" or "private"',
        VPC,
    )


def test_a_deadline_that_is_too_long_says_nothing_of_the_bake() -> None:
    context = {"web": pair(bakeSeconds=60, healthCheck={"startPeriodSeconds": 835})}
    assert_only_problem(context, "pairs.web.healthCheck.deadlineSeconds", "847, its default here", "at most 840")


def test_every_problem_of_a_check_is_reported_at_once() -> None:
    problems = problems_of(
        checks(
            {"protocol": "HTTPS", "maxLatencyMs": 2001, "deadlineSeconds": 5, "headers": {"Host": "\n"}},
            {"protocol": "TCP", "path": "/", "via": "private", "alarms": []},
        )
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "pairs.web.healthCheck[0].headers.Host",
        "pairs.web.healthCheck[0].headers.Host",
        "pairs.web.healthCheck[0].hostHeader",
        "pairs.web.healthCheck[0].maxLatencyMs",
        "pairs.web.healthCheck[0].deadlineSeconds",
        "pairs.web.healthCheck[1].alarms",
        "pairs.web.healthCheck[1].port",
        "pairs.web.healthCheck[1].path",
        "pairs.web.healthCheck[1].via",
        "pairs.web.healthCheck[1].via",
    ]
