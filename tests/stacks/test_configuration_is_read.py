"""Every key of a pair and of its health checks changes what a function does: no key is forgotten."""

import json
from typing import Any

import pytest

from domain.events import read
from domain.pair import Pair
from domain.release_commands import Moment, steps
from health.check import CheckEvent, checks_of
from stacks.configuration import pairs
from stacks.configuration.allowed import Section
from stacks.configuration.health_check import HttpCheck, HttpsCheck, TcpCheck
from stacks.configuration.settings import configured
from tests.stacks.contexts import COMPLETE, EVERY_CHECK, FUNCTION, INTERFACES, READINESS, RELEASES, SERVERS

# Another valid value of each key, beside those of the complete context.
OTHER_VALUES: dict[str, Any] = {
    "production": "eipalloc-0fedcba9876543210", "staging": "eipalloc-0fedcba9876543210",
    "servers": SERVERS | {"tao": "i-0fedcba9876543210"},
    "networkInterfaces": INTERFACES | {"tao": "eni-0fedcba9876543210"}, "healthCheck": [EVERY_CHECK[0]],
    "bakeSeconds": 61, "alarms": ["api-5xx"], "port": 8080, "via": "public", "intervalSeconds": 4, "timeoutSeconds": 4,
    "maxLatencyMs": 501, "healthyThresholdCount": 3, "unhealthyThresholdCount": 3, "startPeriodSeconds": 11,
    "deadlineSeconds": 61, "path": "/ready", "matcher": "204", "bodyContains": "ready",
    "hostHeader": "api.example.com", "headers": {"X-Probe": "2"}, "identityHeader": "X-Host",
    "releaseHeader": "X-Version", "sharedHeader": "X-Store", "verifyCertificate": False,
    "deploy": {"command": "/opt/web/install"}, "hooks": {}, "approval": {"timeoutMinutes": 31},
    "readiness": False,
}  # fmt: skip
ADDRESS = {"name": "staging", "publicIp": "203.0.113.11", "privateIp": "10.0.0.11"}
SERVER = {"name": "tao", "instanceId": SERVERS["tao"]}


def written(**keys: Any) -> dict[str, Any]:
    """The pair in pairs.json, as a function reads it."""
    context = COMPLETE[0] | {"pairs": {"web": COMPLETE[0]["pairs"]["web"] | keys}}
    pair: dict[str, Any] = json.loads(json.dumps(configured(context.get).pairs["web"].as_json()))
    return pair


def as_pair(**keys: Any) -> Pair:
    return Pair.from_json("web", written(**keys))


def as_checks(check: dict[str, Any]) -> str:
    sent = {"healthCheck": written(healthCheck=check)["healthCheck"], "address": ADDRESS, "server": SERVER}
    return repr(checks_of(read(CheckEvent, {"execution": "e", **sent})))


@pytest.mark.parametrize(("key", "value"), [("scheduleExpression", "rate(2 days)"), ("certificateExpiryDays", 31)])
def test_every_key_of_readiness_is_read(key: str, value: object) -> None:
    assert as_pair(readiness=READINESS | {key: value}) != as_pair()


@pytest.mark.parametrize("key", pairs.Pair.model_fields)
def test_every_key_of_a_pair_is_read(key: str) -> None:
    assert as_pair(**{key: OTHER_VALUES[key]}) != as_pair()


# The keys of a release, and another valid value of each.
OF_A_RELEASE: dict[tuple[Moment, str], Any] = {
    ("deploy", "command"): "/opt/web/install", ("deploy", "timeoutSeconds"): 61,
    ("beforeCutover", "server"): "idle", ("beforeCutover", "command"): "/opt/web/wait",
    ("afterCutover", "timeoutSeconds"): 31, ("afterRollback", "onFailure"): "FAIL",
}  # fmt: skip


@pytest.mark.parametrize(("moment", "key"), OF_A_RELEASE, ids=map(" ".join, OF_A_RELEASE))
def test_every_key_of_a_command_is_read(moment: Moment, key: str) -> None:
    given = json.loads(json.dumps(RELEASES))
    changed = given["deploy"] if moment == "deploy" else given["hooks"][moment][0]
    changed[key] = OF_A_RELEASE[moment, key]
    assert steps(as_pair(**given), moment) != steps(as_pair(), moment)


def test_the_function_of_a_hook_is_read() -> None:
    assert [step.function for step in steps(as_pair(), "afterRollback")] == [None, FUNCTION]


SECTIONS: dict[str, type[Section]] = dict(zip(("HTTP", "HTTPS", "TCP"), (HttpCheck, HttpsCheck, TcpCheck), strict=True))
KEYS = [(check, key) for check in EVERY_CHECK for key in SECTIONS[check["protocol"]].model_fields if key != "protocol"]


@pytest.mark.parametrize(("check", "key"), KEYS, ids=[f"{check['protocol']} {key}" for check, key in KEYS])
def test_every_key_of_a_check_is_read(check: dict[str, Any], key: str) -> None:
    assert as_checks(check | {key: OTHER_VALUES[key]}) != as_checks(check)


def test_the_protocol_of_a_check_is_read() -> None:
    same = {"port": 8443} | {key: value for key, value in EVERY_CHECK[0].items() if key in TcpCheck.model_fields}
    assert len({as_checks(same | {"protocol": protocol}) for protocol in ("TCP", "HTTP")}) == 2
    same = EVERY_CHECK[0] | {"port": 8443}
    assert as_checks(same) != as_checks(same | {"protocol": "HTTPS"})
