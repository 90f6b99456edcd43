"""Whether staging and production share what they must share: the same value of one header, asked of both at once.

Two servers with a database or a session store of their own each go out of step, and a cutover would show it to users.
"""

from dataclasses import dataclass

from domain.errors import PreflightFailed
from domain.text import shortened
from health.check import Check
from health.polling import Polled
from health.verdict import Healthy, Unhealthy

VALUE_CHARACTERS = 60
DANGER = (
    "Two servers with a database or session store of their own go out of step: what users write to one is missing on "
    "the other after the cutover. Let both use one store, or correct what the header reports."
)


@dataclass(frozen=True)
class Same:
    """Both servers answer with this value."""

    value: str


@dataclass(frozen=True)
class NotCompared:
    """There was nothing to compare with; `reason` says why. A dead production does not block the way out of it."""

    reason: str


def compared(check: Check, value: str | None, live: Polled | None) -> Same | NotCompared:
    """Staging's value of the check's shared header, compared with that of the same check of the live server.

    An answer that is bad by another measure names the store as well as a good one does, so every one that has the
    header counts. Raises PreflightFailed where one differs, or where the live server answers well without the header.
    """
    if live is None:
        return NotCompared("no server holds the production address")
    seen = [one.shared for one in live.findings if one.shared is not None or one.problem is None]
    if not isinstance(live.verdict, Healthy) and not any(seen):
        reason = live.verdict.reason if isinstance(live.verdict, Unhealthy) else "it gave no good answer"
        return NotCompared(f"production does not answer well: {reason}")
    others = [one for one in seen if one != value]
    if value is not None and not others:
        return Same(value)
    other = others[-1] if others else None
    header, both = check.shared_header, f"{check.server} and {live.check.server}"
    staging = f"{check.server} answers {_shown(value)} through the staging address ({check.request.short_url})"
    production = f"{live.check.server} {_shown(other)} through the production address"
    lead = f"{header} is missing on the live server" if other is None else f"{both} do not share what {header} names"
    raise PreflightFailed(
        f"{lead}: {staging}, {production} ({live.check.request.ip}:{live.check.request.port}). {DANGER}"
    )


def _shown(value: str | None) -> str:
    return "without it" if value is None else f'"{shortened(value, VALUE_CHARACTERS)}"'
