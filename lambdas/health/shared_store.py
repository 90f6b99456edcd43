"""Do staging and production share their data, or would users miss it after a cutover? One header must be the same."""

from typing import Any

from domain.errors import PreflightFailed
from health.polling import Polled
from health.result import quoted
from health.verdict import Healthy, Unhealthy


def compared(polled: Polled, live: Polled | None) -> dict[str, Any] | None:
    """Compares staging's shared header; None for other checks. Returns `{"compared": true, "value"}`, or `{"compared":
    false, "reason"}`: an unhealthy production blocks no cutover. Raises PreflightFailed if they differ."""
    check = polled.check
    if not (check.shared_header and check.requires_headers):
        return None
    if live is None:
        return {"compared": False, "reason": "the live server was not asked"}
    value = polled.answered.shared
    answered = [finding for finding in live.findings if finding.answered.shared is not None or finding.is_good]
    if not isinstance(live.verdict, Healthy) and not any(finding.answered.shared for finding in answered):
        reason = live.verdict.reason if isinstance(live.verdict, Unhealthy) else "it gave no good answer"
        return {"compared": False, "reason": f"production is not healthy: {reason}"}
    others = [finding.answered.shared for finding in answered if finding.answered.shared != value]
    if value is not None and not others:
        return {"compared": True, "value": value}
    other, target = others[-1] if others else None, live.check
    lead = f"{check.server} and {target.server} do not share what {check.shared_header} names"
    if other is None:
        lead = f"{check.shared_header} is missing on the live server"
    raise PreflightFailed(
        f"{lead}: {check.server} answers {_shown(value)} through the staging address ({check.short_url}), "
        f"{target.server} {_shown(other)} through the production address ({target.ip}:{target.port}). If each server "
        f"has its own database or session store, what users write to one server is missing on the other after the "
        f"cutover. Let both use one store, or correct what the header reports."
    )


def _shown(value: str | None) -> str:
    return "without it" if value is None else quoted(value)
