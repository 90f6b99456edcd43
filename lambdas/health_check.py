"""HealthCheckStaging, HealthCheckProduction and others: does a server answer through an address, by all its checks?"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from domain.errors import CutoverError, ProductionUnhealthy, RollbackRequested, StagingUnhealthy
from domain.events import read
from domain.plan import Standing, refuse_redriven
from domain.text import shortened
from health.check import Answered, Check, CheckEvent, LiveServer, checks_of, live_checks
from health.deadline import Stop
from health.messages import alarm_message, bake_message, compared, expiring, misled, slow, unhealthy_message
from health.polling import Polled, ask, bake, beside, poll, together
from health.probe import Prober, prober
from health.verdict import Finding

RESULT_ERROR_CHARACTERS, FAILURE_CHARACTERS = 160, 400

logger = Logger()


@dataclass(frozen=True, kw_only=True)
class HealthCheckEvent(CheckEvent):
    """For staging, `live` holds production. For production, `answered` is what staging answered; `moving_seconds`: as
    in `Check`. With `baking`, a healthy server and the CloudWatch `alarms` are watched for `bake_seconds`, a part of
    the bake until `until` (ISO 8601); `urgent` tolerates unreadable alarms. With `standing`, both addresses are
    described at the end. If it `asks`, only each releaseHeader counts. `lock`: as in `RollbackRequest`."""

    expected_release: str | None = None
    live: LiveServer | None = None
    certificate_expiry_days: int = 14
    answered: list[Answered] | None = None
    moving_seconds: float = 0
    bake_seconds: float = 0
    alarms: list[str] = field(default_factory=list)
    standing: Standing | None = None
    lock: dict[str, str] | None = None
    baking: bool = False
    until: str | None = None
    urgent: bool = False
    asks: bool = False
    redriven: bool = False


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: dict[str, Any], _context: object, *, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Checks a server through an address until the longest `deadlineSeconds`, or for `bakeSeconds`. Returns what
    `_result` or `_release` does and, with `standing`, `last_look`. Raises RollbackRequested at once, StagingUnhealthy,
    ProductionUnhealthy, PreflightFailed, Redriven, or with `standing` MovedMeanwhile: another server may be meant."""
    if event["address"] is None:
        answered = [asdict(Answered())] * len(event["healthCheck"])
        return {"healthy": True, "checks": [], "answered": answered, "warnings": [], "soon": []}
    asked = read(HealthCheckEvent, event)
    refuse_redriven(redriven=asked.redriven)
    try:
        result = _checked(asked)
    except CutoverError as error:
        if not isinstance(error, RollbackRequested):
            _last_look(asked, sleep, failure=f"The check failed, too: {shortened(str(error), FAILURE_CHARACTERS)}")
        raise
    return result | _last_look(asked, sleep)


def _last_look(asked: HealthCheckEvent, sleep: Callable[[float], None], failure: str = "") -> dict[str, Any]:
    if asked.standing is None:
        return {}
    # Imported only if needed: boto3 takes longer to import than everything else, and most checks do not call AWS.
    from aws.addresses import last_look  # noqa: PLC0415

    return last_look(asked.standing, sleep=sleep, failure=failure)


def _checked(asked: HealthCheckEvent) -> dict[str, Any]:
    expected = {"expected_release": asked.expected_release, "moving_seconds": asked.moving_seconds}
    checks = checks_of(asked, asked.answered, **expected)
    if asked.asks:
        return _release(asked, [check for check in checks if check.release_header])
    if asked.baking:
        return _result(asked, _baked(asked, checks, prober(checks)))
    lives, days = live_checks(asked.health_check, asked.live), asked.certificate_expiry_days
    live = {index: check for index, check in lives.items() if check.shared_header}
    https = [replace(each, path=None) for each in lives.values() if each.protocol == "HTTPS"]
    probe = prober([*checks, *live.values(), *https])
    certificates = beside(lambda check, stop: expiring(check, days, probe(check, stop).certificates), https)
    hosts = {str(each.tls_name).lower() for each in asked.health_check if each.host_header and each.via != "private"}
    names = beside(lambda host, _: misled(host, asked.live.public_ip if asked.live else None), hosts)
    ended = together(
        [partial(poll, check, probe) for check in (*checks, *live.values())],
        ends_all=lambda polled: polled.is_unhealthy and polled.check.address == asked.address.name,
        meanwhile=_listening(asked),
    )
    polled, live_polled = ended[: len(checks)], dict(zip(live, ended[len(checks) :], strict=True))
    _report(asked, "health check finished", polled, unhealthy_message)
    polled = [replace(each, shared=compared(each, live_polled.get(index))) for index, each in enumerate(polled)]
    result = _result(asked, polled)
    if asked.address.name == "staging":
        last = [(each.check, each.findings[-1]) for each in polled]
        soon = [sentence for check, good in last for sentence in expiring(check, days, good.certificates)]
        slowly = [sentence for check, good in last for sentence in slow(check, good.milliseconds)]
        result["soon"] = list(dict.fromkeys([*soon, *certificates()]))
        result["warnings"] += [*result["soon"], *slowly, *names()]
    for warning in result["warnings"]:
        logger.warning(warning)
    return result


def _release(event: HealthCheckEvent, checks: Sequence[Check]) -> dict[str, Any]:
    """Whether every check is answered with the expected release; `release` is what was answered, or null."""
    probe, expected = prober(checks), event.expected_release
    answers = together([partial(ask, check, probe) for check in checks], lambda answer: answer != expected)
    others = [answer for answer in answers if answer != expected]
    release = next(filter(None, others), None) if others else expected
    return {"hasRelease": not others, "release": release, **_about(event)}


def _baked(event: HealthCheckEvent, checks: Sequence[Check], probe: Prober) -> list[Polled]:
    """The results of the bake, for each check. Raises ProductionUnhealthy for a check and for an alarm."""
    loops: list[Callable[[Stop], Any]] = [partial(bake, check, probe, event.bake_seconds) for check in checks]
    if event.alarms:
        from aws.alarms import alarms_in_alarm, watch  # noqa: PLC0415
        from aws.calls import ONCE, aws_client  # noqa: PLC0415

        # Three such reads fit into the function's last seconds.
        read_alarms = partial(alarms_in_alarm, aws_client("cloudwatch", ONCE), event.alarms)
        # Alarms that cannot be read do not fail this part of the bake if another part follows, or if it is urgent.
        left = datetime.fromisoformat(event.until).timestamp() - time.time() if event.until else 0
        tolerant = event.urgent or left > event.bake_seconds + 1
        watching = partial(watch, read_alarms, event.bake_seconds, time.monotonic, tolerant=tolerant)
        loops.append(lambda stop: watching(stop.wait))
    ended = together(
        loops, lambda each: each.is_unhealthy if isinstance(each, Polled) else bool(each), meanwhile=_listening(event)
    )
    baked = [each for each in ended if isinstance(each, Polled)]
    alarmed = [each for each in ended if isinstance(each, str)]
    _report(event, "bake finished", baked, bake_message, alarms=alarmed)
    for wrong in alarmed:
        raise _error(event)(alarm_message(checks[0], wrong))
    return baked


def _listening(event: HealthCheckEvent) -> list[Callable[[Stop], None]]:
    """A loop that listens for a request to roll back, if there can be one. Its import does not delay the probes."""

    def listen(stop: Stop) -> None:
        from aws.records import RollbackRequest  # noqa: PLC0415

        RollbackRequest(event.lock).listen(stop.wait)

    return [listen] if event.lock and "LOCK_TABLE" in os.environ else []


def _report(event: HealthCheckEvent, what: str, polled: list[Polled], message: Callable[..., str], **more: Any) -> None:
    """Logs the results and publishes the latency of good probes. Raises the error of the first check that failed."""
    logger.info(what, extra=_result(event, polled) | more)
    latency = tuple(finding.milliseconds for each in polled for finding in each.last_findings if finding.is_good)
    dimensions = {"address": event.address.name, "server": event.server.name}
    emit([Metric("HealthCheckLatency", MetricUnit.Milliseconds, latency, (dimensions,))])
    if failed := [each for each in polled if each.is_unhealthy]:
        raise _error(event)(message(failed[0], failed=len(failed), checks=len(polled)))


def _error(event: HealthCheckEvent) -> type[StagingUnhealthy | ProductionUnhealthy]:
    return StagingUnhealthy if event.address.name == "staging" else ProductionUnhealthy


def _result(event: HealthCheckEvent, polled: Sequence[Polled]) -> dict[str, Any]:
    """`checks` and `answered`, the values of headers or null, are in the order of the event's checks; `warnings` say
    what could not be checked. `shared` is as in `compared`. Whatever the servers sent, this is far below 256 KiB."""
    return {
        "healthy": not any(each.is_unhealthy for each in polled),
        **_about(event),
        "checks": [
            {
                "check": each.check.url,
                "probes": [_probe(finding) for finding in each.last_findings],
                "probeCount": each.probe_count,
                **asdict(each.answered),
                "shared": each.shared,
            }
            for each in polled
        ],
        "answered": [asdict(each.answered) for each in polled],
        "warnings": [
            f"{each.check.shared_header} of {each.check.server} was not compared: {each.shared['reason']}."
            for each in polled
            if each.shared and not each.shared["compared"]
        ],
    }


def _about(event: HealthCheckEvent) -> dict[str, Any]:
    return {"address": event.address.name, "publicIp": event.address.public_ip, "server": event.server.name}


def _probe(finding: Finding) -> dict[str, Any]:
    error = finding.problem and shortened(finding.problem.text, RESULT_ERROR_CHARACTERS)
    return {"status": finding.status, "milliseconds": finding.milliseconds, "error": error}
