"""One check of a server, read from the event: what to ask through which address, what is good, when that is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domain.errors import PreflightFailed
from health.header_value import normalised
from health.probe import Request

AddressName = Literal["staging", "production"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """The names are those of the configuration, and of an ELB target group where it has one.

    A header is only looked at where its name is configured, and what is expected of it only where that is not None;
    `expected_identity` is what staging answered before the cutover. For `moving_seconds` the address may still lead to
    the server that it was on before, or nowhere; the deadline is later by as much.
    """

    address: AddressName
    server: str
    instance_id: str
    request: Request
    interval_seconds: float
    healthy_threshold_count: int
    unhealthy_threshold_count: int
    deadline_seconds: float
    start_period_seconds: float = 0
    moving_seconds: float = 0
    matcher: str = "200"
    body_contains: str | None = None
    max_latency_ms: float | None = None
    release_header: str | None = None
    expected_release: str | None = None
    identity_header: str | None = None
    expected_identity: str | None = None
    shared_header: str | None = None
    private: bool = False

    @property
    def requires_headers(self) -> bool:
        """Whether an answer without the identity and shared headers is bad: before the cutover, while it can wait."""
        return self.address == "staging"


def checks_of(event: Mapping[str, Any]) -> list[Check]:
    """The checks of the event's address. Raises PreflightFailed where one goes to an address that is not there."""
    settings: Sequence[Mapping[str, Any]] = event["healthCheck"]
    name: AddressName = event["address"]["name"]
    release = event.get("expectedRelease")
    release = None if release is None else normalised(release)
    if name == "staging":
        server = event["server"]
        return [_check(one, name, server, event["address"], expected_release=release) for one in settings]
    # What staging answered is in the order of the checks; without it, as for a restored server, nothing is compared.
    answered = event.get("answered") or [{}] * len(settings)
    moving = event.get("movingSeconds") or 0
    return [
        _check(
            {**one, "via": "public", "startPeriodSeconds": 0, "deadlineSeconds": one["deadlineSeconds"] + moving},
            name,
            event["server"],
            event["address"],
            moving_seconds=moving,
            expected_release=release,
            expected_identity=before.get("identity"),
        )
        for one, before in zip(settings, answered, strict=True)
    ]


def live_checks_of(event: Mapping[str, Any]) -> list[Check | None]:
    """The same checks of the live server, for those of staging with a header to compare with its; None for others."""
    live = event.get("live") if event["address"]["name"] == "staging" else None
    return [
        _check({**one, "startPeriodSeconds": 0}, "production", live, live)
        if live and one.get("sharedHeader") and live.get(_key(one))
        else None
        for one in event["healthCheck"]
    ]


def _check(
    settings: Mapping[str, Any],
    name: AddressName,
    server: Mapping[str, Any],
    address: Mapping[str, Any],
    **expected: Any,
) -> Check:
    """What is left out of the settings, or null, has its default."""
    given = {key: value for key, value in settings.items() if value is not None}
    key = _key(given)
    if not address.get(key):
        raise PreflightFailed(
            f"The health check of {server['name']} ({server['instanceId']}) goes to the {name} address, and EC2 shows "
            f"no {key} of it. Look whether the address is associated with a running instance."
        )
    request = Request(
        protocol=given["protocol"],
        ip=address[key],
        port=given["port"],
        path=given.get("path", "/"),
        timeout_seconds=given["timeoutSeconds"],
        host_header=given.get("hostHeader"),
        headers=given.get("headers", {}),
        verify_certificate=given.get("verifyCertificate", True),
    )
    return Check(
        address=name,
        server=server["name"],
        instance_id=server["instanceId"],
        request=request,
        interval_seconds=given["intervalSeconds"],
        healthy_threshold_count=given["healthyThresholdCount"],
        unhealthy_threshold_count=given["unhealthyThresholdCount"],
        deadline_seconds=given["deadlineSeconds"],
        start_period_seconds=given.get("startPeriodSeconds", 0),
        matcher=given.get("matcher", "200"),
        body_contains=given.get("bodyContains"),
        max_latency_ms=given.get("maxLatencyMs"),
        release_header=given.get("releaseHeader"),
        identity_header=given.get("identityHeader"),
        shared_header=given.get("sharedHeader"),
        private=key == "privateIp",
        **expected,
    )


def _key(settings: Mapping[str, Any]) -> str:
    return "privateIp" if settings.get("via") == "private" else "publicIp"
