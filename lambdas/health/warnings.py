"""What may soon prevent or spoil a cutover, although the health check has passed: sentences that say what to do."""

import socket
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
            which = f"{what} of {check.server} ({names}){sent} at https://{check.ip}:{check.port}"
            sentences.append(f"{which} {when} {date}. {do}.".replace('"', ""))
    return sentences


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
