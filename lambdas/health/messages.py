"""What a health check says. If it failed: what was found, expected, and what to do, below 1,000 printable characters.
If it passed: what may soon prevent or spoil a cutover, and whether the servers share their data."""

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from domain.errors import PreflightFailed
from domain.text import capitalized, shortened
from health.check import Check
from health.polling import Polled
from health.result import Certificates, quoted
from health.verdict import Healthy, Kind, Problem, Unhealthy, any_good, counted_probes

OWN = ("The certificate of", "Renew it, and reload the web server")
ABOVE = ("A certificate above that of", "Replace what the server sends after its own certificate")
MESSAGE_CHARACTERS, HOST_NAME_CHARACTERS = 999, 40
WHAT_TO_DO: dict[Kind, str] = {
    "refused": "{server} was reached, but nothing accepts connections on its port {port}: check that the application "
    "runs, and that it listens on all addresses of the server, not only on 127.0.0.1.",
    "unreachable": "Check that {server} runs, that something listens on its port {port}, and that its security group "
    "and network ACL let {source} in.",
    "tls": "Check that the web server on {server} speaks {protocol} on port {port}, and read its log.",
    "certificate": "Check the certificate that the web server on {server} sends for {name}, and whether the server was "
    "reloaded after the last renewal. With verifyCertificate false, any certificate is accepted.",
    "old tls": "The probe needs TLS 1.2 or 1.3 with secure renegotiation, ciphers and keys that browsers accept, and "
    "no client certificate: update the TLS library of the web server on {server}, or change its TLS settings.",
    "issuer": "Replace the certificates that the web server on {server} sends after its own (in fullchain.pem, or in "
    "SSLCertificateChainFile), and reload it. With verifyCertificate false, any certificate is accepted.",
    "no answer": "{server} accepts connections on port {port}: check whether a web server that speaks {protocol} "
    "listens there, and whether its application hangs.",
    "incomplete": "Check the application on {server}: it begins its answers and does not finish them.",
    "slow": "Check the load of {server} and what its application waits for, or raise maxLatencyMs.",
    "body": "Check what {server} answers at this path; bodyContains is searched for in the first 5,120 bytes.",
    "release": "The release was not deployed to {server}, or its application was not restarted afterwards.",
    "no identity": "Make the application on {server} send this header, or remove identityHeader from cdk.json.",
    "identity": "Check for a cache or proxy in front of {server}. The header must name the server, not the request.",
    "identities": "Check whether this header names the request instead of the server, and whether there is a load "
    "balancer behind the address.",
    "no shared": "Make the application on {server} send this header, or remove sharedHeader from cdk.json.",
}


def unhealthy_message(polled: Polled, *, failed: int = 1, checks: int = 1, is_unhealthy: str = "is not healthy") -> str:
    """For a failed check, when `failed` of so many `checks` failed."""
    check = polled.check
    through = f"through the {check.address} address,{f' {failed} of {checks} checks,' if checks > 1 else ''}"
    before = f"{check.server} ({check.instance_id}) {is_unhealthy} {through} at {check.short_url}: "
    after = f" ({counted_probes(polled.probe_count)} in all). {_what_to_do(polled)}"
    reason = polled.verdict.reason if isinstance(polled.verdict, Unhealthy) else ""
    return f"{before}{shortened(reason, MESSAGE_CHARACTERS - len(before) - len(after))}{after}"


bake_message = partial(unhealthy_message, is_unhealthy="became unhealthy during the bake")


def alarm_message(check: Check, wrong: str) -> str:
    """For an alarm during the bake of a healthy server; `wrong` says what is wrong with the alarms."""
    healthy = f"{check.server} ({check.instance_id}) is healthy through the {check.address} address, at {check.ip}"
    advice = "Check the alarm's history and its metric in CloudWatch."
    return shortened(f"{healthy}, but during the bake {wrong}. {advice}", MESSAGE_CHARACTERS)


def _what_to_do(polled: Polled) -> str:
    """The advice for the problem of the last bad probe. Without a bad probe, there was only too little time."""
    check = polled.check
    if isinstance(polled.verdict, Unhealthy) and polled.verdict.kind:
        return WHAT_TO_DO[polled.verdict.kind]
    bad = next((finding for finding in reversed(polled.findings) if finding.problem), None)
    if bad is None or bad.problem is None:
        return "Raise deadlineSeconds."
    if bad.problem.kind == "status":
        advice = _what_to_do_about_status(check, bad.status or 0, bad.problem)
    else:
        name = shortened(str(check.tls_name), HOST_NAME_CHARACTERS)
        source = "this function's subnets" if check.via == "private" else "the internet"
        advice = WHAT_TO_DO[bad.problem.kind].format_map({**vars(check), "name": name, "source": source})
    starts = check.start_period_seconds and not any_good(polled.findings)
    return f"{advice} If it needs longer to start, raise startPeriodSeconds." if starts else advice


def _what_to_do_about_status(check: Check, status: int, problem: Problem) -> str:
    application = f"the application on {check.server}"
    if 300 <= status < 400:
        leads = f"{problem.detail}. Configure that path" if problem.detail else "configure the path that it leads to"
        return f"A redirect is not followed: {leads}, or let the matcher accept it."
    if status in (401, 403):
        return f"{capitalized(application)} requires credentials: use a path that requires none."
    if status == 429:
        return f"{check.server} limits the rate of requests: raise intervalSeconds, or exempt the health check."
    if 400 <= status < 500:
        hint = "" if check.host_header else "; if it needs a name, configure hostHeader"
        accepts = f"accepts a request whose Host header is {shortened(check.host, HOST_NAME_CHARACTERS)}{hint}"
        return f"Check whether {application} knows this path, and {accepts}. {problem.detail}".rstrip()
    return f"Check the log of {application}."


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


def compared(polled: Polled, live: Polled | None) -> dict[str, Any] | None:
    """Do staging and production share their data, or would users miss it after a cutover? Their shared header must be
    the same; None for other checks. Returns `{"compared": true, "value"}`, or `{"compared": false, "reason"}`: an
    unhealthy production blocks no cutover. Raises PreflightFailed if they differ."""
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
    ours, theirs = ("without it" if each is None else quoted(each) for each in (value, other))
    raise PreflightFailed(
        f"{lead}: {check.server} answers {ours} through the staging address ({check.short_url}), "
        f"{target.server} {theirs} through the production address ({target.ip}:{target.port}). If each server "
        f"has its own database or session store, what users write to one server is missing on the other after the "
        f"cutover. Let both use one store, or correct what the header reports."
    )
