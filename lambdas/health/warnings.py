"""What may soon prevent or spoil a cutover, although the health check has passed: sentences that say what to do."""

import time
from datetime import UTC, datetime

from health.check import Check
from health.result import Certificates

OWN = ("The certificate", "", "Renew it, and reload the web server")
ABOVE = ("A certificate above that", ", which the server sends,", "Replace what it sends after its own certificate")


def expiring(check: Check, days: int, certificates: Certificates) -> list[str]:
    """The certificates of a server, its own first, that expire within so many days, or have expired."""
    sentences, now = [], time.time()
    for number, (ends, _, names) in enumerate(certificates):
        if ends - now <= days * 86_400:
            what, sent, do = ABOVE if number else OWN
            date, today = (datetime.fromtimestamp(seconds, UTC).date() for seconds in (ends, now))
            left = "1 day" if (date - today).days == 1 else f"{(date - today).days} days"
            when = f"expires in {left}, on" if ends > now else "expired on"
            name = names.replace('"', "")
            which = f"{what} of {check.server} ({name}){sent} at https://{check.ip}:{check.port}"
            sentences.append(f"{which} {when} {date}. {do}.")
    return sentences


def slow(check: Check, took: int) -> list[str]:
    """If a good probe took more milliseconds than half the limit. `maxLatencyMs` is at most the timeout."""
    key = "maxLatencyMs" if check.max_latency_ms else "timeoutSeconds"
    limit = check.max_latency_ms or check.timeout_seconds * 1000
    passed = f"The health check {check.short_url} of {check.server} passed slowly: {took} ms"
    why = f"from {limit:g} ms on ({key}), it fails. Find out why, or raise {key}."
    return [f"{passed}; {why}"] if took > limit / 2 else []
