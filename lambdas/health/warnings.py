"""What may soon prevent or spoil a cutover, although the health check has passed: sentences that say what to do."""

from datetime import UTC, datetime, timedelta

from health.check import Check
from health.result import Certificates

OWN = ("The certificate", "", "Renew it, and reload the web server")
ABOVE = ("A certificate above that", ", which the server sends,", "Replace what it sends after its own certificate")


def expiring(check: Check, days: int, certificates: Certificates) -> list[str]:
    """The certificates of a server, its own first, that expire within so many days, or have expired."""
    now, sentences = datetime.now(UTC), []
    for number, (ends, _, names) in enumerate(certificates):
        if ends - now <= timedelta(days):
            what, sent, do = ABOVE if number else OWN
            left = (ends.date() - now.date()).days
            when = f"expires in {left} {'day' if left == 1 else 'days'}," if ends > now else "expired"
            name = names.replace('"', "").removeprefix("CN ")
            which = f"{what} of {check.server} ({name}){sent} at https://{check.ip}:{check.port}"
            sentences.append(f"{which} {when} on {ends:%Y-%m-%d}. {do}.")
    return sentences
