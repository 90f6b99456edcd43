"""The Task states HealthCheckStaging and HealthCheckProduction: does a server answer through an address?

Three parts: `decide` is the pure rule, from the probes so far to a verdict; `poll` is the loop that asks it, with the
prober, the clock and the sleep as arguments; `handler` reads the event, polls, and returns or raises.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never

from aws_lambda_powertools import Logger

from errors import ProductionUnhealthy, StagingUnhealthy
from probe import Probe, Request, probe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MESSAGE_CHARACTERS = 999
REASON_CHARACTERS = 420
URL_CHARACTERS = 120
SHOWN_PROBES = 10

logger = Logger()


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """One check: which server through which address, what to ask it, what is good, and when that is decided.

    The keys from `protocol` on are those of an ELB target group; `matcher` as in "200", "200-299", "200,300-302".
    """

    address: Literal["staging", "production"]
    public_ip: str
    server: str
    instance_id: str
    protocol: Literal["HTTP", "HTTPS"]
    port: int
    path: str
    matcher: str
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold_count: int
    unhealthy_threshold_count: int
    deadline_seconds: float

    @staticmethod
    def from_event(event: Mapping[str, Any]) -> "HealthCheck":
        """Reads the event that the workflow makes from the configuration; every key of `healthCheck` is there."""
        settings = event["healthCheck"]
        return HealthCheck(
            address=event["address"]["name"],
            public_ip=event["address"]["publicIp"],
            server=event["server"]["name"],
            instance_id=event["server"]["instanceId"],
            protocol=settings["protocol"],
            port=settings["port"],
            path=settings["path"],
            matcher=settings["matcher"],
            interval_seconds=settings["intervalSeconds"],
            timeout_seconds=settings["timeoutSeconds"],
            healthy_threshold_count=settings["healthyThresholdCount"],
            unhealthy_threshold_count=settings["unhealthyThresholdCount"],
            deadline_seconds=settings["deadlineSeconds"],
        )

    @property
    def request(self) -> Request:
        return Request(
            protocol=self.protocol,
            ip=self.public_ip,
            port=self.port,
            path=self.path,
            timeout_seconds=self.timeout_seconds,
        )

    def is_good(self, found: Probe) -> bool:
        return found.error is None and found.status is not None and matches(self.matcher, found.status)


@dataclass(frozen=True)
class Healthy:
    """Enough probes in a row were good."""


@dataclass(frozen=True)
class Unhealthy:
    """Enough probes in a row were bad, or the time is up; `reason` says which, and what was found."""

    reason: str


@dataclass(frozen=True)
class GoOn:
    """Nothing is decided yet."""


def matches(matcher: str, status: int) -> bool:
    """Whether a status code is one of an ELB matcher's: "200", "200-299", "200,301", "200,300-302".

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Matcher.html
    """
    ranges = (part.partition("-") for part in matcher.split(","))
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


def decide(check: HealthCheck, probes: Sequence[Probe], next_seconds: float) -> Healthy | Unhealthy | GoOn:
    """The verdict after these probes, of which there is at least one.

    `next_seconds` is when the next probe would start, counted from the start of the check. If that one could not be
    over by the deadline, a check that is still undecided is unhealthy: the server kept flapping.
    """
    good = [check.is_good(found) for found in probes]
    in_a_row = next((n for n, other in enumerate(reversed(good)) if other != good[-1]), len(good))
    if good[-1] and in_a_row >= check.healthy_threshold_count:
        return Healthy()
    if not good[-1] and in_a_row >= check.unhealthy_threshold_count:
        return Unhealthy(f"{_counted(in_a_row)} in a row failed: {_found(check, probes[-in_a_row:])}")
    if next_seconds + check.timeout_seconds > check.deadline_seconds:
        return Unhealthy(
            f"it kept flapping: in {check.deadline_seconds:g} s neither {check.healthy_threshold_count} good probes "
            f"in a row nor {check.unhealthy_threshold_count} bad ones: {_found(check, probes)}"
        )
    return GoOn()


def poll(
    check: HealthCheck,
    probe_once: Callable[[], Probe],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[Healthy | Unhealthy, list[Probe]]:
    """Probes until there is a verdict, and returns it with the probes.

    Probes start `interval_seconds` apart, or at once after one that took longer; after the last there is no wait.
    `clock` and `sleep` are in seconds.
    """
    begin = clock()
    probes: list[Probe] = []
    while True:
        due = clock() + check.interval_seconds
        probes.append(probe_once())
        now = clock()
        verdict = decide(check, probes, max(due, now) - begin)
        match verdict:
            case Healthy() | Unhealthy():
                return verdict, probes
            case GoOn():
                sleep(max(due - now, 0))
            case _:
                assert_never(verdict)


def unhealthy_message(check: HealthCheck, reason: str, probes: Sequence[Probe]) -> str:
    """What a person reads, below 1,000 characters: what was checked, what was found and expected, where to look.

    What was changed before this check, if anything, is known to the workflow only, which adds it.
    """
    url = _shortened(check.request.url, URL_CHARACTERS)
    message = [
        f"{check.server} ({check.instance_id}) is not healthy through the {check.address} address, at {url}:",
        f"{_shortened(reason, REASON_CHARACTERS)} ({_counted(len(probes))} in all).",
        _where_to_look(check, next(found for found in reversed(probes) if not check.is_good(found))),
    ]
    return _shortened(" ".join(message), MESSAGE_CHARACTERS)


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Checks a server through an address, within `deadline_seconds`.

    Event: `{"execution", "address": {"name", "publicIp"}, "server": {"name", "instanceId"}, "healthCheck": {...}}`.
    Returns `{"healthy": true, "address", "publicIp", "server", "probes": [{"status", "milliseconds", "error"}]}`.
    Raises StagingUnhealthy or ProductionUnhealthy, by the address's name.
    """
    check = HealthCheck.from_event(event)
    verdict, probes = poll(check, functools.partial(probe, check.request), time.monotonic, time.sleep)
    result = {
        "healthy": isinstance(verdict, Healthy),
        "address": check.address,
        "publicIp": check.public_ip,
        "server": check.server,
        "probes": [asdict(found) for found in probes],
    }
    logger.info("health check finished", extra=result)
    if isinstance(verdict, Unhealthy):
        unhealthy = {"staging": StagingUnhealthy, "production": ProductionUnhealthy}[check.address]
        raise unhealthy(unhealthy_message(check, verdict.reason, probes))
    return result


def _found(check: HealthCheck, probes: Sequence[Probe]) -> str:
    """What the last probes found, and what was expected where an answer came."""
    shown = probes[-SHOWN_PROBES:]
    found = [_one_found(one) for one in shown]
    if all(one.status is None for one in shown):
        return "; ".join(dict.fromkeys(found))
    return f"expected status {_shortened(check.matcher, SHOWN_PROBES * 4)}, found {', '.join(found)}"


def _one_found(found: Probe) -> str:
    return ": ".join(str(part) for part in (found.status, found.error) if part is not None)


def _where_to_look(check: HealthCheck, bad: Probe) -> str:
    match bad:
        case Probe(status=None):
            return (
                f"Look whether a web server runs on {check.server} and speaks {check.protocol} on port {check.port}, "
                "and what its security group and network ACL let in."
            )
        case Probe(status=int(), error=str()):
            return f"Look at the application on {check.server}: it begins its answers and does not finish them."
        case Probe(status=int(status)) if 300 <= status < 400:
            return "A redirect is not followed: configure the path that it leads to, or let the matcher accept it."
        case Probe(status=int(status)) if 400 <= status < 500:
            return (
                f"Look whether the application on {check.server} knows this path, and accepts a request whose Host "
                f"header is {check.request.host}."
            )
        case _:
            return f"Look at the log of the application on {check.server}."


def _counted(probes: int) -> str:
    return "1 probe" if probes == 1 else f"{probes} probes"


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
