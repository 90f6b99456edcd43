"""The values that each key of the configuration allows, and the messages about a wrong value or a wrong name."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from stacks.configuration.allowed import sections_in, words_of
from stacks.configuration.problems import path_of, shown
from stacks.configuration.settings import Settings, configured
from tests.stacks.contexts import (
    BITTYBOT,
    COMPLETE,
    FUNCTION,
    INTERFACES,
    OBJECT,
    OF_A_RESPONSE,
    PRODUCTION,
    SERVERS,
    STAGING,
    TAO,
    TCP,
    assert_only_problem,
    changed,
    check,
    pair,
    problems_of,
    steps,
    without,
)

# Values that a key allows although they look odd, and values that it does not, by path.
ALLOWED: dict[str, list[object]] = {
    "name": ["a", "a" * 35, "team-2", "a-b-c", "a1-2b", "awe", "pipeline", "repair", "my-aws", "a-repairs"],
    "pairs.web.alarms": [[], ["a", "w" * 255, 'Fehlerquote (über 1 %) "web"'], [str(number) for number in range(100)]],
    "pairs.web.networkInterfaces": [dict(reversed(INTERFACES.items()))],
    "pairs.web.healthCheck": [{}, [{}] * 10],
    "pairs.web.healthCheck[0].port": [1, 65535],
    "pairs.web.healthCheck[0].path": ["/", "/health?deep=1", "/" + "x" * 1023, "/@other.example/"],
    "pairs.web.healthCheck[0].matcher": ["200-499", "200,202,301-301,400-499"],
    "pairs.web.healthCheck[0].bodyContains": ["x", "é" * 255, ' "ready": true '],
    "pairs.web.healthCheck[0].hostHeader": [
        "a", f"{'.'.join(['a' * 63] * 3)}.{'a' * 61}:65535", "localhost:1", "1.xn--bcher-kva.A-1.example",
        "my_app", "_a-.-b.example:8080", "a~b", "a.example.", "a.example.:8080",
        f"{'.'.join(['a' * 63] * 3)}.{'a' * 61}.",
        "203.0.113.7", "203.0.113.7:80", "3405803783", "[2001:db8::1]", "[::ffff:203.0.113.7]:8080",
    ],
    "pairs.web.healthCheck[1].hostHeader": ["www.example.com.", "a.example.:8443"],
    "pairs.web.healthCheck[0].headers": [
        {"a": ""}, {f"X-{number}": "v" for number in range(20)}, {"n" * 64: "v" * 1024},
        {"!#$%&'*+-.^_`|~09AZaz": "\"{% $x %}' \\ ~"}, {"Authorization": "Bearer x", "User-Agent": "probe"},
    ],
    "vpc.subnetIds": [[f"subnet-{number:017x}" for number in range(16)]],
    "ciAccess.github.branch": ["release/1.x"],
    "pairs.web.deploy.command": ["echo {a} {", "x" * 1000, " { x; } ", "{", " }"],
    "pairs.web.deploy.timeoutSeconds": [30, 840],
    "pairs.web.hooks": [{}, {"beforeCutover": []}, {"afterCutover": [{"command": "x", "timeoutSeconds": 84}] * 10}],
    "pairs.web.hooks.afterRollback[0].timeoutSeconds": [5, 810],
    "pairs.web.hooks.beforeCutover[1].function": [
        *(f"{FUNCTION.removesuffix(':live')}{qualifier}" for qualifier in ("", ":$LATEST", ":7", ":blue-green_2")),
        *(FUNCTION.replace("arn:aws:", f"arn:{partition}:") for partition in ("aws-cn", "aws-us-gov", "aws-iso-b")),
    ],
    "pairs.web.approval": [{}],
    "readiness": [False, {}],
    "pairs.web.readiness": [False, {}],
    "pairs.web.readiness.certificateExpiryDays": [1, 398],
    "readiness.scheduleExpression": [
        "rate(5 minutes)", "rate(1 hour)", "rate(12 hours)", "rate(1 day)", "rate(365 days)", "rate(999999 minutes)",
        # The examples of the User Guide, and what it says of each field.
        "cron(0 10 * * ? *)", "cron(15 12 * * ? *)", "cron(0 18 ? * MON-FRI *)", "cron(0 8 1 * ? *)",
        "cron(0/10 * ? * MON-FRI *)", "cron(0/5 8-17 ? * MON-FRI *)", "cron(15 10 ? * 6L 2022-2023)",
        "cron(*/5 * * * ? *)", "cron(00 06 * * ? *)", "cron(0 0 L * ? *)", "cron(0 0 15W JAN,MAR-MAY ? 2026/2)",
        "cron(0 0 ? * TUE#2 *)", "cron(0 0 ? * 3#5 *)", "cron(0 0 ? * L *)", "cron(0 0 ? * FRIL *)",
        "cron(0-15/5 8-8 ? * 2,3,4,5,6,7 *)", "cron(30-30 13-13 ? * 2,4,6 *)", "cron(1-31/30 1-1 ? * 1,7 *)",
        "cron(0  6  *  *  ?  *)", "cron(5/55 0 * 1/3 ? *)", "cron(0 0,23 31 12 ? 1970-2199)",
        # Days and months go round.
        "cron(0 6 ? * MON-SUN *)", "cron(0 0 ? * FRI-MON *)", "cron(0 0 ? NOV-FEB 6-2 *)", "cron(0 0 25-5 11-2 ? *)",
        # Minutes that are close only across an hour that does not follow.
        "cron(0,58 6 * * ? *)", "cron(0,5,55 * * * ? *)", "cron(0,58 6,8 * * ? *)",
    ],
    "pairs.web.approval.timeoutMinutes": [1, 10_080],
}  # fmt: skip
REFUSED: dict[str, tuple[str, list[object]]] = {
    "name": (
        'letters from a to z, digits, and single "-" between them; it begins with a letter, not with "amazon" or ',
        [
            "", "a" * 36, "Team-b", "TEAM", "team b", " team", "team_b", "team.b", "team/b", "team-", "-team", "a--b",
            "2-team", "42", "téam", "team\n", "aws", "aws-x", "awsome", "ssm-x", "ssmx", "amazon-x", "amzn", 'te"am',
            "a-repair", "a-readiness", "a-pipeline", "${name}", 42, True, ["team-b"], {"team": "b"},
        ],
    ),
    "pairs.web.production": (
        'an allocation id: "eipalloc-" and 8 or 17 lower-case hex digits',
        ["203.0.113.7", BITTYBOT, PRODUCTION.upper(), PRODUCTION[:-1], f"{PRODUCTION}\n", "*"],
    ),
    "pairs.web.servers": ("exactly two servers", [{"tao": TAO}, SERVERS | {"ada": "i-5e6f7a8b"}, [BITTYBOT, TAO]]),
    "pairs.web.servers.tao": ("an instance id", [STAGING, f"{BITTYBOT}0", 7, "i-*"]),
    "pairs.web.networkInterfaces.tao": ("the id of a network interface", [TAO, "eni-1a2b3c4d5", {}]),
    "pairs.web.healthCheck": ("an object, or a list of 1 to 10 objects, with the keys protocol", ["/", [], [{}] * 11]),
    "pairs.web.healthCheck[1]": ("an object with the keys protocol", [None, [{}], "TCP"]),
    "pairs.web.bakeSeconds": ("a whole number from 0 to 86400", [-1, 86401, "60", True, 1.5, 60.0, 10**5000]),
    "pairs.web.alarms": ("a list of 0 to 100 alarm names", ["a", {"a": "b"}, [str(number) for number in range(101)]]),
    "pairs.web.alarms[0]": (
        "an alarm's name of 1 to 255 printable characters",
        ["", "x" * 256, "a\n", "a\0b", "a\u2028b", "a\ud800", 7, ["a"]],
    ),
    "pairs.web.healthCheck[0].protocol": ('"HTTP", "HTTPS" or "TCP"', ["http", "UDP", "TCP\n", ["HTTP"]]),
    "pairs.web.healthCheck[0].via": ('"public" or "private"', ["Private", "private\n", True]),
    "pairs.web.healthCheck[1].verifyCertificate": ("true or false", ["false", 0]),
    "pairs.web.healthCheck[0].path": (
        'one "/" and then at most 1023 printable ASCII characters',
        ["health", "", "//evil.example/", "/a b", "/ HTTP/1.1\r\nHost: evil", "/health\n", "/wéb", "/" + "x" * 1024],
    ),
    "pairs.web.healthCheck[0].matcher": (
        "status codes from 200 to 499",
        ["", 200, "199", "200-500", "299-200", "200,", "200, 301", "200-250-299", "200\n"],
    ),
    "pairs.web.healthCheck[0].hostHeader": (
        'a name of at most 253 characters, in labels of letters, digits, "-", "_" and "~", or an IP address',
        [
            "", f"{'a' * 64}.example", f"{'.'.join(['a' * 63] * 3)}.{'a' * 62}", "a." * 100_000 + "a", "a..example",
            "a.example..", ".", ".example", "*.example", "bücher.example", f"{'.'.join(['a' * 63] * 3)}.{'a' * 62}.",
            "a\uff11.example", "http://a.example", "a.example/health", "me@a.example", "a.example ", "a.example\n",
            "a.example\n:80", "a.example\r\nX-Evil: 1", "2001:db8::1", "[203.0.113.7]", "[::1", "[]",
            "[::1]80", "[fe80::1%1]",
            "a:0", "a:65536", "a:080", "a:", ":80",
        ],
    ),
    "pairs.web.healthCheck[0].headers": (
        "an object of 1 to 20 headers", [{}, {f"X-{n}": "" for n in range(21)}, ["X-Probe: 1"]],
    ),
    "pairs.web.healthCheck[0].headers.X-Probe": (
        "a header's value: at most 1024 printable ASCII characters, no space at either end",
        ["1\r\nX-Evil: 1", "1\n", "a\tb", "a\0", "a\x7f", "é", " v", "v ", " ", "v" * 1025, 1, None, ["v"]],
    ),
    "pairs.web.healthCheck[0].identityHeader": (
        "a header's name: 1 to 64 letters, digits", ["", "x" * 65, "X Server", "X-Server\r\n", "X:", "X-é", "\u212a"],
    ),
    "vpc.subnetIds": ("a list of 1 to 16 subnet ids", [[], "subnet-1a2b3c4d", [f"subnet-{n:08x}" for n in range(17)]]),
    "vpc.securityGroupIds[0]": ("a security group's id", ["sg-1a2b3c4d\n", "subnet-1a2b3c4d", ["sg-1a2b3c4d"]]),
    "notifications.emails[0]": ("an e-mail address", ["ops", "a@b", "ops@example.com\r\nBcc: all@example.com"]),
    "ciAccess.github.repository": (
        '"owner/name", or "owner@id/name@id"',
        ["octo-org/*", "*", "octo", "octo@1/repo", "octo/repo:ref:refs/heads/main"],
    ),
    "ciAccess.github.branch": ("one branch", ["*", "${aws:x}", "main\n"]),
    "ciAccess.github.repositoryId": ("the repository's number, as a string", [456789, "", "*", "octo-repo", "1\n"]),
    "ciAccess.github.workflow": ("one workflow", ["", "*", "Release?", "${aws:x}", "Release\n", "é"]),
    "ciAccess.github.audience": ('no "*"', ["*"]),
    "ciAccess.github.provider": ('"existing" if the account already has a provider', ["new"]),
    "ciAccess.gitlab.project": ('"group/name"', ["octo", "octo/*"]),
    "ciAccess.oidc.url": ("without a port", ["https://a.example:8443", "https://a.example/", "http://a.example"]),
    "ciAccess.oidc.subject": ("the whole subject", ["job:*", "job:?", "${x}"]),
    "pipeline.source.connectionArn": ("the ARN of a connection", ["arn:aws:codecommit:eu-central-1:123456789012:web"]),
    "pipeline.source": (
        "an object with the keys connectionArn, repository, branch or the keys bucket, key", ["s3://x/y", []],
    ),
    "pairs.web.deploy.command": (
        'one line of shell, 1 to 1000 printable ASCII characters, no "{{"',
        ["", " ", "a\nb", "a\n", "docker ps --format '{{.ID}}'", "{{", "x {{", "x" * 1001, "d\u00e9ploy", ["x"]],
    ),
    "pairs.web.deploy.timeoutSeconds": ("a whole number from 30 to 840", [29, 841, "600", True]),
    "pairs.web.hooks": ("the keys beforeCutover, afterCutover, afterRollback", [[], "x"]),
    "pairs.web.hooks.beforeCutover": ("a list of 0 to 10 hooks", ["x", {"command": "x"}, [{"command": "x"}] * 11]),
    "pairs.web.hooks.beforeCutover[0]": ("an object with the keys server, command, function", ["/opt/web/drain"]),
    "pairs.web.hooks.beforeCutover[0].command": ('no "{{", which Systems Manager would replace', ["a\nb", "{{ x }}"]),
    "pairs.web.hooks.beforeCutover[0].server": ('"idle" or "live"', ["blue", "Idle", "tao"]),
    "pairs.web.hooks.beforeCutover[0].onFailure": ('"FAIL" or "CONTINUE"', ["fail", "IGNORE", False]),
    "pairs.web.hooks.beforeCutover[0].timeoutSeconds": ("a whole number from 5 to 840", [4, 841, 6.0]),
    "pairs.web.hooks.beforeCutover[1].function": (
        "the ARN of a Lambda function, with or without a version or an alias",
        [
            "", "drain", "arn:aws:lambda:eu-central-1:123456789012:layer:drain:1", f"{FUNCTION}:1", f"{FUNCTION}\n",
            "arn:aws:states:eu-central-1:123456789012:stateMachine:drain", FUNCTION.replace("drain", "*"),
            FUNCTION.replace(":live", ":*"), FUNCTION.replace("123456789012", "12345678901"),
        ],
    ),
    "pairs.web.readiness": (
        "false, or an object with the keys scheduleExpression, certificateExpiryDays", [True, 0, "", "off", [], [{}]],
    ),
    "readiness": ("false, or an object with the keys scheduleExpression, certificateExpiryDays", [True, 0, [], 1]),
    "pairs.web.readiness.certificateExpiryDays": ("a whole number from 1 to 398", [0, 399, -1, "14", 14.0, True]),
    "readiness.scheduleExpression": (
        '"rate(1 day)", "rate(12 hours)" or another number of minutes, hours or days, or "cron(minutes hours day-of-',
        [
            "", "daily", "1 day", 5, ["rate(1 day)"], "at(2026-12-01T06:00:00)", "0 6 * * ? *", "rate(1 day)\n",
            "rate(1 days)", "rate(5 minute)", "rate(0 minutes)", "rate(-5 minutes)", "rate(1.5 hours)", "rate(5 weeks)",
            "Rate(5 minutes)", "rate(5  minutes)", "rate(05 minutes)", "rate(1000000 minutes)", "rate(\uff15 minutes)",
            "cron()", "cron(0 10 * * ?)", "cron(0 10 * * ? * *)", "cron(0 10 * * ? *)x", "cron(0\t10 * * ? *)",
            "cron(0 10 * * * *)", "cron(0 10 ? * ? *)", "cron(0 10 1 * MON *)", "cron(? 10 * * ? *)",
            "cron(0 10 * ? ? *)", "cron(60 * * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)",
            "cron(0 0 1 13 ? *)", "cron(0 0 ? * 0 *)", "cron(0 0 ? * 8 *)", "cron(0 0 1 1 ? 1969)",
            "cron(0 0 1 1 ? 2200)", "cron(*/60 * * * ? *)", "cron(0 */24 * * ? *)", "cron(0/0 * * * ? *)",
            "cron(0 0 ? * 3#6 *)", "cron(0 0 ? * 3#1,6#3 *)", "cron(0 0 L,1 * ? *)", "cron(0 0 ? * W *)",
            "cron(0 0 32W * ? *)", "cron(0 0 1#2 * ? *)", "cron(0 0 ? * mon *)", "cron(0 0 ? * MONDAY *)",
            "cron(0 0 ? FOO MON *)", "cron(0 6 ? * MON/2 *)", "cron(0 6 ? * */2 *)", "cron(0 6 ? * 2/2 *)",
            "cron(0 6 ? * MON-FRI/2 *)", "cron(0 6 ? * MON/ *)",
            "cron(,0 0 * * ? *)", "cron(0, 0 * * ? *)", "cron(0-5-9 0 * * ? *)",
            f"cron({'0,' * 120}0 0 * * ? *)",
        ],
    ),
    "pairs.web.approval": ("an object with the keys timeoutMinutes", [60, True]),
    "pairs.web.approval.timeoutMinutes": ("a whole number from 1 to 10080", [0, 10_081, -1, "60", 1.0]),
}  # fmt: skip


@pytest.mark.parametrize("path", ALLOWED)
def test_a_key_allows_the_bounds_themselves(path: str) -> None:
    for value in ALLOWED[path]:
        assert configured(changed(path, value).get)


@pytest.mark.parametrize("path", REFUSED)
def test_a_wrong_value_is_reported_with_its_path_and_with_what_is_allowed(path: str) -> None:
    allowed, values = REFUSED[path]
    for value in values:
        assert_only_problem(changed(path, value), path, shown(value), allowed)


def paths_in(value: Any, path: str = "") -> Iterator[str]:
    for key, inside in value.items() if isinstance(value, dict) else ():
        yield path_of(path, key)
        yield from paths_in(inside, path_of(path, key))
    for index, inside in enumerate(value) if isinstance(value, list) else ():
        yield from paths_in(inside, f"{path}[{index}]")


def key_in_the_models(path: str) -> tuple[tuple[str, ...], str]:
    *place, key = (str(step) for step in steps(path) if not isinstance(step, int))
    return ("pairs", "*", *place[2:]) if place[:1] == ["pairs"] and place[1:] else tuple(place), key


WORDS: dict[tuple[tuple[str, ...], str], set[str]] = {}
for place, section in sections_in(Settings):
    for name, key in section.model_fields.items():
        WORDS.setdefault((place, name), set()).add(words_of(key))
PATHS = [path for context in COMPLETE for path in paths_in(context) if key_in_the_models(path) in WORDS]


def test_the_contexts_of_these_tests_have_every_key() -> None:
    assert {key_in_the_models(path) for path in PATHS} == WORDS.keys()


@pytest.mark.parametrize("path", sorted({*PATHS}))
def test_every_key_refuses_null_and_a_value_of_another_type_in_its_own_words(path: str) -> None:
    """Not in pydantic's, and without a regular expression. A context value that is null is not configured."""
    for value in [1.5, None] if "." in path else [1.5]:
        (problem,) = problems_of(changed(path, value))
        shown_path, _, rest = problem.partition(": found ")
        found, _, allowed = rest.partition("; allowed: ")
        assert (shown_path, found) == (path, shown(value))
        assert allowed in WORDS[key_in_the_models(path)]
        assert not re.search(r"\^|\(\?|\{\d", allowed.replace("^_`|~", "")), "a regular expression"


REQUIRED = [
    "pairs", "pairs.web.production", "pairs.web.staging", "pairs.web.servers", "pairs.web.healthCheck[2].port",
    "vpc.subnetIds", "vpc.securityGroupIds", "notifications.emails", "ciAccess.github.repository",
    "ciAccess.gitlab.project", "ciAccess.gitlab.branch", "ciAccess.oidc.url", "ciAccess.oidc.audience",
    "ciAccess.oidc.subject", "pipeline.source", "pipeline.source.connectionArn", "pipeline.source.repository",
    "pipeline.source.branch", "pairs.web.deploy.command",
]  # fmt: skip


@pytest.mark.parametrize("path", REQUIRED)
def test_a_missing_key_without_a_default_is_reported(path: str) -> None:
    (allowed, *_) = WORDS[key_in_the_models(path)]
    assert_only_problem(without(path), path, "nothing", allowed)


BAD_NAMES = ["", "w b", "web\n", "-web", "wéb", "w" * 65, "web\u200b", "{% $plan %}", "__proto__", "[key]"]
BAD_HEADER_NAMES = {
    **dict.fromkeys(
        ["", "X Probe", "X:", "X\r\nHost", "X\n", 'X"', "X-é", "X-\u212a", "x" * 65], "a header's name: 1 to 64"
    ),
    **dict.fromkeys(["Host", "host"], "any other header; hostHeader sets this header"),
    **dict.fromkeys(
        ["Connection", "Content-Length", "TRANSFER-ENCODING", "Expect", "Upgrade", "te", "Trailer", "Accept-Encoding"],
        "any other header; the probe sets this header",
    ),
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_wrong_name_of_a_pair_or_a_server_is_reported_with_its_place(name: str) -> None:
    context: dict[str, Any] = {"pairs": {name: pair()}}
    assert_only_problem(context, path_of("pairs", name), f"the name {shown(name)}", "a name of 1 to 64 letters")
    context = {"pairs": {"web": pair(servers={"tao": TAO, name: BITTYBOT})}}
    assert_only_problem(
        context, path_of("pairs.web.servers", name), f"the name {shown(name)}", "a name of 1 to 64 letters"
    )


@pytest.mark.parametrize("name", BAD_HEADER_NAMES)
def test_a_header_with_another_name_is_refused(name: str) -> None:
    path = path_of("pairs.web.healthCheck.headers", name)
    assert_only_problem(check(headers={name: "v"}), path, f"the name {shown(name)}", BAD_HEADER_NAMES[name])


UNKNOWN = {
    "pairs.web.ttl": "networkInterfaces, healthCheck, bakeSeconds, alarms, deploy, hooks, approval",
    "pairs.web.healthcheck": 'approval, readiness; did you mean "healthCheck"?',
    "pairs.web.healthCheck[0].HealthCheckPath": '; did you mean "path"?',
    "pairs.web.healthCheck[0].PORT": '; did you mean "port"?',
    "pairs.web.path": "; it belongs to pairs.web.healthCheck.path",
    "pairs.web.healthCheck[0].bakeSeconds": "; it belongs to pairs.web.bakeSeconds",
    "pairs.web.healthCheck[2].subnetIds": "; it belongs to the context: vpc.subnetIds",
    "pairs.web.vpc": "; it belongs to the context: vpc",
    "vpc.subnets": 'subnetIds, securityGroupIds; did you mean "subnetIds"?',
    "notifications.email": 'emails; did you mean "emails"?',
    "ciAccess.project": "; it belongs to ciAccess.gitlab.project",
    "ciAccess.branch": "; it belongs to ciAccess.github.branch or ciAccess.gitlab.branch",
    "ciAccess.github.Repository": 'did you mean "repository"?',
    "pairs.web.readiness.schedule": 'certificateExpiryDays; did you mean "scheduleExpression"?',
    "pairs.web.certificateExpiryDays": "; it belongs to pairs.web.readiness.certificateExpiryDays",
    "readiness.certificateExpiry": 'certificateExpiryDays; did you mean "certificateExpiryDays"?',
    "pairs.web.timeoutMinutes": "; it belongs to pairs.web.approval.timeoutMinutes",
    "pairs.web.hooks.beforeTraffic": "beforeCutover, afterCutover, afterRollback",
    "pairs.web.hooks.BeforeCutover": 'afterRollback; did you mean "beforeCutover"?',
    "pairs.web.afterCutover": "; it belongs to pairs.web.hooks.afterCutover",
    "pipeline.branch": "; it belongs to pipeline.source.branch",
}


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_key_is_reported_with_the_known_keys_and_a_suggestion(path: str) -> None:
    assert_only_problem(changed(path, 1), path, "an unknown key", UNKNOWN[path])


@pytest.mark.parametrize("key", [*OF_A_RESPONSE, "verifyCertificate"])
def test_a_key_of_another_protocol_is_refused_with_the_protocols_that_have_it(key: str) -> None:
    context = check(**TCP, **{key: None})
    assert_only_problem(context, f"pairs.web.healthCheck.{key}", 'null with protocol "TCP"', 'only with protocol "HTTP')


def test_a_key_of_another_source_is_refused_with_the_source_that_has_it() -> None:
    context = changed("pipeline.source", OBJECT | {"branch": "main"})
    assert_only_problem(context, "pipeline.source.branch", '"main" with a bucket', "only with a connectionArn")
