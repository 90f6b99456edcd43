"""The Task states HealthCheckStaging and HealthCheckProduction: does a server answer through an address?

`check` reads the event, `verdict` has the pure rules, `polling` the loops; here the loops run side by side, one thread
each, their ends become a result or an error, and how fast the server answered becomes a metric.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from domain.errors import ProductionUnhealthy, StagingUnhealthy
from domain.text import shortened
from health import shared_store
from health.check import Check, checks_of, live_checks_of
from health.deadline import Stop
from health.messages import alarm_message, bake_message, unhealthy_message
from health.polling import KEPT_FINDINGS, Polled, ProbeOnce, bake, poll, together
from health.probe import probe
from health.tls import client_context
from health.verdict import Finding, Healthy, Unhealthy, last_good

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from aws.alarms import Watched

ERROR_CHARACTERS = 160

Prober = Callable[[Check, Stop], ProbeOnce]

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Checks a server through an address, within the longest `deadlineSeconds`, and watches it for `bakeSeconds` then.

    Event: `{"execution", "address": {"name", "publicIp", "privateIp"}, "server": {"name", "instanceId"},
    "healthCheck": [check, ...]}`, and maybe `expectedRelease`; for staging `live`, the server that holds production;
    for production `answered`, from the result for staging, `movingSeconds`, for which a moved address may still lead
    elsewhere, `bakeSeconds` and `alarms`, names of CloudWatch alarms.

    Returns `{"healthy": true, "address", "publicIp", "server", "checks", "answered", "warnings"}`: `checks` and
    `answered` in the order of the event's checks, `warnings` in words what could not be checked. A check has `check`
    (its URL), `probes` (the last 20, each `status`, `milliseconds`, `error`), `probeCount`, `identity`, `release` and
    `shared`: null, or `{"compared": true, "value"}`, or `{"compared": false, "reason"}`. What it answered has
    `identity`, `release` and `shared`, each a header's value or null.

    Raises StagingUnhealthy or ProductionUnhealthy, by the address's name, and PreflightFailed.
    """
    checks, live_checks = checks_of(event), live_checks_of(event)
    prober = _prober([*checks, *live_checks])

    polled, live = _polled(checks, live_checks, prober)
    logger.info("health check finished", extra=_result(event, polled))
    emit([_latency(event, polled)])
    if failed := [one for one in polled if isinstance(one.verdict, Unhealthy)]:
        raise _error(event)(unhealthy_message(failed[0], failed=len(failed), checks=len(checks)))

    comparisons = [_compared(*both) for both in zip(polled, live, strict=True)]
    if seconds := event.get("bakeSeconds") or 0:
        polled = [_joined(*both) for both in zip(polled, _baked(event, checks, seconds, prober), strict=True)]
    return _result(event, polled, comparisons)


def _prober(checks: Sequence[Check | None]) -> Prober:
    """What asks once, for a check. The system's CAs are loaded here, so that no probe waits for them."""
    requests = [check.request for check in checks if check]
    verified = {request.verify_certificate for request in requests if request.protocol == "HTTPS"}
    contexts = {one: client_context(verified=one) for one in verified}
    return lambda check, stop: functools.partial(
        probe, check.request, contexts.get(check.request.verify_certificate), stop
    )


def _polled(
    checks: Sequence[Check], live_checks: Sequence[Check | None], prober: Prober
) -> tuple[list[Polled], list[Polled | None]]:
    """How each check ended, and in the same order how that of the live server did; that one ends nobody else's."""

    def loop(check: Check) -> Callable[[Stop], Polled]:
        return lambda stop: poll(check, prober(check, stop), time.monotonic, stop.wait)

    asked = [check for check in live_checks if check]
    ended = together(
        [loop(check) for check in [*checks, *asked]],
        lambda one: isinstance(one.verdict, Unhealthy) and one.check in checks,
    )
    live = iter(ended[len(checks) :])
    return ended[: len(checks)], [next(live) if check else None for check in live_checks]


def _compared(staging: Polled, live: Polled | None) -> shared_store.Same | shared_store.NotCompared | None:
    """None where there is nothing to compare. Raises PreflightFailed."""
    if not (staging.check.shared_header and staging.check.address == "staging"):
        return None
    comparison = shared_store.compared(staging.check, _answered(staging)["shared"], live)
    if isinstance(comparison, shared_store.NotCompared):
        logger.warning("what the servers share was not compared", extra={"reason": comparison.reason})
    return comparison


def _baked(event: Mapping[str, Any], checks: Sequence[Check], seconds: float, prober: Prober) -> list[Polled]:
    """How each check went on for so long. Raises ProductionUnhealthy, also for the alarms."""

    def loop(check: Check) -> Callable[[Stop], "Polled | Watched"]:
        return lambda stop: bake(check, prober(check, stop), seconds, time.monotonic, stop.wait)

    loops = [loop(check) for check in checks]
    if names := event.get("alarms"):
        # Only here: boto3 takes longer to import than all the rest, and most pairs have no alarms.
        from aws.alarms import alarms_in_alarm, cloudwatch_client, watch  # noqa: PLC0415

        look = functools.partial(alarms_in_alarm, cloudwatch_client(watching=True), names)
        loops.append(lambda stop: watch(look, seconds, time.monotonic, stop.wait))
    ended = together(
        loops, lambda one: isinstance(one.verdict, Unhealthy) if isinstance(one, Polled) else bool(one.wrong)
    )
    baked = [one for one in ended if isinstance(one, Polled)]
    watched = [one for one in ended if not isinstance(one, Polled)]
    logger.info("bake finished", extra=_result(event, baked) | {"alarms": [one.wrong for one in watched]})
    emit([_latency(event, baked)])
    if failed := [one for one in baked if isinstance(one.verdict, Unhealthy)]:
        raise _error(event)(bake_message(failed[0], failed=len(failed), checks=len(checks)))
    for one in watched:
        if one.wrong:
            raise _error(event)(alarm_message(checks[0], one.wrong, one.seconds))
    return baked


def _latency(event: Mapping[str, Any], polled: Sequence[Polled]) -> Metric:
    """How long the good ones of the last 20 probes of each check took."""
    found = [one for ended in polled for one in ended.findings[-KEPT_FINDINGS:]]
    return Metric(
        "HealthCheckLatency",
        MetricUnit.Milliseconds,
        tuple(one.milliseconds for one in found if one.problem is None),
        ({"address": event["address"]["name"], "server": event["server"]["name"]},),
    )


def _joined(polled: Polled, baked: Polled) -> Polled:
    return replace(
        baked,
        findings=[*polled.findings, *baked.findings],
        probe_count=polled.probe_count + baked.probe_count,
    )


def _error(event: Mapping[str, Any]) -> type[StagingUnhealthy | ProductionUnhealthy]:
    return StagingUnhealthy if event["address"]["name"] == "staging" else ProductionUnhealthy


def _result(
    event: Mapping[str, Any],
    polled: Sequence[Polled],
    comparisons: Sequence[shared_store.Same | shared_store.NotCompared | None] = (),
) -> dict[str, Any]:
    """What the handler returns; far below the 256 KiB that a state's output may have, whatever the servers sent."""
    compared = list(comparisons) or [None] * len(polled)
    return {
        "healthy": all(isinstance(one.verdict, Healthy) for one in polled),
        "address": event["address"]["name"],
        "publicIp": event["address"]["publicIp"],
        "server": event["server"]["name"],
        "checks": [_check_result(*both) for both in zip(polled, compared, strict=True)],
        "answered": [_answered(one) for one in polled],
        "warnings": [
            f"{one.check.shared_header} of {one.check.server} was compared with nothing: {comparison.reason}."
            for one, comparison in zip(polled, compared, strict=True)
            if isinstance(comparison, shared_store.NotCompared)
        ],
    }


def _check_result(polled: Polled, comparison: shared_store.Same | shared_store.NotCompared | None) -> dict[str, Any]:
    answered = _answered(polled)
    return {
        "check": polled.check.request.url,
        "probes": [_probe_result(one) for one in polled.findings[-KEPT_FINDINGS:]],
        "probeCount": polled.probe_count,
        "identity": answered["identity"],
        "release": answered["release"],
        "shared": comparison and {"compared": isinstance(comparison, shared_store.Same), **asdict(comparison)},
    }


def _probe_result(found: Finding) -> dict[str, Any]:
    error = found.problem and shortened(found.problem.text, ERROR_CHARACTERS)
    return {"status": found.status, "milliseconds": found.milliseconds, "error": error}


def _answered(polled: Polled) -> dict[str, str | None]:
    """What the last good probe found in the headers."""
    found = last_good(polled.findings)
    return {
        "identity": found.identity if found else None,
        "release": found.release if found else None,
        "shared": found.shared if found else None,
    }
