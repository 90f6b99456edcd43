"""What a person may write under `pairs` in cdk.json, and what they are told when it is wrong."""

import json
from pathlib import Path

import pytest

from stacks.configuration import InvalidConfiguration, configured_pairs, placeholder_ids

PRODUCTION, STAGING, OTHER = "eipalloc-0123456789abcdef0", "eipalloc-1a2b3c4d", "eipalloc-0fedcba9876543210"
BITTYBOT, TAO, THIRD = "i-0123456789abcdef0", "i-1a2b3c4d", "i-0fedcba9876543210"
SERVERS = {"bittybot": BITTYBOT, "tao": TAO}
CDK_JSON = Path(__file__).parents[2] / "cdk.json"


def pair(**keys: object) -> dict[str, object]:
    return {"production": PRODUCTION, "staging": STAGING, "servers": SERVERS} | keys


def without(key: str) -> dict[str, object]:
    return {"web": {name: value for name, value in pair().items() if name != key}}


def check(**keys: object) -> dict[str, object]:
    return {"web": pair(healthCheck=keys)}


def problems_of(context: object) -> list[str]:
    with pytest.raises(InvalidConfiguration) as refused:
        configured_pairs(context)
    return [line.strip() for line in str(refused.value).splitlines() if ": found " in line]


def test_everything_but_the_ids_and_names_has_a_default() -> None:
    assert configured_pairs({"web": pair()}) == {
        "web": {
            "production": PRODUCTION,
            "staging": STAGING,
            "servers": SERVERS,
            "healthCheck": {
                "protocol": "HTTP",
                "port": 80,
                "path": "/",
                "matcher": "200",
                "intervalSeconds": 1,
                "timeoutSeconds": 2,
                "healthyThresholdCount": 3,
                "unhealthyThresholdCount": 3,
                "deadlineSeconds": 12,
            },
        }
    }


def test_what_is_given_stands_and_the_rest_of_the_health_check_has_its_defaults() -> None:
    given = {"path": "/health?deep=1", "matcher": "200-299,301", "port": 8080}
    found = configured_pairs(check(**given))["web"]["healthCheck"]
    assert found == configured_pairs({"web": pair()})["web"]["healthCheck"] | given


@pytest.mark.parametrize(("given", "port"), [({"protocol": "HTTPS"}, 443), ({"protocol": "HTTPS", "port": 8443}, 8443)])
def test_https_is_checked_on_443_unless_a_port_is_given(given: dict[str, object], port: int) -> None:
    assert configured_pairs(check(**given))["web"]["healthCheck"]["port"] == port


def test_json_text_from_the_command_line_is_read_like_cdk_json() -> None:
    assert configured_pairs(json.dumps({"web": pair()})) == configured_pairs({"web": pair()})


def test_two_pairs_may_use_the_same_server_names() -> None:
    other = pair(production=OTHER, staging="eipalloc-5e6f7a8b", servers={"Tao": THIRD, "bittybot": "i-5e6f7a8b"})
    assert list(configured_pairs({"web": pair(), "api": other})) == ["web", "api"]


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param({"port": 1, "intervalSeconds": 1, "timeoutSeconds": 1}, id="lowest"),
        pytest.param({"healthyThresholdCount": 1, "unhealthyThresholdCount": 1}, id="lowest thresholds"),
        pytest.param({"port": 65535, "path": "/" + "x" * 1023, "matcher": "200-499"}, id="highest"),
        pytest.param({"healthyThresholdCount": 10, "unhealthyThresholdCount": 10}, id="highest thresholds"),
        pytest.param(
            {"intervalSeconds": 300, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1},
            id="longest interval",
        ),
        pytest.param(
            {"timeoutSeconds": 120, "healthyThresholdCount": 3, "unhealthyThresholdCount": 4},
            id="longest timeout and deadline",
        ),
        pytest.param({"matcher": "200,202,301-301,400-499"}, id="codes and ranges"),
    ],
)
def test_the_bounds_themselves_are_allowed(keys: dict[str, object]) -> None:
    found = configured_pairs(check(**keys))["web"]["healthCheck"]
    assert found | keys == found
    assert found["deadlineSeconds"] <= 840


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({}, 12),
        ({"intervalSeconds": 5}, 30),
        ({"healthyThresholdCount": 10, "unhealthyThresholdCount": 2}, 24),
        ({"deadlineSeconds": 300}, 300),
    ],
)
def test_the_deadline_is_that_of_as_many_slow_probes_as_the_thresholds_ask_for(
    keys: dict[str, object], seconds: int
) -> None:
    assert configured_pairs(check(**keys))["web"]["healthCheck"]["deadlineSeconds"] == seconds


CODES, URL_PATH = "status codes from 200 to 499", 'one "/" and then at most 1023 printable ASCII characters'
PAIR_KEYS = "production, staging, servers, healthCheck"
CHECK_KEYS = "protocol, port, path, matcher, intervalSeconds, timeoutSeconds, "
ALLOCATION = 'an allocation id: "eipalloc-" and 8 or 17 lower-case hex digits'
INSTANCE = 'an instance id: "i-" and 8 or 17 lower-case hex digits'
SERVER_RULE = "exactly two servers"
NAME = "a name of 1 to 64 letters, digits"


def port(value: object, found: str) -> tuple[object, str, str, str]:
    return check(port=value), "pairs.web.healthCheck.port", found, "a whole number from 1 to 65535"


def number(key: str, value: int, bounds: str) -> tuple[object, str, str, str]:
    return check(**{key: value}), f"pairs.web.healthCheck.{key}", str(value), f"a whole number from {bounds}"


def matcher(value: object) -> tuple[object, str, str, str]:
    return check(matcher=value), "pairs.web.healthCheck.matcher", json.dumps(value), CODES


def url_path(value: str) -> tuple[object, str, str, str]:
    return check(path=value), "pairs.web.healthCheck.path", json.dumps(value)[:60], URL_PATH


def address(value: object) -> tuple[object, str, str, str]:
    return {"web": pair(production=value)}, "pairs.web.production", json.dumps(value), ALLOCATION


def server(name: str, instance: object, path: str, found: str, allowed: str) -> tuple[object, str, str, str]:
    return {"web": pair(servers={"bittybot": BITTYBOT, name: instance})}, path, found, allowed


BAD: dict[str, tuple[object, str, str, str]] = {
    "no pairs in the context": (None, "pairs", "nothing", "an object with at least one pair"),
    "an empty object of pairs": ({}, "pairs", "{}", "an object with at least one pair"),
    "a list of pairs": ([pair()], "pairs", "[{", "an object with at least one pair"),
    "text that is no JSON": ("web=1", "pairs", "text that is not JSON (Expecting value: line 1", "an object as JSON"),
    "empty text": ("", "pairs", '""', "an object as JSON"),
    "JSON nested without end": ("[" * 100_000, "pairs", "text that is not JSON", "an object as JSON"),
    "JSON of a number": ("7", "pairs", "7", "an object with at least one pair"),
    "JSON with a key twice": (
        json.dumps({"web": pair()})[:-1] + ', "web": ' + json.dumps(pair()) + "}",
        "pairs",
        'the key "web" more than once',
        "each key of an object once",
    ),
    "JSON with a health-check key twice": (
        json.dumps(check(port=81)).replace('"port": 81', '"port": 81, "port": 82'),
        "pairs",
        'the key "port" more than once',
        "each key of an object once",
    ),
    "an empty pair name": ({"": pair()}, 'pairs[""]', 'the name ""', NAME),
    "a pair name with a space": ({"w b": pair()}, 'pairs["w b"]', 'the name "w b"', NAME),
    "a pair name with a newline at its end": ({"web\n": pair()}, 'pairs["web\\n"]', 'the name "web\\n"', NAME),
    "a pair name that starts with a dash": ({"-web": pair()}, 'pairs["-web"]', 'the name "-web"', NAME),
    "a pair name in letters beyond ASCII": ({"wéb": pair()}, 'pairs["w\\u00e9b"]', 'the name "w\\u00e9b"', NAME),
    "a pair name of 65 letters": ({"w" * 65: pair()}, f'pairs["{"w" * 59}… (67 characters)]', "the name", NAME),
    "a pair that is text": ({"web": "eipalloc"}, "pairs.web", '"eipalloc"', f"an object with the keys {PAIR_KEYS}"),
    "a pair that is null": ({"web": None}, "pairs.web", "null", f"an object with the keys {PAIR_KEYS}"),
    "an unknown key of a pair": ({"web": pair(ttl=9)}, "pairs.web.ttl", "an unknown key", PAIR_KEYS),
    "a mistyped key of a pair": (
        {"web": pair(healthcheck={})},
        "pairs.web.healthcheck",
        "an unknown key",
        f'{PAIR_KEYS}; did you mean "healthCheck"?',
    ),
    "no production address": (without("production"), "pairs.web.production", "nothing", ALLOCATION),
    "no staging address": (without("staging"), "pairs.web.staging", "nothing", ALLOCATION),
    "no servers": (without("servers"), "pairs.web.servers", "nothing", SERVER_RULE),
    "a public address instead of its id": address("203.0.113.7"),
    "an instance id as address": address(BITTYBOT),
    "an allocation id in upper case": address(PRODUCTION.upper()),
    "an allocation id of 16 digits": address(PRODUCTION[:-1]),
    "an allocation id with a newline": address(f"{PRODUCTION}\n"),
    "an allocation id that is null": address(None),
    "one address for production and staging": (
        {"web": pair(staging=PRODUCTION)},
        "pairs.web.staging",
        f'"{PRODUCTION}", which is pairs.web.production too',
        "each id once",
    ),
    "one address in two pairs": (
        {"web": pair(), "api": pair(production=STAGING, staging=OTHER, servers={"a": THIRD, "b": "i-0a0b0c0d"})},
        "pairs.api.production",
        f'"{STAGING}", which is pairs.web.staging too',
        "each id once",
    ),
    "one instance in two pairs": (
        {"web": pair(), "api": pair(production=OTHER, staging="eipalloc-0a0b0c0d", servers={"a": THIRD, "b": TAO})},
        "pairs.api.servers.b",
        f'"{TAO}", which is pairs.web.servers.tao too',
        "each id once",
    ),
    "one instance for both servers": server(
        "tao",
        BITTYBOT,
        "pairs.web.servers.tao",
        f'"{BITTYBOT}", which is pairs.web.servers.bittybot too',
        "each id once",
    ),
    "one server": ({"web": pair(servers={"tao": TAO})}, "pairs.web.servers", '{"tao": "i-1a2b3c4d"}', SERVER_RULE),
    "three servers": ({"web": pair(servers=SERVERS | {"ada": THIRD})}, "pairs.web.servers", '{"bittybot"', SERVER_RULE),
    "a list of servers": ({"web": pair(servers=[BITTYBOT, TAO])}, "pairs.web.servers", "[", SERVER_RULE),
    "server names that differ in case only": server(
        "BittyBot", TAO, "pairs.web.servers.BittyBot", 'a name like "bittybot"', "names that differ in more than case"
    ),
    "a server name with a slash": server("t/o", TAO, 'pairs.web.servers["t/o"]', 'the name "t/o"', NAME),
    "an instance id of another kind": server("tao", STAGING, "pairs.web.servers.tao", f'"{STAGING}"', INSTANCE),
    "an instance id too long": server("tao", f"{BITTYBOT}0", "pairs.web.servers.tao", f'"{BITTYBOT}0"', INSTANCE),
    "an instance id that is a number": server("tao", 7, "pairs.web.servers.tao", "7", INSTANCE),
    "a health check that is text": (
        {"web": pair(healthCheck="/health")},
        "pairs.web.healthCheck",
        '"/health"',
        f"an object with the keys {CHECK_KEYS}",
    ),
    "a health check that is null": ({"web": pair(healthCheck=None)}, "pairs.web.healthCheck", "null", CHECK_KEYS),
    "an unknown key of a health check": (check(zz=1), "pairs.web.healthCheck.zz", "an unknown key", CHECK_KEYS),
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
    "a protocol in lower case": (
        check(protocol="http"),
        "pairs.web.healthCheck.protocol",
        '"http"',
        '"HTTP" or "HTTPS"',
    ),
    "a protocol that is not HTTP": (
        check(protocol="TCP"),
        "pairs.web.healthCheck.protocol",
        '"TCP"',
        '"HTTP" or "HTTPS"',
    ),
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
    "probes that take longer than a function runs": (
        check(intervalSeconds=10, timeoutSeconds=120, healthyThresholdCount=4, unhealthyThresholdCount=4),
        "pairs.web.healthCheck.deadlineSeconds",
        "960",
        "(healthyThresholdCount + unhealthyThresholdCount) * max(intervalSeconds, timeoutSeconds)",
    ),
    "an interval that makes the probes take a little too long": (
        check(intervalSeconds=281, healthyThresholdCount=1, unhealthyThresholdCount=2),
        "pairs.web.healthCheck.deadlineSeconds",
        "843",
        "from 1 to 840",
    ),
}


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BAD.values(), ids=BAD.keys())
def test_a_bad_configuration_is_refused_with_its_path_and_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    (problem,) = problems_of(context)
    named, _, rest = problem.partition(": found ")
    was_found, _, is_allowed = rest.rpartition("; allowed: ")
    assert named == path
    assert found in was_found
    assert allowed in is_allowed


def test_all_problems_are_reported_at_once() -> None:
    problems = problems_of(
        {
            "web": pair(staging="x", colour="blue", healthCheck={"port": 0, "prot": 1, "matcher": "99"}),
            "a b": pair(production=PRODUCTION, staging=OTHER, servers={"tao": "i-1"}),
        }
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "pairs.web.colour",
        "pairs.web.staging",
        "pairs.web.healthCheck.prot",
        "pairs.web.healthCheck.port",
        "pairs.web.healthCheck.matcher",
        'pairs["a b"]',
        'pairs["a b"].servers',
        'pairs["a b"].servers.tao',
        'pairs["a b"].production',
    ]


def test_a_long_value_is_shown_shortened_on_its_one_line() -> None:
    (problem,) = problems_of({"web": pair(production="x\n" * 5_000)})
    assert "(15002 characters)" in problem
    assert len(problem) < 250


def test_the_shipped_ids_are_recognized_as_placeholders() -> None:
    shipped = pair(
        production="eipalloc-0aaaaaaaaaaaaaaaa",
        servers={"bittybot": "i-0aaaaaaaaaaaaaaaa", "tao": "i-0bbbbbbbbbbbbbbbb"},
    )
    assert placeholder_ids(configured_pairs({"web": shipped})) == [
        "pairs.web.production",
        "pairs.web.servers.bittybot",
        "pairs.web.servers.tao",
    ]
    assert placeholder_ids(configured_pairs({"web": pair(production="eipalloc-0abababababababab")})) == []


def test_the_shipped_cdk_json_is_valid_and_has_nothing_but_placeholders() -> None:
    pairs = configured_pairs(json.loads(CDK_JSON.read_text())["context"]["pairs"])
    assert len(placeholder_ids(pairs)) == 4 * len(pairs)
