"""What a person may write under `healthCheck` of a pair, and what they are told when it is wrong."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stacks.configuration.pairs import configured_pairs
from tests.stacks.test_configuration import VPC, assert_only_problem, check, pair

CODES, URL_PATH = "status codes from 200 to 499", 'one "/" and then at most 1023 printable ASCII characters'
CHECK_KEYS = "an object, or a list of 1 to 10 objects, with the keys protocol, port, path, matcher, "
TCP = {"protocol": "TCP", "port": 22}
HTTPS = {"protocol": "HTTPS", "hostHeader": "www.example.com"}


def configured(**keys: object) -> dict[str, Any]:
    """The one check, normalized."""
    (found,) = configured_pairs(check(**keys), vpc=VPC)["web"]["healthCheck"]
    return dict(found)


def checks(*given: Mapping[str, object]) -> dict[str, object]:
    return {"web": pair(healthCheck=list(given))}


def test_what_is_given_stands_and_the_rest_has_its_defaults() -> None:
    given = {"path": "/health?deep=1", "matcher": "200-299,301", "port": 8080}
    assert configured(**given) == configured() | given


def test_a_list_of_checks_stays_in_its_order_and_each_has_its_defaults() -> None:
    pairs = configured_pairs(checks({"path": "/b"}, {"path": "/a"}, TCP))
    assert pairs["web"]["healthCheck"] == [configured(path="/b"), configured(path="/a"), configured(**TCP)]


def test_one_object_is_a_list_of_one_and_ten_are_the_most() -> None:
    assert configured_pairs(check(port=81)) == configured_pairs(checks({"port": 81}))
    assert len(configured_pairs(checks(*[{}] * 10))["web"]["healthCheck"]) == 10


@pytest.mark.parametrize(("given", "port"), [({}, 443), ({"port": 8443}, 8443)])
def test_https_is_checked_on_443_unless_a_port_is_given(given: dict[str, object], port: int) -> None:
    assert configured(**HTTPS, **given)["port"] == port


def test_https_verifies_the_certificate_unless_told_otherwise() -> None:
    assert configured(**HTTPS)["verifyCertificate"] is True
    assert configured(**HTTPS, verifyCertificate=False)["verifyCertificate"] is False
    assert configured(protocol="HTTPS", verifyCertificate=False) == configured() | {
        "protocol": "HTTPS",
        "port": 443,
        "verifyCertificate": False,
    }


def test_a_tcp_check_has_its_port_its_way_and_its_times_and_nothing_else() -> None:
    assert configured(**TCP) == {
        "protocol": "TCP",
        "port": 22,
        "via": "public",
        "intervalSeconds": 1,
        "timeoutSeconds": 2,
        "healthyThresholdCount": 3,
        "unhealthyThresholdCount": 3,
        "startPeriodSeconds": 0,
        "deadlineSeconds": 12,
    }


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"port": 1, "intervalSeconds": 1, "timeoutSeconds": 1}, id="lowest"),
        pytest.param({"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}, id="lowest thresholds"),
        pytest.param({"port": 65535, "path": "/" + "x" * 1023, "matcher": "200-499"}, id="highest"),
        pytest.param({"healthyThresholdCount": 10, "unhealthyThresholdCount": 10}, id="highest thresholds"),
        pytest.param(
            {"intervalSeconds": 300, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1}, id="longest interval"
        ),
        pytest.param(
            {"timeoutSeconds": 120, "healthyThresholdCount": 3, "unhealthyThresholdCount": 4},
            id="longest timeout and deadline",
        ),
        pytest.param({"matcher": "200,202,301-301,400-499"}, id="codes and ranges"),
        pytest.param({"bodyContains": "x"}, id="shortest text"),
        pytest.param({"bodyContains": "é" * 255}, id="longest text"),
        pytest.param({"bodyContains": ' "ready": true '}, id="a text with spaces and quotes"),
        pytest.param({"maxLatencyMs": 1}, id="lowest latency"),
        pytest.param({"maxLatencyMs": 2000}, id="a latency of the whole timeout"),
        pytest.param(
            {"maxLatencyMs": 120_000, "timeoutSeconds": 120, "healthyThresholdCount": 1}, id="highest latency"
        ),
        pytest.param({"via": "public"}, id="public"),
        pytest.param({"via": "private"}, id="private"),
        pytest.param(
            {
                "startPeriodSeconds": 839,
                "deadlineSeconds": 840,
                "timeoutSeconds": 1,
                "healthyThresholdCount": 1,
                "unhealthyThresholdCount": 1,
            },
            id="longest start that leaves time for a probe",
        ),
        pytest.param({"startPeriodSeconds": 828}, id="longest start with the other defaults"),
        pytest.param(TCP | {"maxLatencyMs": 100, "via": "private", "startPeriodSeconds": 5}, id="TCP"),
    ],
)
def test_the_bounds_themselves_are_allowed(keys: dict[str, object]) -> None:
    found = configured(**keys)
    assert found | keys == found
    assert found["deadlineSeconds"] <= 840


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({}, 12),
        ({"intervalSeconds": 5}, 30),
        ({"healthyThresholdCount": 10, "unhealthyThresholdCount": 2}, 24),
        ({"startPeriodSeconds": 60}, 72),
        ({"deadlineSeconds": 300}, 300),
        ({"deadlineSeconds": 6}, 6),
        ({"deadlineSeconds": 16, "startPeriodSeconds": 10}, 16),
        ({"deadlineSeconds": 20, "unhealthyThresholdCount": 10}, 20),
    ],
)
def test_the_deadline_is_that_of_as_many_slow_probes_as_the_thresholds_ask_for(
    keys: dict[str, object], seconds: int
) -> None:
    assert configured(**keys)["deadlineSeconds"] == seconds


Bad = tuple[object, str, str, str]


def of_check(key: str, value: object, found: str, allowed: str) -> Bad:
    return check(**{key: value}), f"pairs.web.healthCheck.{key}", found, allowed


def port(value: object, found: str) -> Bad:
    return of_check("port", value, found, "a whole number from 1 to 65535")


def number(key: str, value: object, bounds: str) -> Bad:
    return of_check(key, value, json.dumps(value), f"a whole number from {bounds}")


def matcher(value: object) -> Bad:
    return of_check("matcher", value, json.dumps(value), CODES)


def url_path(value: str) -> Bad:
    return of_check("path", value, json.dumps(value)[:60], URL_PATH)


def body(value: object) -> Bad:
    return of_check("bodyContains", value, json.dumps(value)[:60], "a text of 1 to 255 printable characters")


BAD: dict[str, Bad] = {
    "a health check that is text": ({"web": pair(healthCheck="/")}, "pairs.web.healthCheck", '"/"', CHECK_KEYS),
    "a health check that is null": ({"web": pair(healthCheck=None)}, "pairs.web.healthCheck", "null", CHECK_KEYS),
    "an empty list of checks": (checks(), "pairs.web.healthCheck", "[]", CHECK_KEYS),
    "eleven checks": (checks(*[{}] * 11), "pairs.web.healthCheck", "[{}, {}", CHECK_KEYS),
    "a check of a list that is null": (
        {"web": pair(healthCheck=[{}, None])},
        "pairs.web.healthCheck[1]",
        "null",
        "an object with the keys protocol",
    ),
    "a list in the list": (
        {"web": pair(healthCheck=[[{}]])},
        "pairs.web.healthCheck[0]",
        "[{}]",
        "an object with the keys protocol",
    ),
    "a port in a list of checks": (
        checks({}, {"port": 0}),
        "pairs.web.healthCheck[1].port",
        "0",
        "a whole number from 1 to 65535",
    ),
    "a key of the pair in its health check": (
        check(bakeSeconds=60),
        "pairs.web.healthCheck.bakeSeconds",
        "an unknown key",
        "it belongs to the pair: pairs.web.bakeSeconds",
    ),
    "a key of the pair in a list of checks": (
        checks({}, {"alarms": []}),
        "pairs.web.healthCheck[1].alarms",
        "an unknown key",
        "it belongs to the pair: pairs.web.alarms",
    ),
    "a key of the vpc in a check": (
        check(subnetIds=[]),
        "pairs.web.healthCheck.subnetIds",
        "an unknown key",
        "it belongs to the context: vpc.subnetIds",
    ),
    "an unknown key of a health check": (
        check(zz=1),
        "pairs.web.healthCheck.zz",
        "an unknown key",
        "protocol, port, path",
    ),
    "a path under the name of ELB's API": (
        check(HealthCheckPath="/"),
        "pairs.web.healthCheck.HealthCheckPath",
        "an unknown key",
        'did you mean "path"?',
    ),
    "a key in upper case": (
        check(PORT=80),
        "pairs.web.healthCheck.PORT",
        "an unknown key",
        'did you mean "port"?',
    ),
    "a protocol in lower case": of_check("protocol", "http", '"http"', '"HTTP", "HTTPS" or "TCP"'),
    "a protocol that is none of ours": of_check("protocol", "UDP", '"UDP"', '"HTTP", "HTTPS" or "TCP"'),
    "a protocol that is null": of_check("protocol", None, "null", '"HTTP", "HTTPS" or "TCP"'),
    "a protocol with a newline": of_check("protocol", "TCP\n", '"TCP\\n"', '"HTTP", "HTTPS" or "TCP"'),
    "a protocol in a list": of_check("protocol", ["HTTP"], '["HTTP"]', '"HTTP", "HTTPS" or "TCP"'),
    "port 0": port(0, "0"),
    "port 65536": port(65536, "65536"),
    "a port in quotes": port("80", '"80"'),
    "a port that is true": port(True, "true"),
    "a port with a fraction": port(80.5, "80.5"),
    "a port that is null": port(None, "null"),
    "interval 0": number("intervalSeconds", 0, "1 to 300"),
    "interval 301": number("intervalSeconds", 301, "1 to 300"),
    "timeout 0": number("timeoutSeconds", 0, "1 to 120"),
    "timeout 121": number("timeoutSeconds", 121, "1 to 120"),
    "healthy threshold 0": number("healthyThresholdCount", 0, "1 to 10"),
    "healthy threshold 11": number("healthyThresholdCount", 11, "1 to 10"),
    "unhealthy threshold 0": number("unhealthyThresholdCount", 0, "1 to 10"),
    "unhealthy threshold 11": number("unhealthyThresholdCount", 11, "1 to 10"),
    "a path without its slash": url_path("health"),
    "an empty path": url_path(""),
    "a path that names a host": url_path("//evil.example/"),
    "a path with a space": url_path("/a b"),
    "a path with a header behind it": url_path("/ HTTP/1.1\r\nHost: evil"),
    "a path with a newline at its end": url_path("/health\n"),
    "a path beyond ASCII": url_path("/wéb"),
    "a path of 1025 characters": url_path("/" + "x" * 1024),
    "an empty matcher": matcher(""),
    "a matcher that is a number": matcher(200),
    "a matcher below 200": matcher("199"),
    "a matcher above 499": matcher("200-500"),
    "a matcher with a range backwards": matcher("299-200"),
    "a matcher with a comma at its end": matcher("200,"),
    "a matcher with a space": matcher("200, 301"),
    "a matcher of three ends": matcher("200-250-299"),
    "a matcher with a newline at its end": matcher("200\n"),
    "a deadline of no time": number("deadlineSeconds", 0, "1 to 840"),
    "a deadline longer than a function runs": number("deadlineSeconds", 841, "1 to 840"),
    "a deadline of half a second": number("deadlineSeconds", 0.5, "1 to 840"),
    "a start period below zero": number("startPeriodSeconds", -1, "0 to 840"),
    "a start period longer than a function runs": number("startPeriodSeconds", 841, "0 to 840"),
    "a start period in quotes": number("startPeriodSeconds", "60", "0 to 840"),
    "a start period that is null": number("startPeriodSeconds", None, "0 to 840"),
    "no latency at all": number("maxLatencyMs", 0, "1 to 120000"),
    "a latency above every timeout": number("maxLatencyMs", 120_001, "1 to 120000"),
    "a latency that is true": number("maxLatencyMs", True, "1 to 120000"),
    "a latency with a fraction": number("maxLatencyMs", 99.5, "1 to 120000"),
    "no text of the body": body(""),
    "a text of 256 characters": body("x" * 256),
    "a text with a newline": body("a\n"),
    "a text with a null character": body("a\0b"),
    "a text with half a character": body("\udc80"),
    "a text that is null": body(None),
    "a text that is an object": body({"status": "ok"}),
    **{
        f"via: {value!r}": of_check("via", value, json.dumps(value), '"public" or "private"')
        for value in ("Private", "", "vpc", "private\n", None, True, ["private"])
    },
    "a verification in quotes": (
        check(**HTTPS, verifyCertificate="false"),
        "pairs.web.healthCheck.verifyCertificate",
        '"false"',
        "true or false",
    ),
    "a verification that is 0": (
        check(**HTTPS, verifyCertificate=0),
        "pairs.web.healthCheck.verifyCertificate",
        "0",
        "true or false",
    ),
    "a verification that is null, without a host": (
        check(protocol="HTTPS", verifyCertificate=None),
        "pairs.web.healthCheck.verifyCertificate",
        "null",
        "true or false",
    ),
}


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BAD.values(), ids=BAD.keys())
def test_a_bad_health_check_is_refused_with_its_path_and_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    assert_only_problem(context, path, found, allowed, VPC)
