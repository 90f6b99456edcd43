"""Contexts as a person may write them into cdk.json, with every key, and the messages about wrong values."""

import json
import re
from typing import Any

import pytest

from stacks.configuration.problems import InvalidConfiguration
from stacks.configuration.settings import configured

PRODUCTION, STAGING, OTHER = "eipalloc-0123456789abcdef0", "eipalloc-1a2b3c4d", "eipalloc-0fedcba9876543210"
BITTYBOT, TAO, THIRD = "i-0123456789abcdef0", "i-1a2b3c4d", "i-0fedcba9876543210"
SERVERS = {"bittybot": BITTYBOT, "tao": TAO}
INTERFACES = {"bittybot": "eni-0123456789abcdef0", "tao": "eni-1a2b3c4d"}
VPC = {"subnetIds": ["subnet-0123456789abcdef0"], "securityGroupIds": ["sg-1a2b3c4d"]}
GITHUB = {"repository": "octo-org/octo-repo", "branch": "main"}
GITLAB = {"project": "octo-group/team/web", "branch": "main"}
OIDC = {"url": "https://token.example.com/issuer", "audience": "sts.amazonaws.com", "subject": "job:web:main"}
CONNECTION = "arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
BRANCH = {"connectionArn": CONNECTION, "repository": "octo-org/octo-repo", "branch": "main"}
OBJECT = {"bucket": "releases-of-octo", "key": "web/release.zip"}
DEPLOY = {"command": '/opt/web/deploy "$RELEASE"'}
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:drain:live"
HOOK = {"server": "live", "timeoutSeconds": 30, "onFailure": "CONTINUE"}
HOOKS = {
    "beforeCutover": [HOOK | {"command": "/opt/web/drain"}, HOOK | {"function": FUNCTION}],
    "afterCutover": [HOOK | {"command": "/opt/web/jobs start"}, HOOK | {"function": FUNCTION}],
    "afterRollback": [HOOK | {"command": "/opt/web/undrain"}, HOOK | {"function": FUNCTION}],
}
RELEASES = {"deploy": DEPLOY | {"timeoutSeconds": 60}, "hooks": HOOKS, "approval": {"timeoutMinutes": 30}}
READINESS = {"scheduleExpression": "cron(0 6 ? * MON-FRI *)", "certificateExpiryDays": 30}
TCP = {"protocol": "TCP", "port": 22}
HTTPS = {"protocol": "HTTPS", "hostHeader": "www.example.com"}


def pair(**keys: object) -> dict[str, Any]:
    return {"production": PRODUCTION, "staging": STAGING, "servers": SERVERS} | keys


OTHER_PAIR = {"production": OTHER, "staging": "eipalloc-5e6f7a8b", "servers": {"a": THIRD, "b": "i-5e6f7a8b"}}
TIMES = {
    "via": "private", "intervalSeconds": 2, "timeoutSeconds": 3, "maxLatencyMs": 500, "healthyThresholdCount": 2,
    "unhealthyThresholdCount": 2, "startPeriodSeconds": 10, "deadlineSeconds": 60,
}  # fmt: skip
OF_A_RESPONSE = {
    "path": "/health", "matcher": "200-299", "bodyContains": "ok", "hostHeader": "www.example.com",
    "headers": {"X-Probe": "1"}, "identityHeader": "X-Server", "releaseHeader": "X-Release", "sharedHeader": "X-Data",
}  # fmt: skip
EVERY_CHECK: list[dict[str, Any]] = [
    {"protocol": "HTTP", "port": 80} | TIMES | OF_A_RESPONSE,
    {"protocol": "HTTPS", "port": 443, "verifyCertificate": True} | TIMES | OF_A_RESPONSE,
    TCP | TIMES,
]
EVERY_PAIR_KEY = (
    pair(networkInterfaces=INTERFACES, healthCheck=EVERY_CHECK, bakeSeconds=60, alarms=["web-5xx"], readiness=READINESS)
    | RELEASES
)
# With a bake, a deployment, hooks and an approval: its workflows have every state, except those of a check in a VPC.
WITH_RELEASES: dict[str, Any] = {"pairs": {"web": pair(bakeSeconds=60) | RELEASES}}
# No context has every key: there is one CI system, one kind of source.
COMPLETE: list[dict[str, Any]] = [
    {
        "name": "team-b",
        "pairs": {"web": EVERY_PAIR_KEY},
        "readiness": {"scheduleExpression": "rate(12 hours)", "certificateExpiryDays": 7},
        "vpc": VPC,
        "notifications": {"emails": ["ops@example.com"]},
        "ciAccess": {"github": GITHUB | {"audience": "sts.amazonaws.com", "provider": "create"}},
        "pipeline": {"pair": "web", "source": BRANCH},
    },
    {
        "pairs": {"web": pair(deploy=DEPLOY)},
        "ciAccess": {"gitlab": GITLAB | {"url": "https://gitlab.example.com", "audience": "x", "provider": "existing"}},
        "pipeline": {"source": OBJECT},
    },
    {"pairs": {"web": pair()}, "ciAccess": {"oidc": OIDC | {"provider": "existing"}}},
    {
        "pairs": {"web": pair()},
        "ciAccess": {
            "github": {
                "repository": "octo-org@1/octo-repo@2", "branch": "main", "environment": "production EU",
                "repositoryId": "2", "workflow": "Release",
            },
        },
    },
]  # fmt: skip


def steps(path: str) -> list[str | int]:
    return [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]


def object_at(path: str) -> tuple[dict[str, Any], Any, str | int]:
    """A copy of the first complete context that has the key at `path`, or may have it; the object with it; the key."""
    *above, key = steps(path)
    candidates = []
    for context in json.loads(json.dumps(COMPLETE)):
        inside: Any = context
        try:
            for step in above:
                inside = inside[step]
        except (KeyError, IndexError):
            continue
        candidates.append((key not in inside, context, inside))
    _, context, inside = min(candidates, key=lambda candidate: candidate[0])
    return context, inside, key


def changed(path: str, value: object) -> dict[str, Any]:
    context, inside, key = object_at(path)
    inside[key] = value
    return context


def without(path: str) -> dict[str, Any]:
    context, inside, key = object_at(path)
    del inside[key]
    return context


def check(**keys: object) -> dict[str, Any]:
    return {"pairs": {"web": pair(healthCheck=keys)}, "vpc": VPC}


def checks(*given: object) -> dict[str, Any]:
    return {"pairs": {"web": pair(healthCheck=list(given))}, "vpc": VPC}


def problems_of(context: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfiguration) as refused:
        configured(context.get)
    _, *lines = str(refused.value).split("\n")
    assert all(line.startswith("  ") and line.isprintable() and len(line) < 600 for line in lines)
    return [line.strip() for line in lines]


def paths_of(context: dict[str, Any]) -> list[str]:
    return [problem.partition(": found ")[0] for problem in problems_of(context)]


def assert_only_problem(context: dict[str, Any], path: str, found: str, allowed: str) -> None:
    (problem,) = problems_of(context)
    named, _, rest = problem.partition(": found ")
    was_found, _, is_allowed = rest.partition("; allowed: ")
    assert named == path
    assert found in was_found
    assert allowed in is_allowed
