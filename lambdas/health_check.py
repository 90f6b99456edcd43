"""The Task states HealthCheckStaging and HealthCheckProduction: does a server answer through an address?

The room `health` probes and decides. Here the checks run at the same time, their results become a result or an error,
and the latencies become a metric.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from domain.errors import ProductionUnhealthy, StagingUnhealthy
from domain.events import read
from domain.text import shortened
from health.check import (
    Answered,
    Check,
    CheckedAddress,
    CheckedServer,
    CheckSettings,
    LiveServer,
    checks_of,
    live_checks,
)
from health.deadline import Stop
from health.messages import alarm_message, bake_message, unhealthy_message
from health.polling import KEPT_FINDINGS, Polled, bake, poll, together
from health.probe import Prober, prober
from health.shared_store import compared
from health.verdict import Healthy, last_answered

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from aws.alarms import Watched

RESULT_ERROR_CHARACTERS = 160

logger = Logger()


@dataclass(frozen=True, kw_only=True)
class HealthCheckEvent:
    """What the states send; see `handler`."""

    execution: str
    address: CheckedAddress
    server: CheckedServer
    health_check: list[CheckSettings]
    expected_release: str | None = None
    live: LiveServer | None = None
    answered: list[Answered] | None = None
    moving_seconds: float = 0
    bake_seconds: float = 0
    alarms: list[str] = field(default_factory=list)


EVENTS = (HealthCheckEvent,)


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Checks a server through an address until the longest `deadlineSeconds`, then watches it for `bakeSeconds`.

    Event: `{"execution", "address": {"name", "publicIp", "privateIp"}, "server": {"name", "instanceId"},
    "healthCheck": [check, ...]}` and optionally `expectedRelease`; for staging `live`, the server that holds production
    with its IPs; for production `answered` from the result for staging, `movingSeconds`, for which a moved address may
    still lead elsewhere, `bakeSeconds`, and `alarms`, names of CloudWatch alarms.

    Returns `{"healthy": true, "address", "publicIp", "server", "checks", "answered", "warnings"}`: `checks` and
    `answered` in the order of the event's checks; `warnings` say what could not be checked. A check has `check` (its
    URL), `probes` (the last 20, each `status`, `milliseconds`, `error`), `probeCount`, `identity`, `release` and
    `shared`: null, or `{"compared": true, "value"}`, or `{"compared": false, "reason"}`. What a server answered has
    `identity`, `release` and `shared`, each the value of a header or null.

    Raises StagingUnhealthy or ProductionUnhealthy, depending on the address, and PreflightFailed.
    """
    return _health_checked(read(HealthCheckEvent, event))


def _health_checked(event: HealthCheckEvent) -> dict[str, Any]:
    checks = checks_of(
        event.health_check,
        event.server,
        event.address,
        expected_release=event.expected_release,
        answered=event.answered,
        moving_seconds=event.moving_seconds,
    )
    live = live_checks(event.health_check, event.live)
    probe = prober([check.target for check in (*checks, *live.values())])
    ended = together(
        [partial(poll, check, probe) for check in (*checks, *live.values())],
        ends_all=lambda polled: polled.is_unhealthy and polled.check.address == event.address.name,
    )
    polled, live_polled = ended[: len(checks)], dict(zip(live, ended[len(checks) :], strict=True))
    _report(event, "health check finished", polled, unhealthy_message)
    comparisons = [
        compared(each, live_polled.get(number)) if each.check.shared_header and each.check.requires_headers else None
        for number, each in enumerate(polled)
    ]
    if event.bake_seconds:
        polled = [_joined(*both) for both in zip(polled, _baked(event, checks, probe), strict=True)]
    result = _result(event, polled, comparisons)
    if result["warnings"]:
        logger.warning("not everything was compared", extra={"warnings": result["warnings"]})
    return result


def _baked(event: HealthCheckEvent, checks: Sequence[Check], probe: Prober) -> list[Polled]:
    """How each check went on. Raises ProductionUnhealthy for a check and for an alarm."""
    loops: list[Callable[[Stop], Polled | Watched]] = [
        partial(bake, check, probe, event.bake_seconds) for check in checks
    ]
    if event.alarms:
        # Only here: boto3 takes longer to import than everything else, and most pairs have no alarms.
        from aws.alarms import alarms_in_alarm, cloudwatch_client, watch  # noqa: PLC0415

        look = partial(alarms_in_alarm, cloudwatch_client(watching=True), event.alarms)
        loops.append(lambda stop: watch(look, event.bake_seconds, time.monotonic, stop.wait))
    ended = together(loops, lambda each: each.is_unhealthy if isinstance(each, Polled) else bool(each.wrong))
    baked = [each for each in ended if isinstance(each, Polled)]
    wrong = [(each.wrong, each.seconds) for each in ended if not isinstance(each, Polled) and each.wrong]
    _report(event, "bake finished", baked, bake_message, alarms=[text for text, _ in wrong])
    for text, seconds in wrong:
        raise _error(event)(alarm_message(checks[0], text, seconds))
    return baked


def _joined(polled: Polled, baked: Polled) -> Polled:
    findings, probe_count = [*polled.findings, *baked.findings], polled.probe_count + baked.probe_count
    return replace(baked, findings=findings, probe_count=probe_count)


def _report(
    event: HealthCheckEvent, title: str, polled: Sequence[Polled], message: Callable[..., str], **more: Any
) -> None:
    """Logs how the checks ended, and publishes their latency. Raises the error of the first one that is unhealthy."""
    logger.info(title, extra=_result(event, polled) | more)
    emit([_latency(event, polled)])
    if failed := [each for each in polled if each.is_unhealthy]:
        raise _error(event)(message(failed[0], failed=len(failed), checks=len(polled)))


def _error(event: HealthCheckEvent) -> type[StagingUnhealthy | ProductionUnhealthy]:
    return StagingUnhealthy if event.address.name == "staging" else ProductionUnhealthy


def _latency(event: HealthCheckEvent, polled: Sequence[Polled]) -> Metric:
    """The milliseconds of the good probes, out of the last 20 of each check."""
    findings = [finding for each in polled for finding in each.findings[-KEPT_FINDINGS:]]
    return Metric(
        "HealthCheckLatency",
        MetricUnit.Milliseconds,
        tuple(finding.milliseconds for finding in findings if finding.is_good),
        ({"address": event.address.name, "server": event.server.name},),
    )


def _result(
    event: HealthCheckEvent, polled: Sequence[Polled], comparisons: Sequence[dict[str, Any] | None] = ()
) -> dict[str, Any]:
    """What the handler returns: far below the 256 KiB of a state's output, whatever the servers sent."""
    warnings = [
        f"{each.check.shared_header} of {each.check.server} was compared with nothing: {comparison['reason']}."
        for each, comparison in zip(polled, comparisons, strict=False)
        if comparison and not comparison["compared"]
    ]
    return {
        "healthy": all(isinstance(each.verdict, Healthy) for each in polled),
        "address": event.address.name,
        "publicIp": event.address.public_ip,
        "server": event.server.name,
        "checks": [_check_result(*both) for both in zip_longest(polled, comparisons)],
        "answered": [asdict(last_answered(each.findings)) for each in polled],
        "warnings": warnings,
    }


def _check_result(polled: Polled, comparison: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "check": polled.check.target.url,
        "probes": [
            {
                "status": finding.status,
                "milliseconds": finding.milliseconds,
                "error": finding.problem and shortened(finding.problem.text, RESULT_ERROR_CHARACTERS),
            }
            for finding in polled.findings[-KEPT_FINDINGS:]
        ],
        "probeCount": polled.probe_count,
        **asdict(last_answered(polled.findings)),
        "shared": comparison,
    }
