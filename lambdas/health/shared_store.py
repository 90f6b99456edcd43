"""Whether staging and production share what they must share: the same value of one header, read from both at once.

Two servers with separate databases or session stores go out of step, and after a cutover users would notice.
"""

from typing import Any

from domain.errors import PreflightFailed
from health.polling import Polled
from health.result import quoted
from health.verdict import Healthy, Unhealthy

DANGER = (
    "Two servers with a database or session store of their own go out of step: what users write to one is missing on "
    "the other after the cutover. Let both use one store, or correct what the header reports."
)


def compared(polled: Polled, live: Polled | None) -> dict[str, Any] | None:
    """Compares the shared header of a healthy staging server with that of the live server; None for other checks.

    Returns `{"compared": true, "value"}`, or `{"compared": false, "reason"}` if there was nothing to compare with: a
    production that fails does not block a cutover. Raises PreflightFailed if one response with the header differs, also
    one that is bad in another respect, or if the live server answers well without the header."""
    check = polled.check
    if not (check.shared_header and check.requires_headers):
        return None
    if live is None:
        return {"compared": False, "reason": "no server holds the production address"}
    value = polled.answered.shared
    answered = [finding for finding in live.findings if finding.answered.shared is not None or finding.is_good]
    if not isinstance(live.verdict, Healthy) and not any(finding.answered.shared for finding in answered):
        reason = live.verdict.reason if isinstance(live.verdict, Unhealthy) else "it gave no good answer"
        return {"compared": False, "reason": f"production does not answer well: {reason}"}
    others = [finding.answered.shared for finding in answered if finding.answered.shared != value]
    if value is not None and not others:
        return {"compared": True, "value": value}
    other, target = others[-1] if others else None, live.check
    lead = f"{check.server} and {target.server} do not share what {check.shared_header} names"
    if other is None:
        lead = f"{check.shared_header} is missing on the live server"
    raise PreflightFailed(
        f"{lead}: {check.server} answers {_shown(value)} through the staging address ({check.short_url}), "
        f"{target.server} {_shown(other)} through the production address ({target.ip}:{target.port}). {DANGER}"
    )


def _shown(value: str | None) -> str:
    return "without it" if value is None else quoted(value)
