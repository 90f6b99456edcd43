"""What may soon prevent or spoil a cutover, although the health check has passed: sentences that say what to do."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from health.check import Check
from health.result import Certificates

OWN = ("The certificate of", "Renew it, and reload the web server")
ABOVE = ("A certificate above that of", "Replace what the server sends after its own certificate")


def expiring(check: Check, days: int, certificates: Certificates) -> Iterator[str]:
    """The certificates of a server, its own first, that expire within so many days, or are out of date."""
    now = time.time()
    for number, (ends, begins, names) in enumerate(certificates):
        if ends - now <= days * 86_400 or begins > now:
            what, do = ABOVE if number else OWN
            first, today, last = (datetime.fromtimestamp(seconds, UTC).date() for seconds in (begins, now, ends))
            left = {0: "today", 1: "in 1 day"}.get((last - today).days, f"in {(last - today).days} days")
            when = f"expires {left}, on {last}" if ends > now else f"expired on {last}"
            when = f"is not valid before {first}" if begins > now else when
            yield f"{what} {check.server} ({names}) at https://{check.ip}:{check.port} {when}. {do}.".replace('"', "")


def slow(check: Check, took: int) -> list[str]:
    """If a good probe took more milliseconds than half the limit. `maxLatencyMs` is at most the timeout."""
    key = "maxLatencyMs" if check.max_latency_ms else "timeoutSeconds"
    limit = check.max_latency_ms or check.timeout_seconds * 1000
    passed = f"The health check {check.short_url} of {check.server} passed slowly: {took} ms"
    why = f"from {limit:g} ms on ({key}), it fails. Find out why, or raise {key}."
    return [f"{passed}; {why}"] if took > limit / 2 else []


def misled(host: str, ip: str | None) -> list[str]:
    """How DNS keeps users of a host away from the production address, unless `host` is an IP address or localhost."""
    if not ip or ":" in host or (top := host.rpartition(".")[2]).isdigit() or top == "localhost":
        return []
    try:
        ips = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    except socket.gaierror as failure:  # if DNS cannot be asked, nothing is known
        ips = set() if failure.errno in (socket.EAI_NONAME, socket.EAI_NODATA) else {ip}
    problems = {
        "has an AAAA record, which a cutover does not move. Remove it.": any(":" in each for each in ips),
        f"does not resolve to the production address {ip}. Correct its A record, if it has no proxy.": ip not in ips,
    }
    return [f"{host} (hostHeader) {problem}" for problem, exists in problems.items() if exists]
