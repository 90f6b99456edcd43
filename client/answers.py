"""Whether production answers its health check now: one probe per check, sent from this machine. It is the workflow's
own probe. A server is healthy after several, so this says what was answered, and not that the server is healthy."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from domain.events import InvalidEvent, read
from domain.pair import Address, Pair
from health.check import Check, CheckEvent, checks_of
from health.deadline import Stop
from health.probe import prober
from health.verdict import judge


@dataclass(frozen=True)
class Answer:
    """What a check of production found. `good` is None if nothing was sent; `error` then says why."""

    url: str | None
    status: int | None = None
    error: str | None = None
    good: bool | None = None

    def __str__(self) -> str:
        if self.good is None:
            return f"not checked: {self.error}"
        here, asked = "from this machine", self.url if str(self.url).startswith("tcp:") else f"GET {self.url}"
        if self.good:
            return f"{self.status or 'a connection'} to {asked} {here}"
        return f"{'no answer' if self.status is None else self.status} to {asked} {here}: {self.error}"


def answers(standing: Iterable[tuple[Pair, Address | None]], *, longest_seconds: float = 5) -> list[list[Answer]]:
    """For each pair with its production address, the answers to its checks, in their order."""
    plans = [_checks(pair, production, longest_seconds) for pair, production in standing]
    probe = prober(check for plan in plans for check in plan if isinstance(check, Check))

    def answer(check: Check | Answer) -> Answer:
        if isinstance(check, Answer):
            return check
        finding = judge(check, probe(check, Stop()), 0)
        error = finding.problem.text if finding.problem else None
        if finding.problem and finding.problem.kind == "status":
            error = f"expected {check.matcher}"
        return Answer(check.short_url, finding.status, error, finding.is_good)

    with ThreadPoolExecutor(max_workers=256) as threads:
        return [list(found) for found in [threads.map(answer, plan) for plan in plans]]


def _checks(pair: Pair, production: Address | None, longest_seconds: float) -> Sequence[Check | Answer]:
    """The checks of production, and in place of those that cannot be sent, why."""
    if not pair.health_check:
        return [Answer(None, error="the stack publishes no health check of this pair")]
    if production is None or not production.is_associated:
        return [Answer(None, error="production is on no server")]
    server = {"name": production.server, "instanceId": production.instance_id}
    address = {"name": "production", "publicIp": production.public_ip}
    asked = {"execution": "", "server": server, "address": address, "healthCheck": list(pair.health_check)}
    try:
        checks = checks_of(read(CheckEvent, asked))
    except InvalidEvent:
        return [Answer(None, error="the health check was published by another version of the stack")]
    return [
        Answer(None, error=f"{check.protocol} on port {check.port} is checked from inside the VPC")
        if configured.get("via") == "private"
        else replace(check, timeout_seconds=min(check.timeout_seconds, longest_seconds))
        for configured, check in zip(pair.health_check, checks, strict=True)
    ]
