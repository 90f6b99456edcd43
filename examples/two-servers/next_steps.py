"""The last lines of `make try`: what is true now, what to type next, what it costs, and how to remove it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from client.result import FAILURES, NOT_BEGUN
from client.screen import JsonObject, plain
from commands_to_copy import aws, here
from this_machine import Answer
from try_servers import Pair
from try_stacks import CUTOVER, NAME, SERVERS

# In us-east-1, without a free tier: two t4g.nano ($0.0084), two public IPv4 addresses ($0.01), 16 GB of gp3 ($0.0018),
# and what the workflow's stack costs without a cutover, $5.10 a month (docs/monitoring.md, $0.007).
COST = "about $0.03 an hour (in us-east-1; elsewhere somewhat more)"
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}
OUTCOMES = {code: outcome for outcome, code in FAILURES.items()}
# After these, the client's execution has not moved production.
NOT_TOUCHED = (*NOT_BEGUN, "InvalidRequest", "CutoverInProgress")


@dataclass(frozen=True)
class Situation:
    """After the release. By role: `places` says where EC2 has the address (the name of a server, None for no server, or
    the id of another resource), and `answers` what it answers to this machine. `in_the_way` are other Elastic IPs on
    the servers, by server. `rollback_to` is the server that a rollback makes live, if there is one."""

    pair: Pair
    places: Mapping[str, str | None]
    answers: Mapping[str, Answer | None]
    in_the_way: Mapping[str, JsonObject]
    rollback_to: str | None = None

    @property
    def live(self) -> str | None:
        server = self.places["production"]
        return server if server in self.pair.instances else None

    @property
    def is_sound(self) -> bool:
        return set(self.places.values()) == set(self.pair.instances)

    @property
    def can_release(self) -> bool:
        """The idle server follows from the places, and no cutover is refused because of an address."""
        staging = self.places["staging"]
        return self.live is not None and not self.in_the_way and (staging is None or staging in self.pair.instances)

    def lines(self, region: str) -> Iterator[str]:
        yield f"What is true now ({SERVERS} and {CUTOVER} in {region}):"
        for role in self.places:
            yield f"  {role:10}  {self.pair.url(role)}  {self._place(role)}"
        for server, address in self.in_the_way.items():
            name = f"{address['PublicIp']} ({plain(address['AllocationId'], 80)})"
            yield f"The Elastic IP {name} is on {server}, and is in the way:"
            yield "a cutover would displace it, and is refused."
            yield "If nobody needs it there, take it off:"
            yield f"    {aws(region, 'ec2 disassociate-address', '--association-id ' + str(address['AssociationId']))}"

    def _place(self, role: str) -> str:
        server, answer = self.places[role], self.answers[role]
        if server is None:
            return "is on no server"
        if server not in self.pair.instances:
            return f"is on {plain(server, 80)}, which is not a server of this pair"
        if answer is None:
            return f"is on {server}, which does not answer just now"
        if answer.server != server:
            return f"is on {server}, but this machine still gets the answer of {answer.line}"
        return answer.line


def next_release(answers: Iterable[Answer]) -> int:
    """One more than the highest number with which the release of a server begins."""
    numbers = (re.match("[0-9]{1,9}(?![0-9])", answer.release) for answer in answers)
    return 1 + max((int(number[0]) for number in numbers if number), default=0)


def console_url(state_machine_arn: str) -> str:
    partition, region = state_machine_arn.split(":")[1:4:2]
    host = CONSOLES.get(partition, "console.aws.amazon.com")
    return f"https://{region}.{host}/states/home?region={region}#/statemachines/view/{state_machine_arn}"


def after_success(now: Situation, release: int, server: str, before: str | None, *, region: str, arn: str) -> str:
    """`before` is the server that was live before, if there was one; `arn` that of the state machine."""
    was = f"{before} was live" if before else "production was on no server"
    headline = f"Release {release} is live on {server}. Before, {was}."
    if now.live != server:
        headline = f"Release {release} became live on {server}, but production is not there any more."
    following = max(release + 1, next_release(filter(None, now.answers.values())))
    cutover = client(region)
    blocks = [("Who is live, and what would a rollback do?", f"{cutover} status")]
    if now.live:
        watch = f"while sleep 0.5; do curl -sS -m 2 {now.pair.url('production')}; done"
        blocks.append(("In a second terminal, watch production while you do the rest:", watch))
    if now.can_release:
        blocks.append(("The next release, to the idle server:", f"{cutover} start --release {following}"))
        if now.rollback_to not in (None, now.live):
            blocks.append(("Back to the server that was live before:", f"{cutover} rollback"))
        unhealthy = f"{cutover} start --release {following + 1}-unhealthy"
        blocks.append(("A release whose health check fails, and which users never see:", unhealthy))
    else:
        blocks.append(("When both addresses can move again, another release:", here(region, "make try")))
    blocks.append(("The workflow, in the console:", console_url(arn)))
    if now.is_sound and now.can_release:
        acceptance = here(region, f"make acceptance NAME={NAME}")
        every = "Tests of the contract (they move and break the two servers, and repair them at the end):"
        blocks.append((every, acceptance))
    return _text(headline, now, "What to type next, in this folder:", blocks, region)


def after_failure(now: Situation, release: int, code: int, *, region: str, arn: str) -> str:
    """`code` is the exit code of the client, which has said why the release did not become live."""
    outcome = OUTCOMES.get(code)
    headline = f"Release {release} did not become live: {outcome or 'the client failed'} (exit code {code})."
    if outcome in NOT_TOUCHED:
        headline += " It did not touch production."
    elif outcome == "RolledBack":
        headline += " Production is back where it was."
    else:
        headline += " It may have moved production, and its execution may still run."
    blocks = [
        ("What was done, and why it failed, is in the client's output above. The state of the pair:",
         f"{client(region)} status"),
        ("The execution, in the console:", console_url(arn)),
        ("Each outcome, with what to do, is in docs/runbook.md. When the cause is gone, continue:",
         here(region, "make try")),
    ]  # fmt: skip
    return _text(headline, now, "What to do, in this folder:", blocks, region)


def client(region: str) -> str:
    return here(region, f"EIP_CUTOVER_STACK={CUTOVER} ./cutover.py")


def _text(headline: str, now: Situation, heading: str, blocks: Sequence[tuple[str, str]], region: str) -> str:
    lines = [headline, "", *now.lines(region), "", heading]
    for title, command in blocks:
        lines += [f"  {title}", f"    {command}"]
    lines += ["", f"This costs {COST}.", "When you have seen enough, remove all of it:"]
    return "\n".join([*lines, f"    {here(region, 'make try-destroy')}"])
