"""What a person reads when a health check fails, often at three in the morning: below 1,000 characters, printable.

It says what was asked, what was found and expected, and where to look. What was changed before the check, if anything,
is known to the workflow only, which adds it.
"""

from domain.text import shortened
from health.check import Check
from health.polling import Polled
from health.verdict import Finding, Kind, Unhealthy, any_good, counted_probes

MESSAGE_CHARACTERS = 999
NAME_CHARACTERS = 40
WHERE_TO_LOOK: dict[Kind, str] = {
    "refused": "{server} was reached and nothing takes connections on its port {port}: look whether the application "
    "runs, and listens on all addresses of the server and not on 127.0.0.1 only.",
    "unreachable": "Look whether {server} runs, what listens on its port {port}, and whether its security group and "
    "network ACL let {whom} in.",
    "tls": "Look whether the web server on {server} speaks {protocol} on port {port}, and at its log.",
    "certificate": "Look at the certificate that the web server on {server} sends for {name}, and whether it was "
    "reloaded after the last renewal. With verifyCertificate false any certificate will do.",
    "no answer": "{server} takes connections on port {port}: look whether that is a web server that speaks {protocol}, "
    "and whether its application hangs.",
    "incomplete": "Look at the application on {server}: it begins its answers and does not finish them.",
    "slow": "Look at the load of {server} and at what its application waits for, or raise maxLatencyMs.",
    "body": "Look at what the application on {server} answers at this path; bodyContains is looked for in the first "
    "5,120 bytes.",
    "release": "The release was not deployed to {server}, or its application was not restarted since.",
    "no identity": "Let the application on {server} send this header, or take identityHeader out of the configuration.",
    "identity": "Look for a cache or proxy before the application on {server}, and whether this header names the "
    "server and not the request.",
    "identities": "Does this header name the request and not the server, or is there a load balancer behind the "
    "address?",
    "no shared": "Let the application on {server} send this header, or take sharedHeader out of the configuration.",
}


def unhealthy_message(polled: Polled, *, failed: int = 1, checks: int = 1) -> str:
    """For a check that did not pass, one of `failed` of so many `checks`."""
    return _message(polled, f"is not healthy through the {polled.check.address} address", failed, checks)


def bake_message(polled: Polled, *, failed: int = 1, checks: int = 1) -> str:
    """For a check that passed, and failed while the server was watched."""
    after = f"{polled.seconds:.0f} s after it was found healthy"
    was = f"became unhealthy during the bake, {after}, through the {polled.check.address} address"
    return _message(polled, was, failed, checks)


def alarm_message(check: Check, wrong: str, seconds: float) -> str:
    """For what is wrong with the alarms while a healthy server was watched."""
    return shortened(
        f"{check.server} ({check.instance_id}) answers well through the {check.address} address, at "
        f"{check.request.ip}, but during the bake, {seconds:.0f} s after it was found healthy, {wrong}. "
        "Look at the alarm's history and at the metric it watches, in CloudWatch.",
        MESSAGE_CHARACTERS,
    )


def _message(polled: Polled, is_unhealthy: str, failed: int, checks: int) -> str:
    check = polled.check
    of_several = f", {failed} of {checks} checks," if checks > 1 else ","
    before = f"{check.server} ({check.instance_id}) {is_unhealthy}{of_several} at {check.request.short_url}: "
    after = f" ({counted_probes(polled.probe_count)} in all). {_where_to_look(polled)}"
    reason = polled.verdict.reason if isinstance(polled.verdict, Unhealthy) else ""
    return f"{before}{shortened(reason, MESSAGE_CHARACTERS - len(before) - len(after))}{after}"


def _where_to_look(polled: Polled) -> str:
    """By what the last bad probe found; where there is none, too few good ones fitted in."""
    if isinstance(polled.verdict, Unhealthy) and polled.verdict.kind:
        return WHERE_TO_LOOK[polled.verdict.kind]
    bad = next((one for one in reversed(polled.findings) if one.problem is not None), None)
    if bad is None:
        return "Raise deadlineSeconds."
    looks = [_look(polled.check, bad, bad.problem.kind)] if bad.problem else []
    if polled.check.start_period_seconds and not any_good(polled.findings):
        looks.append("If it needs longer to start, raise startPeriodSeconds.")
    return " ".join(looks)


def _look(check: Check, bad: Finding, kind: Kind) -> str:
    if kind == "status":
        return _look_for_status(check, bad.status or 0, bad.problem.detail if bad.problem else "")
    return WHERE_TO_LOOK[kind].format(
        server=check.server,
        port=check.request.port,
        protocol=check.request.protocol,
        name=_name(check.request.name),
        whom="this function's subnets" if check.private else "the internet",
    )


def _look_for_status(check: Check, status: int, detail: str) -> str:
    if 300 <= status < 400:
        leads = detail or "configure the path that it leads to"
        return (
            f"A redirect is not followed: {leads}{'. Configure that' if detail else ''}, or let the matcher accept it."
        )
    if status in (401, 403):
        return (
            f"The application on {check.server} wants credentials: give them in headers, or configure a path that "
            "needs none."
        )
    if status == 429:
        return f"{check.server} limits the rate of requests: raise intervalSeconds, or exempt the health check."
    if 400 <= status < 500:
        look = (
            f"Look whether the application on {check.server} knows this path, and accepts a request whose Host header "
            f"is {_name(check.request.host)}"
        )
        named = f"{look}." if check.request.host_header else f"{look}; if it wants a name, configure hostHeader."
        return f"{named} {detail}".rstrip()
    return f"Look at the log of the application on {check.server}."


def _name(name: str | None) -> str:
    return shortened(str(name), NAME_CHARACTERS)
