"""One check of a server: its settings, the address it goes through, and what is expected there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from domain.errors import PreflightFailed
from domain.pair import AddressName, Server
from health.probe import Target


@dataclass(frozen=True, kw_only=True)
class CheckSettings(Target):
    """One health check as configured, with all defaults. None: the key is left out, or the protocol has no such key."""

    interval_seconds: float
    healthy_threshold_count: int
    unhealthy_threshold_count: int
    start_period_seconds: float
    deadline_seconds: float
    via: Literal["public", "private"] | None = None
    matcher: str | None = None
    body_contains: str | None = None
    max_latency_ms: float | None = None
    release_header: str | None = None
    identity_header: str | None = None
    shared_header: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedAddress:
    """An Elastic IP address, and the private IP that it is associated with."""

    name: AddressName
    public_ip: str | None
    private_ip: str | None = None

    def ip(self, via: str | None) -> str | None:
        return self.private_ip if via == "private" else self.public_ip


@dataclass(frozen=True, kw_only=True)
class LiveServer(Server):
    """The server that holds the production address, with the IPs of that address."""

    public_ip: str | None
    private_ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckEvent:
    """What every event of a handler that checks has: the server, the address, and the checks."""

    execution: str
    server: Server
    address: CheckedAddress
    health_check: list[CheckSettings]


@dataclass(frozen=True)
class Answered:
    """The values of the configured headers in a response; None for one that is missing."""

    identity: str | None = None
    release: str | None = None
    shared: str | None = None


@dataclass(frozen=True, kw_only=True)
class Check(CheckSettings):
    """The settings, for one address of one server. What is expected (as identity, what staging answered) is compared
    unless None. For `moving_seconds`, also added to the deadline, the address may lead to its former server or none."""

    server: str
    instance_id: str
    address: AddressName
    moving_seconds: float = 0
    expected_release: str | None = None
    expected_identity: str | None = None

    @property
    def requires_headers(self) -> bool:
        """Whether the identity and shared headers are required: only on staging, before anything was changed."""
        return self.address == "staging"


def checks_of(event: CheckEvent, answered: Sequence[Answered] | None = None, **expected: Any) -> list[Check]:
    """The checks of a server through an address: production's use the public IP and have no start period. `answered` is
    what staging answered, by check; without it, identities are not compared. `expected` has `expected_release` and
    `moving_seconds`, as in `Check`. Raises PreflightFailed without an IP."""
    settings: Sequence[CheckSettings] = event.health_check
    if event.address.name == "production":
        settings = [replace(each, via="public", start_period_seconds=0) for each in settings]
    return [
        _check(each, event.server, event.address, expected_identity=staging.identity, **expected)
        for each, staging in zip(settings, answered or [Answered()] * len(settings), strict=True)
    ]


def live_checks(settings: Sequence[CheckSettings], live: LiveServer | None) -> dict[int, Check]:
    """The live server's checks, by the index of the settings, if it has an IP to check."""
    if live is None:
        return {}
    address = CheckedAddress(name="production", public_ip=live.public_ip, private_ip=live.private_ip)
    return {
        index: _check(replace(each, start_period_seconds=0), live, address)
        for index, each in enumerate(settings)
        if address.ip(each.via)
    }


def _check(settings: CheckSettings, server: Server, address: CheckedAddress, **expected: Any) -> Check:
    ip = address.ip(settings.via)
    if not ip:
        raise PreflightFailed(
            f"The health check of {server} goes to the {address.name} address, but EC2 "
            f"shows no {settings.via} IP for it. Check whether the address is associated with a running instance."
        )
    deadline = settings.deadline_seconds + expected.get("moving_seconds", 0)
    values = {**vars(settings), "ip": ip, "deadline_seconds": deadline, **expected}
    return Check(server=server.name, instance_id=server.instance_id, address=address.name, **values)
