"""The event and the check for the tests of the health check, and results of probes."""

from dataclasses import replace
from typing import Any

from domain.events import read
from health.check import Check, CheckEvent, CheckSettings, LiveServer, checks_of
from health.result import Failure, Probe
from health.verdict import Finding, judge

SETTINGS: dict[str, Any] = {
    "protocol": "HTTP", "port": 80, "path": "/health", "matcher": "200", "startPeriodSeconds": 0, "intervalSeconds": 1,
    "timeoutSeconds": 2, "healthyThresholdCount": 3, "unhealthyThresholdCount": 3, "deadlineSeconds": 12,
}  # fmt: skip
EVENT: dict[str, Any] = {
    "execution": "cutover-7",
    "address": {"name": "staging", "publicIp": "203.0.113.11", "privateIp": "10.0.0.11"},
    "server": {"name": "tao", "instanceId": "i-0bbbbbbbbbbbbbbbb"},
    "healthCheck": [SETTINGS],
}
PRODUCTION: dict[str, Any] = {**EVENT, "address": {"name": "production", "publicIp": "203.0.113.7"}}
KAI = LiveServer(name="kai", instance_id="i-0aaaaaaaaaaaaaaaa", public_ip="203.0.113.7", private_ip="10.0.0.7")

GOOD = Probe(200, 10)
BAD = Probe(500, 10)
REFUSED = Probe(None, 1, "connection refused", "refused")
SLOW = Probe(None, 2000, "no answer within 2 s", "no answer")


def settings(**changed: Any) -> CheckSettings:
    """The settings with these keys of the configuration changed."""
    return read(CheckSettings, {**SETTINGS, **changed})


def check(*, expected_release: str | None = None, **changed: Any) -> Check:
    """The check of staging with these keys of the configuration changed."""
    [checked] = checks_of(read(CheckEvent, {**EVENT, "healthCheck": [{**SETTINGS, **changed}]}))
    return replace(checked, expected_release=expected_release)


def production(**changed: Any) -> Check:
    """The check of production with these fields changed."""
    return replace(checks_of(read(CheckEvent, PRODUCTION))[0], **changed)


CHECK = check()


def answer(body: bytes = b"", **headers: str) -> Probe:
    """A 200 with this body and these headers, as in `X_Server_Id`."""
    return replace(GOOD, body=body, headers={name.replace("_", "-").lower(): value for name, value in headers.items()})


def failed(failure: Failure, error: str, status: int | None = None) -> Probe:
    return Probe(status, 10, error, failure)


def findings(check: Check, probes: list[Probe], *, apart_seconds: float = 1) -> list[Finding]:
    return [judge(check, probe, number * apart_seconds) for number, probe in enumerate(probes)]
