"""What a person may write under `pairs` and `vpc` in cdk.json, and what they are told when it is wrong.

The keys of a health check are in `test_configuration_checks.py`, those of `vpc` in `test_configuration_vpc.py`, and the
README's table is in `test_configuration_table.py`.
"""

import json
from pathlib import Path

import aws_cdk as cdk
import pytest

from stacks.configuration.pairs import InvalidConfiguration, configured_pairs, configured_vpc, placeholder_ids

PRODUCTION, STAGING, OTHER = "eipalloc-0123456789abcdef0", "eipalloc-1a2b3c4d", "eipalloc-0fedcba9876543210"
BITTYBOT, TAO, THIRD = "i-0123456789abcdef0", "i-1a2b3c4d", "i-0fedcba9876543210"
SERVERS = {"bittybot": BITTYBOT, "tao": TAO}
INTERFACES = {"bittybot": "eni-0123456789abcdef0", "tao": "eni-1a2b3c4d"}
VPC = {"subnetIds": ["subnet-0123456789abcdef0"], "securityGroupIds": ["sg-1a2b3c4d"]}
CDK_JSON = Path(__file__).parents[2] / "cdk.json"


def pair(**keys: object) -> dict[str, object]:
    return {"production": PRODUCTION, "staging": STAGING, "servers": SERVERS} | keys


def without(key: str) -> dict[str, object]:
    return {"web": {name: value for name, value in pair().items() if name != key}}


def check(**keys: object) -> dict[str, object]:
    return {"web": pair(healthCheck=keys)}


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


def problems_of(context: object, vpc: object = None) -> list[str]:
    with pytest.raises(InvalidConfiguration) as refused:
        configured_pairs(context, vpc=vpc)
    _, *problems = str(refused.value).split("\n")
    assert all(problem.startswith("  ") and problem.isprintable() and len(problem) < 600 for problem in problems)
    return [problem.strip() for problem in problems]


def assert_only_problem(context: object, path: str, found: str, allowed: str, vpc: object = None) -> None:
    (problem,) = problems_of(context, vpc)
    named, _, rest = problem.partition(": found ")
    was_found, _, is_allowed = rest.rpartition("; allowed: ")
    assert named == path
    assert found in was_found
    assert allowed in is_allowed


def test_everything_but_the_ids_and_names_has_a_default() -> None:
    assert configured_pairs({"web": pair()}) == {
        "web": {
            "production": PRODUCTION,
            "staging": STAGING,
            "servers": SERVERS,
            "healthCheck": [
                {
                    "protocol": "HTTP",
                    "port": 80,
                    "path": "/",
                    "matcher": "200",
                    "via": "public",
                    "intervalSeconds": 1,
                    "timeoutSeconds": 2,
                    "healthyThresholdCount": 3,
                    "unhealthyThresholdCount": 3,
                    "startPeriodSeconds": 0,
                    "deadlineSeconds": 12,
                }
            ],
            "bakeSeconds": 0,
            "alarms": [],
        }
    }


@pytest.mark.parametrize(
    "given",
    [
        {"bakeSeconds": 0, "alarms": []},
        {"bakeSeconds": 822, "alarms": ["a", "w" * 255, 'Fehlerquote (über 1 %) "web"']},
        {"alarms": [f"{number:03}{'x' * 252}" for number in range(100)]},
        {"networkInterfaces": INTERFACES},
        {"networkInterfaces": dict(reversed(INTERFACES.items()))},
    ],
    ids=["lowest", "highest", "most alarms", "interfaces", "interfaces in the other order"],
)
def test_what_is_given_for_a_pair_stands(given: dict[str, object]) -> None:
    configured = configured_pairs({"web": pair(**given)})["web"]
    assert configured == configured_pairs({"web": pair()})["web"] | given


def test_two_pairs_do_not_share_the_list_of_their_alarms() -> None:
    other = pair(production=OTHER, staging="eipalloc-5e6f7a8b", servers={"a": THIRD, "b": "i-5e6f7a8b"})
    pairs = configured_pairs({"web": pair(), "api": other})
    assert pairs["web"]["alarms"] is not pairs["api"]["alarms"]


def test_json_text_from_the_command_line_is_read_like_cdk_json() -> None:
    assert configured_pairs(json.dumps({"web": pair()})) == configured_pairs({"web": pair()})
    assert configured_vpc(json.dumps(VPC)) == configured_vpc(VPC) == VPC


def test_what_the_cdk_hands_over_from_its_context_is_read_as_it_was_written() -> None:
    checks = [{"protocol": "HTTPS", "verifyCertificate": False, "headers": {"X-Probe": ""}, "via": "private"}]
    given = {"web": pair(healthCheck=checks, alarms=["a"], networkInterfaces=INTERFACES)}
    app = cdk.App(context={"pairs": given, "vpc": VPC})
    pairs, vpc = (app.node.try_get_context(name) for name in ("pairs", "vpc"))
    assert configured_pairs(pairs, vpc=vpc) == configured_pairs(given, vpc=VPC)
    assert configured_vpc(vpc) == VPC
    assert configured_vpc(app.node.try_get_context("no such value")) is None


def test_two_pairs_may_use_the_same_server_names() -> None:
    other = pair(production=OTHER, staging="eipalloc-5e6f7a8b", servers={"Tao": THIRD, "bittybot": "i-5e6f7a8b"})
    assert list(configured_pairs({"web": pair(), "api": other})) == ["web", "api"]


PAIR_KEYS = "production, staging, servers, networkInterfaces, healthCheck, bakeSeconds, alarms"
ALLOCATION = 'an allocation id: "eipalloc-" and 8 or 17 lower-case hex digits'
INSTANCE = 'an instance id: "i-" and 8 or 17 lower-case hex digits'
INTERFACE = 'the id of a network interface: "eni-" and 8 or 17 lower-case hex digits'
SERVER_RULE = "exactly two servers"
NAME = "a name of 1 to 64 letters, digits"


def address(value: object) -> tuple[object, str, str, str]:
    return {"web": pair(production=value)}, "pairs.web.production", json.dumps(value), ALLOCATION


def server(name: str, instance: object, path: str, found: str, allowed: str) -> tuple[object, str, str, str]:
    return {"web": pair(servers={"bittybot": BITTYBOT, name: instance})}, path, found, allowed


def interfaces(given: object, path: str, found: str, allowed: str) -> tuple[object, str, str, str]:
    return {"web": pair(networkInterfaces=given)}, f"pairs.web.networkInterfaces{path}", found, allowed


def of_the_pair(key: str, value: object, found: str, allowed: str) -> tuple[object, str, str, str]:
    return {"web": pair(**{key: value})}, f"pairs.web.{key}", found, allowed


def alarm(name: object, found: str) -> tuple[object, str, str, str]:
    return {"web": pair(alarms=["a", name])}, "pairs.web.alarms[1]", found, "an alarm's name of 1 to 255 printable"


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
    "network interfaces of one server": (
        {"web": pair(networkInterfaces={"tao": "eni-1a2b3c4d"})},
        "pairs.web.networkInterfaces",
        '{"tao": "eni-1a2b3c4d"}',
        "an object of the two servers' network interfaces",
    ),
    "network interfaces that are null": interfaces(None, "", "null", "an object of the two servers'"),
    "a list of network interfaces": interfaces(list(INTERFACES.values()), "", "[", "an object of the two servers'"),
    "network interfaces of another server": interfaces(
        {"tao": "eni-1a2b3c4d", "ada": "eni-5e6f7a8b"}, "", 'the names ["tao", "ada"]', '"bittybot" and "tao"'
    ),
    "network interfaces of a server in another case": interfaces(
        {"bittybot": "eni-1a2b3c4d", "Tao": "eni-5e6f7a8b"}, "", 'the names ["bittybot", "Tao"]', '"bittybot" and "tao"'
    ),
    "a network interface that is an instance": interfaces(INTERFACES | {"tao": TAO}, ".tao", f'"{TAO}"', INTERFACE),
    "a network interface of 9 digits": interfaces(
        INTERFACES | {"tao": "eni-1a2b3c4d5"}, ".tao", '"eni-1a2b3c4d5"', INTERFACE
    ),
    "a network interface in upper case": interfaces(
        INTERFACES | {"tao": "eni-1A2B3C4D"}, ".tao", '"eni-1A2B3C4D"', INTERFACE
    ),
    "a network interface with a newline": interfaces(
        INTERFACES | {"tao": "eni-1a2b3c4d\n"}, ".tao", '"eni-1a2b3c4d\\n"', INTERFACE
    ),
    "a network interface that is an object": interfaces(INTERFACES | {"tao": {}}, ".tao", "{}", INTERFACE),
    "one network interface for both servers": interfaces(
        dict.fromkeys(INTERFACES, "eni-1a2b3c4d"),
        ".tao",
        '"eni-1a2b3c4d", which is pairs.web.networkInterfaces.bittybot too',
        "each id once",
    ),
    "one network interface in two pairs": (
        {
            "web": pair(networkInterfaces=INTERFACES),
            "api": pair(
                production=OTHER,
                staging="eipalloc-0a0b0c0d",
                servers={"a": THIRD, "b": "i-0a0b0c0d"},
                networkInterfaces={"a": INTERFACES["tao"], "b": "eni-0a0b0c0d"},
            ),
        },
        "pairs.api.networkInterfaces.a",
        f'"{INTERFACES["tao"]}", which is pairs.web.networkInterfaces.tao too',
        "each id once",
    ),
    "a bake below zero": of_the_pair("bakeSeconds", -1, "-1", "a whole number from 0 to 840"),
    "a bake longer than 840 seconds": of_the_pair("bakeSeconds", 841, "841", "a whole number from 0 to 840"),
    "a bake in quotes": of_the_pair("bakeSeconds", "60", '"60"', "a whole number from 0 to 840"),
    "a bake that is true": of_the_pair("bakeSeconds", True, "true", "a whole number from 0 to 840"),
    "a bake that is null": of_the_pair("bakeSeconds", None, "null", "a whole number from 0 to 840"),
    "a bake with a fraction": of_the_pair("bakeSeconds", 1.5, "1.5", "a whole number from 0 to 840"),
    "alarms that are one name": of_the_pair("alarms", "a", '"a"', "a list of 0 to 100 alarm names"),
    "alarms that are null": of_the_pair("alarms", None, "null", "a list of 0 to 100 alarm names"),
    "alarms in an object": of_the_pair("alarms", {"a": "b"}, '{"a": "b"}', "a list of 0 to 100 alarm names"),
    "101 alarms": of_the_pair("alarms", [str(number) for number in range(101)], "[", "a list of 0 to 100 alarm names"),
    "an alarm without a name": alarm("", '""'),
    "an alarm of 256 characters": alarm("x" * 256, '"xxx'),
    "an alarm with a newline": alarm("a\n", '"a\\n"'),
    "an alarm with a null character": alarm("a\0b", '"a\\u0000b"'),
    "an alarm with a line separator": alarm("a\u2028b", '"a\\u2028b"'),
    "an alarm with half a character": alarm("a\ud800", '"a\\ud800"'),
    "an alarm that is a number": alarm(7, "7"),
    "an alarm that is null": alarm(None, "null"),
    "an alarm in a list of its own": alarm(["a"], '["a"]'),
    "one alarm twice": (
        {"web": pair(alarms=["a", "b", "a"])},
        "pairs.web.alarms[2]",
        '"a", which is pairs.web.alarms[0] too',
        "each once",
    ),
    "a key of the health check beside it": (
        {"web": pair(port=8080)},
        "pairs.web.port",
        "an unknown key",
        "it belongs to healthCheck: pairs.web.healthCheck.port",
    ),
    "a key of the health check beside a list of them": (
        {"web": pair(via="private", healthCheck=[{}, {}])},
        "pairs.web.via",
        "an unknown key",
        "it belongs to healthCheck: pairs.web.healthCheck[0].via",
    ),
    "the vpc in a pair": (
        {"web": pair(vpc=VPC)},
        "pairs.web.vpc",
        "an unknown key",
        "it belongs to the context, beside `pairs`",
    ),
}


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BAD.values(), ids=BAD.keys())
def test_a_bad_configuration_is_refused_with_its_path_and_what_was_found_and_is_allowed(
    context: object, path: str, found: str, allowed: str
) -> None:
    assert_only_problem(context, path, found, allowed)


def test_all_problems_are_reported_at_once() -> None:
    problems = problems_of(
        {
            "web": pair(
                staging="x",
                colour="blue",
                alarms=[""],
                healthCheck=[{"port": 0, "prot": 1, "matcher": "99"}, {"via": "private", "deadlineSeconds": 1}],
            ),
            "a b": pair(production=PRODUCTION, staging=OTHER, servers={"tao": "i-1"}),
        },
        vpc={"subnetIds": ["subnet-1"]},
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "pairs.web.colour",
        "pairs.web.staging",
        "pairs.web.alarms[0]",
        "pairs.web.healthCheck[0].prot",
        "pairs.web.healthCheck[0].port",
        "pairs.web.healthCheck[0].matcher",
        "pairs.web.healthCheck[1].deadlineSeconds",
        "pairs.web.healthCheck[1].via",
        'pairs["a b"]',
        'pairs["a b"].servers',
        'pairs["a b"].servers.tao',
        'pairs["a b"].production',
        "vpc.subnetIds[0]",
        "vpc.securityGroupIds",
    ]


def test_text_that_is_no_json_does_not_hide_the_problems_of_the_other_value() -> None:
    problems = problems_of("{", vpc={"subnetIds": [], "securityGroupIds": ["sg-1a2b3c4d"]})
    assert [problem.partition(": ")[0] for problem in problems] == ["pairs", "vpc.subnetIds"]


@pytest.mark.parametrize("value", [10**5000, nested(100_000)], ids=["a number of 5001 digits", "nested without end"])
def test_a_value_that_cannot_be_shown_is_a_problem_like_any_other(value: object) -> None:
    assert_only_problem({"web": pair(bakeSeconds=value)}, "pairs.web.bakeSeconds", "cannot be shown", "from 0 to 840")


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
