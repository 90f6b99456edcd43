"""The keys of the configuration that contradict each other, and the messages about them."""

import json
from typing import Any

import pytest

from stacks.configuration.settings import configured
from tests.stacks.contexts import (
    BRANCH,
    DEPLOY,
    FUNCTION,
    GITHUB,
    GITLAB,
    HTTPS,
    INTERFACES,
    OTHER_PAIR,
    PRODUCTION,
    STAGING,
    TAO,
    TCP,
    THIRD,
    VPC,
    assert_only_problem,
    check,
    checks,
    pair,
    paths_of,
)

Broken = tuple[dict[str, Any], str, str, str]


def web(**keys: object) -> dict[str, Any]:
    return {"pairs": {"web": pair(**keys)}, "vpc": VPC}


def at_the_deadline(found: str, allowed: str, **keys: object) -> Broken:
    return check(**keys), "pairs.web.healthCheck.deadlineSeconds", found, allowed


# A check whose probes after a bake may take 540 seconds.
AFTER_540 = {
    "timeoutSeconds": 108, "healthyThresholdCount": 1, "unhealthyThresholdCount": 5, "deadlineSeconds": 545,
}  # fmt: skip


def at_the_bake(seconds: int, allowed: str, *given: dict[str, Any]) -> Broken:
    return web(bakeSeconds=seconds, healthCheck=list(given or [{}])), "pairs.web.bakeSeconds", str(seconds), allowed


def twice(path: str, value: str, other_path: str, **keys: object) -> Broken:
    """An id of the pair web, given to the pair api too."""
    pairs = {"web": pair(networkInterfaces=INTERFACES), "api": OTHER_PAIR | keys}
    return {"pairs": pairs}, path, f'"{value}", which is also {other_path}', "each id once"


def pipeline(**keys: object) -> dict[str, Any]:
    return {"pairs": {"web": pair(deploy=DEPLOY), "api": OTHER_PAIR}, "pipeline": {"source": BRANCH} | keys}


def hooks(*given: dict[str, Any]) -> dict[str, Any]:
    return web(hooks={"beforeCutover": list(given)})


BROKEN: dict[str, Broken] = {
    "HTTPS that is verified without a host": (
        checks({"protocol": "HTTPS"}), "pairs.web.healthCheck[0].verifyCertificate", "true, which is the default",
        "true with a hostHeader, the DNS name for which the server's certificate is verified; or false",
    ),
    **{
        f"HTTPS that is verified for {host}": (
            check(protocol="HTTPS", hostHeader=host), "pairs.web.healthCheck.verifyCertificate",
            f'true, which is the default, and the hostHeader "{host}", which is not a DNS name', "or false",
        )
        for host in ("my_app", "a_b.example.:8443", "-a.example", "203.0.113.7", "203.0.113.7:8443", "[2001:db8::1]")
    },
    "a latency that the timeout comes before": (
        check(maxLatencyMs=2001), "pairs.web.healthCheck.maxLatencyMs", "2001",
        "at most 2000: timeoutSeconds is 2, and a probe that takes longer has failed",
    ),
    "a deadline too short to call a server healthy": at_the_deadline(
        "19", "at least 20 and at most 840", deadlineSeconds=19, healthyThresholdCount=10
    ),
    "a deadline too short to call a server unhealthy": at_the_deadline(
        "19", "at least 20 and at most 840", deadlineSeconds=19, unhealthyThresholdCount=10
    ),
    "a deadline too short for its interval and start period": at_the_deadline(
        "149",
        "at least 150 and at most 840: a verdict may take startPeriodSeconds (60) + max(healthyThresholdCount (3), "
        "unhealthyThresholdCount (3)) * max(intervalSeconds (30), timeoutSeconds (2)); lower these",
        deadlineSeconds=149, intervalSeconds=30, startPeriodSeconds=60,
    ),
    "probes that take longer than a function runs": at_the_deadline(
        "960, its default here", "at least 480 and at most 840",
        intervalSeconds=10, timeoutSeconds=120, healthyThresholdCount=4, unhealthyThresholdCount=4,
    ),
    "a start period that makes the default a second too long": at_the_deadline(
        "841, its default here", "at least 835 and at most 840", startPeriodSeconds=829
    ),
    "probes for whose verdict no deadline is long enough": at_the_deadline(
        "1320, its default here", "at least 1200 and at most 840",
        timeoutSeconds=120, healthyThresholdCount=10, unhealthyThresholdCount=1,
    ),
    "checks that go different ways": (
        checks({"via": "private"}, TCP, {"via": "private"}), "pairs.web.healthCheck[1].via",
        '"public", and healthCheck[0].via is "private"',
        "the same for every check of a pair, because one function runs them",
    ),
    "a private check without a vpc": (
        {"pairs": {"web": pair(), "api": OTHER_PAIR | {"healthCheck": {"via": "private"}}}},
        "pairs.api.healthCheck.via", '"private" without the context value `vpc`', "with a `vpc` that has subnetIds",
    ),
    "a bake that is too short to fail": at_the_bake(
        5,
        "0, or 6 to 86400: a bake that can fail takes 6 (unhealthyThresholdCount * max(intervalSeconds, timeoutSeconds)"
        "); 300 seconds of it and the 6 of the probes that decide after them take at most 840",
    ),
    "a bake that is too short for the slowest check to fail": at_the_bake(
        59, "0, or 60 to ", {}, {"intervalSeconds": 30, "unhealthyThresholdCount": 2}
    ),
    "a bake that leaves a call no time for the probes after it": at_the_bake(
        600, "0: a bake that can fail takes 545 (", {}, {**AFTER_540, "timeoutSeconds": 109}
    ),
    "network interfaces of another server": (
        web(networkInterfaces={"bittybot": "eni-1a2b3c4d", "Tao": "eni-5e6f7a8b"}), "pairs.web.networkInterfaces",
        'the names ["bittybot", "Tao"]', '"bittybot" and "tao", as in servers',
    ),
    "server names that differ in case only": (
        web(servers={"tao": TAO, "TAO": THIRD}), "pairs.web.servers.TAO", 'a name like "tao"', "in more than case",
    ),
    "headers whose names differ in case only": (
        check(headers={"X-Probe": "1", "x-probe": "2"}), "pairs.web.healthCheck.headers.x-probe",
        'a name like "X-Probe"', "names that differ in more than case",
    ),
    "a pair that is too long for a plan": (
        checks(*[{"headers": {f"X-{key}": '"' * 1024 for key in range(4)}}] * 8), "pairs.web",
        " bytes of JSON, its defaults included", "at most 65536; use fewer checks, alarms or hooks, or shorter headers",
    ),
    "one address for production and staging": (
        web(staging=PRODUCTION), "pairs.web.staging", f'"{PRODUCTION}", which is also pairs.web.production', "each id",
    ),
    "one address in two pairs": twice("pairs.api.staging", STAGING, "pairs.web.staging", staging=STAGING),
    "one server in two pairs": twice(
        "pairs.api.servers.b", TAO, "pairs.web.servers.tao", servers={"a": THIRD, "b": TAO}
    ),
    "one network interface in two pairs": twice(
        "pairs.api.networkInterfaces.a", INTERFACES["tao"], "pairs.web.networkInterfaces.tao",
        networkInterfaces={"a": INTERFACES["tao"], "b": "eni-5e6f7a8b"},
    ),
    "one alarm twice": (web(alarms=["a", "b", "a"]), "pairs.web.alarms[2]", '"a", which is also at [0]', "each once"),
    "no CI system": (
        {"pairs": {"web": pair()}, "ciAccess": {}}, "ciAccess", "none of them", "exactly one of github, gitlab, oidc",
    ),
    "two CI systems": (
        {"pairs": {"web": pair()}, "ciAccess": {"github": GITHUB, "gitlab": GITLAB}}, "ciAccess",
        '"github" and "gitlab"', "exactly one of github, gitlab, oidc",
    ),
    "neither branch nor environment": (
        {"pairs": {"web": pair()}, "ciAccess": {"github": {"repository": "o/r"}}}, "ciAccess.github", "none of them",
        "branch, environment or both",
    ),
    "a pipeline of an unknown pair": (
        pipeline(pair="wbe"), "pipeline.pair", '"wbe"', 'a configured pair: "web" or "api"',
    ),
    "a pipeline of one of two pairs": (
        pipeline(), "pipeline.pair", "nothing", '"web" or "api": more than one pair is configured',
    ),
    "a pipeline of a pair without a deployment": (
        pipeline(pair="api"), "pipeline.pair", '"api", without `deploy`',
        "a pair with `deploy`, because every release is deployed",
    ),
    "a pipeline of the only pair, without a deployment": (
        web() | {"pipeline": {"source": BRANCH}}, "pipeline.pair", '"web", without `deploy`', "a pair with `deploy`",
    ),
    "a pipeline that still says how to deploy": (
        pipeline(pair="web", deploy=DEPLOY), "pipeline.deploy", "a key of an earlier version",
        "not here any more: put it into the pair, which the workflow deploys",
    ),
    "a pipeline that still says whether it expects its release": (
        pipeline(pair="web", expectRelease=False), "pipeline.expectRelease", "a key of an earlier version",
        "not any more: with a releaseHeader in a check of the pair, its release is always expected",
    ),
    "a hook that is a command and a function": (
        hooks({"command": "x", "function": FUNCTION}), "pairs.web.hooks.beforeCutover[0]",
        '"command" and "function"', "exactly one of command, function",
    ),
    "a hook that is neither": (
        hooks({"command": "x"}, {"server": "live"}), "pairs.web.hooks.beforeCutover[1]", "none of them",
        "exactly one of command, function",
    ),
    "hooks of a moment that do not fit into one call": (
        hooks({"command": "x", "timeoutSeconds": 781}, {"function": FUNCTION}), "pairs.web.hooks.beforeCutover",
        "hooks with 841 seconds together",
        "timeoutSeconds that are together at most 840: one call of a function runs them",
    ),
    "commands that are too long for a document": (
        hooks(*[{"command": "'" * 1000}] * 10), "pairs.web", "commands that make a document of ",
        "at most 64000; put long commands into a script on the servers",
    ),
    **{
        f"evaluations too close: {expression}": (
            web(readiness={"scheduleExpression": expression}), "pairs.web.readiness.scheduleExpression",
            f'"{expression}"', "at least 5 minutes from one evaluation to the next, also across the hour",
        )
        for expression in (
            "rate(4 minutes)", "rate(1 minute)", "cron(* 6 * * ? *)", "cron(0/4 * * * ? *)", "cron(1,5 0 * * ? *)",
            "cron(0,58 * * * ? *)", "cron(0,58 0-1 * * ? *)", "cron(0,58 0,23 * * ? *)",
        )
    },
    **{
        f"a range back: {expression}": (
            web() | {"readiness": {"scheduleExpression": expression}}, "readiness.scheduleExpression",
            f'"{expression}"', 'ranges of times and years that end after they begin, as in "22-23,0-5"',
        )
        for expression in (
            "cron(0 18-6 * * ? *)", "cron(30-10 0 * * ? *)", "cron(0 0 1 1 ? 2027-2026)",
        )
    },
    "an approval of executions that never wait": (
        web(approval={}), "pairs.web.approval", "an approval, but no deploy",
        "only with `deploy`: only an execution with a release waits",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("context", "path", "found", "allowed"), BROKEN.values(), ids=BROKEN.keys())
def test_keys_that_contradict_each_other_are_reported_with_what_to_do(
    context: dict[str, Any], path: str, found: str, allowed: str
) -> None:
    assert_only_problem(context, path, found, allowed)


SHORTEST = {"timeoutSeconds": 1, "healthyThresholdCount": 1, "unhealthyThresholdCount": 1, "deadlineSeconds": 1}
FITTING = [
    web(bakeSeconds=0), web(bakeSeconds=6), web(bakeSeconds=86_400),
    web(bakeSeconds=60, healthCheck=[{}, {"intervalSeconds": 30, "unhealthyThresholdCount": 2}]),
    web(bakeSeconds=86_400, healthCheck=[SHORTEST, {"deadlineSeconds": 840}, AFTER_540]),
    check(maxLatencyMs=2000), check(startPeriodSeconds=839, **SHORTEST | {"deadlineSeconds": 840}),
    check(timeoutSeconds=120, unhealthyThresholdCount=4),
    {"pairs": {"web": pair(), "api": OTHER_PAIR | {"servers": {"Tao": THIRD, "bittybot": "i-5e6f7a8b"}}}},
    {"pairs": {"web": pair(), "api": OTHER_PAIR | {"healthCheck": {"via": "private"}}}, "vpc": VPC},
    web(deploy=DEPLOY, approval={}),
    hooks({"command": "x", "timeoutSeconds": 780}, {"function": FUNCTION}),
]  # fmt: skip


@pytest.mark.parametrize("context", FITTING)
def test_the_bounds_of_a_rule_are_allowed(context: dict[str, Any]) -> None:
    assert configured(context.get)


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ({}, 12), ({"intervalSeconds": 5}, 30), ({"healthyThresholdCount": 10, "unhealthyThresholdCount": 2}, 24),
        ({"startPeriodSeconds": 60}, 72), ({"deadlineSeconds": 300}, 300),
        ({"deadlineSeconds": 16, "startPeriodSeconds": 10}, 16),
        ({"deadlineSeconds": 20, "unhealthyThresholdCount": 10}, 20),
    ],
)  # fmt: skip
def test_the_default_deadline_allows_as_many_slow_probes_as_both_thresholds_need(
    keys: dict[str, Any], seconds: int
) -> None:
    (only,) = configured(check(**keys).get).pairs["web"].healthCheck
    assert only.deadlineSeconds == seconds


def test_the_pipeline_uses_the_only_pair_by_default() -> None:
    context = pipeline()
    del context["pairs"]["api"]
    settings = configured(context.get)
    assert settings.pipeline
    assert settings.pipeline.pair == "web"


def test_a_pair_may_have_as_many_bytes_as_fit_into_a_plan_and_not_one_more() -> None:
    def given(length: int) -> dict[str, Any]:
        headers = {f"X-{key}": "v" * 1000 for key in range(6)}
        paths = [length // 10] * 9 + [length - length // 10 * 9]
        return checks(*({"headers": headers, "path": "/" + "p" * path} for path in paths))

    empty = len(json.dumps(configured(given(0).get).pairs["web"].as_json()))
    assert configured(given(65_536 - empty).get)
    assert_only_problem(given(65_537 - empty), "pairs.web", "65537 bytes of JSON", "at most 65536")


@pytest.mark.parametrize(
    ("context", "path"),
    [
        (check(timeoutSeconds=0, maxLatencyMs=5000, deadlineSeconds=1), "pairs.web.healthCheck.timeoutSeconds"),
        (check(**TCP | {"port": 0}), "pairs.web.healthCheck.port"),
        (check(**HTTPS | {"protocol": "https"}), "pairs.web.healthCheck.protocol"),
        (check(protocol="https"), "pairs.web.healthCheck.protocol"),
        (check(protocol="HTTPS", hostHeader="-."), "pairs.web.healthCheck.verifyCertificate"),
        (check(protocol="HTTPS", hostHeader="*"), "pairs.web.healthCheck.hostHeader"),
        (checks({"via": "Private"}, {"via": "private"}), "pairs.web.healthCheck[0].via"),
        (web(bakeSeconds=60, healthCheck={"startPeriodSeconds": 835}), "pairs.web.healthCheck.deadlineSeconds"),
        (web(servers={"tao": TAO}, networkInterfaces=INTERFACES), "pairs.web.servers"),
        (check(via="private") | {"vpc": {**VPC, "subnetIds": []}}, "vpc.subnetIds"),
        ({"pairs": {"web": pair(staging="x")}, "pipeline": {"source": BRANCH}}, "pairs.web.staging"),
        (web(deploy={"command": ""}, approval={}), "pairs.web.deploy.command"),
        (hooks({"command": "{{", "timeoutSeconds": 840}), "pairs.web.hooks.beforeCutover[0].command"),
        ({"pairs": {"web": pair()}, "ciAccess": {"gitlab": GITLAB | {"url": "x"}}}, "ciAccess.gitlab.url"),
        ({"pairs": {"web": pair()}, "readiness": {"certificateExpiryDays": 0}}, "readiness.certificateExpiryDays"),
    ],
)
def test_a_key_that_is_wrong_by_itself_is_reported_once(context: dict[str, Any], path: str) -> None:
    assert paths_of(context) == [path]
