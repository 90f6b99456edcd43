"""The plan of a cutover: from the request and the places of both addresses, it decides what to do, and why. Pure.

The server that holds the production address is *live*, the other is *idle*; a *cutover* makes the idle server live by
letting the two addresses change *places*. A pair is *sound* if production is on one server and staging on the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.commands import associate_command
from domain.errors import PreflightFailed, Redriven
from domain.pair import Address, Json, Pair, Place
from domain.request import Request
from domain.text import capitalized

Decision = Literal["ALREADY_LIVE", "REPAIR", "CUT_OVER"]
NO_SERVER = "-"  # a lock's item needs a text, and no server has this name


@dataclass(frozen=True)
class Interrupted:
    """The record of an execution that ended before it released its lock: the server that it was making live, and, by
    server, the private addresses between which the two addresses change places."""

    server: str
    private_ips: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What an execution is going to do, and why. `production` and `staging` are the addresses before any change.

    `live` is the place that holds production now; `idle` is the place on the other server for staging.
    With the decision `CUT_OVER`, `idle` becomes live; with `REPAIR` and `ALREADY_LIVE` production stays.
    """

    decision: Decision
    reason: str
    request: Request
    production: Address
    staging: Address
    live: Place
    idle: Place
    warnings: tuple[str, ...] = ()

    @property
    def pair(self) -> Pair:
        return self.request.pair

    @property
    def staging_in_place(self) -> bool:
        """Whether the staging address is on the idle server, as in every sound pair."""
        return self.staging.server == self.idle.server.name

    @property
    def steps(self) -> list[str]:
        """The changes this plan will make, in order, in words."""
        live, idle = self.live.server.name, self.idle.server.name
        repair = [] if self.staging_in_place else [f"associate {self.staging} with {idle}"]
        if self.decision != "CUT_OVER":
            return repair
        return [
            *repair,
            f"disassociate {self.staging} from {idle}",
            f"associate {self.production} with {idle}, in one move from {live}",
            f"associate {self.staging} with {live}",
        ]

    def to_json(self) -> Json:
        """What the states read. `restore` has the AWS CLI commands that make the pair sound again, with production
        where it is now. They work wherever the addresses are."""
        restore = associate_command(self.production, self.live), associate_command(self.staging, self.idle)
        return {
            "pair": self.pair.name,
            "decision": self.decision,
            "reason": self.reason,
            "steps": self.steps,
            "dryRun": self.request.dry_run,
            "target": (self.idle if self.decision == "CUT_OVER" else self.live).server.name,
            "live": self.live.to_json(),
            "idle": self.idle.to_json(),
            "privateIps": {place.server.name: place.private_ip for place in (self.live, self.idle) if place.private_ip},
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
            "expectedRelease": self.request.expected_release,
            "healthCheck": self.pair.health_check,
            "bakeSeconds": self.pair.bake_seconds,
            "alarms": self.pair.alarms,
            "warnings": self.warnings,
            "restore": " && ".join(restore),
        }


@dataclass(frozen=True)
class PlannedPlace:
    """A place of a plan, as it comes back in an event: the server's name and the private address on it."""

    name: str
    private_ip: str


@dataclass(frozen=True)
class Standing:
    """The servers that both addresses of `pair` were on when a health check began; null if staging was without a
    server. If someone has moved staging since, which users do not notice, this is an error with `strict`, and a warning
    without it."""

    pair: str
    production: str
    staging: str | None
    strict: bool


@dataclass(frozen=True)
class Refusal:
    """A request that is refused, and why. The workflow ends with it only if it holds the lock: before that, another
    execution may have been moving the addresses."""

    request: Request
    production: Address
    staging: Address
    reason: str

    def to_json(self) -> Json:
        return {
            "pair": self.request.pair.name,
            "decision": "REFUSED",
            "reason": self.reason,
            "target": self.request.server.name if self.request.server else NO_SERVER,
            "privateIps": {},
            "dryRun": self.request.dry_run,
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
        }


def plan(
    request: Request,
    production: Address,
    staging: Address,
    *,
    interrupted: Interrupted | None = None,
    keep_live: bool = False,
) -> Plan:
    """Decides what to do about a request, from the places of the two addresses.

    If the input names no server, it means the server of `interrupted`, the record of an execution that ended while it
    held the lock: so the same input, given again, never undoes what it asked for. Without a record, it means the idle
    server. With `keep_live`, which repairs the pair of a stopped execution, production stays and only staging moves. A
    place without an address has no private address yet; `domain.fitness` adds it. Raises PreflightFailed if no plan is
    safe: AWS manages an address, an address is outside the pair, production is on no server, or the pair is not sound
    and nothing says which server is meant."""
    pair = request.pair
    _refuse_foreign(pair, production, staging)
    _refuse_foreign(pair, staging, production)
    live = pair.server_named(production.server)
    if live is None:
        choices = [request.server] if request.server else pair.servers
        commands = (f"For {server.name}: {associate_command(production, Place(server))}" for server in choices)
        raise PreflightFailed(
            f"{capitalized(production)} is on no server, so no server is live and there is nothing to cut over from. "
            f"Nothing was changed. Make a server live, then start again. {' '.join(commands)}"
        )
    idle = pair.other(live)
    in_place = staging.server == idle.name

    if keep_live:
        target, why = live, f"production stays on {live.name}"
    elif request.server:
        target, why = request.server, f"{request.server.name} was asked for"
    elif interrupted and (begun := pair.server_named(interrupted.server)):
        target, why = begun, f"an interrupted execution was making {begun.name} live"
    elif in_place:
        target, why = idle, f"the idle server was asked for, which is {idle.name}"
    else:
        raise PreflightFailed(
            f"Cannot tell which server of pair {pair.name} to make live: {production} is {production.place}, but "
            f"{staging} is {staging.place} instead of on {idle.name}, and there is no record of an interrupted "
            f"execution. Nothing was changed. Start again "
            f'with {{"pair": "{pair.name}", "serverName": "{live.name}"}} to keep {live.name} live, or with '
            f'{{"pair": "{pair.name}", "serverName": "{idle.name}"}} to make {idle.name} live.'
        )

    return Plan(
        decision="CUT_OVER" if target == idle else "ALREADY_LIVE" if in_place else "REPAIR",
        reason=f"{why}; production is on {live.name} and staging is {staging.place}",
        request=request,
        production=production,
        staging=staging,
        live=Place(live, production.private_ip),
        idle=Place(idle, staging.private_ip if in_place else None),
    )


def _refuse_foreign(pair: Pair, address: Address, other: Address) -> None:
    """The command in the message is safe to run: it never displaces the other address."""
    if address.service_managed:
        raise PreflightFailed(
            f"{capitalized(address)} is managed by the AWS service {address.service_managed}, which owns its "
            f"association. Nothing was changed. Configure an address of your own for pair {pair.name}."
        )
    if address.is_associated and address.server is None:
        occupied = pair.server_named(other.server)
        server = pair.other(occupied) if occupied else pair.servers[0]
        raise PreflightFailed(
            f"{capitalized(address)} is {address.place} {pair.name} ({pair.server_names}). Nothing was changed. "
            f"Move it to {server.name} with: {associate_command(address, Place(server))} — or correct the pair in "
            f"cdk.json and deploy."
        )


def refuse_redriven(*, redriven: bool) -> None:
    """Raises Redriven in an execution that was redriven: its lock was released, or taken over, when it ended."""
    if redriven:
        raise Redriven(
            "This execution had ended and was redriven. Another execution may hold the pair's lock by now, so this one "
            "changes nothing more. Its earlier changes are still in place. Start a new execution: it makes a new plan."
        )


def commands_to_restore(live: Place, idle: Place, production: Address, staging: Address) -> list[str]:
    """The commands that make the pair sound, with production at `live` and staging at `idle`; empty if it is sound.

    They are in the order to run them: production first, which displaces staging if staging is at `live`.
    """
    standing = ((production, live), (staging, idle))
    return [associate_command(address, place) for address, place in standing if not address.stands_at(place)]
