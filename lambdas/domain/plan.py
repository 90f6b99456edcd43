"""The plan of a cutover, pure: what is asked for and where the two addresses stand → what to do, and why.

Nothing here reads a clock, a network or an environment. The words: a *pair* is two servers and two addresses; the
server that holds the production address is *live*, the other is *idle*; a *cutover* makes the idle server live by
letting the two addresses change *places*. A pair is *sound* if production is on one server and staging on the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from domain.commands import associate_command
from domain.errors import PreflightFailed, Redriven
from domain.pair import Address, Json, Pair, Place, Server
from domain.request import Request
from domain.text import capitalized

Decision = Literal["ALREADY_LIVE", "REPAIR", "CUT_OVER"]
NO_SERVER = "-"  # no server has this name: a lock's item needs a text


@dataclass(frozen=True)
class Interrupted:
    """What the record of an execution that ended without its ending says: the server that it was making live, and the
    private address of each server, by name, between which the two addresses change places."""

    server: str
    private_ips: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def from_json(value: Mapping[str, Any] | None) -> "Interrupted | None":
        return Interrupted(value["server"], value["privateIps"]) if value else None


@dataclass(frozen=True)
class Plan:
    """What an execution is going to do, and why; `production` and `staging` are the addresses as they stand before.

    `live` is the place that holds production now, `idle` the place on the other server that staging is on or goes to.
    With the decision `CUT_OVER`, `idle` becomes live; with `REPAIR` and `ALREADY_LIVE` production stays.
    """

    decision: Decision
    reason: str
    request: Request
    production: Address
    staging: Address
    live: Place
    idle: Place

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
        match self.decision:
            case "ALREADY_LIVE":
                return []
            case "REPAIR":
                return repair
            case "CUT_OVER":
                return [
                    *repair,
                    f"disassociate {self.staging} from {idle}",
                    f"associate {self.production} with {idle}, in one move from {live}",
                    f"associate {self.staging} with {live}",
                ]
            case _:
                assert_never(self.decision)

    @property
    def restore_commands(self) -> list[str]:
        """The AWS CLI commands that make the pair sound again, production where it is now, from wherever both are."""
        return [associate_command(self.production, self.live), associate_command(self.staging, self.idle)]

    def to_json(self) -> Json:
        places = {place.server.name: place.private_ip for place in (self.live, self.idle) if place.private_ip}
        return {
            "pair": self.pair.name,
            "decision": self.decision,
            "reason": self.reason,
            "steps": self.steps,
            "dryRun": self.request.dry_run,
            "target": (self.idle if self.decision == "CUT_OVER" else self.live).server.name,
            "live": self.live.to_json(),
            "idle": self.idle.to_json(),
            "privateIps": places,
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
            "expectedRelease": self.request.expected_release,
            "healthCheck": self.pair.health_check,
            "bakeSeconds": self.pair.bake_seconds,
            "alarms": self.pair.alarms,
            "restore": " && ".join(self.restore_commands),
        }


@dataclass(frozen=True)
class PlannedPlace:
    """A place of a plan, as it comes back in an event: the server's name and the private address on it."""

    name: str
    private_ip: str


@dataclass(frozen=True)
class Refusal:
    """That a request is refused, and why. The workflow ends with it when it holds the lock: before that, what was seen
    may have been another execution at work."""

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
    """Decides what to do about a request, given where the two addresses stand.

    If the input names no server, the idle server is meant. `interrupted` is what an execution was doing that ended
    while it held the lock: its server is meant instead, so that the same input given again never undoes what it asked
    for. With `keep_live`, production stays where it is and only staging is put right: that repairs a pair whose
    execution was stopped. Of a server that holds no address yet, the place has no private address; `domain.fitness`
    completes it.

    Raises PreflightFailed if no plan is safe: an address that AWS manages, an address on an instance that is not
    in the pair, a production address on no server, a pair that is not sound and nothing that says which server is
    meant.
    """
    pair = request.pair
    for address, other in ((production, staging), (staging, production)):
        _refuse_foreign(pair, address, other)
    live = pair.server_named(production.server)
    if live is None:
        raise PreflightFailed(_production_unassociated(pair, production, request.server))
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
        raise PreflightFailed(_which_server(pair, production, staging, live, idle))

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
    """The command that it gives is safe to run: it does not put the address where it would displace the other one."""
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


def _production_unassociated(pair: Pair, production: Address, wanted: Server | None) -> str:
    choices = [wanted] if wanted else list(pair.servers)
    commands = " or ".join(associate_command(production, Place(server)) for server in choices)
    return (
        f"{capitalized(production)} is on no server, so nobody is live and there is nothing to cut over from. "
        f"Nothing was changed. Make a server live with: {commands} — then start again."
    )


def _which_server(pair: Pair, production: Address, staging: Address, live: Server, idle: Server) -> str:
    return (
        f"Cannot tell which server of pair {pair.name} to make live: {production} is {production.place}, but "
        f"{staging} is {staging.place} instead of on {idle.name}, and no record says what was begun. Nothing was "
        f"changed. Start again "
        f'with {{"pair": "{pair.name}", "serverName": "{live.name}"}} to keep {live.name} live, or with '
        f'{{"pair": "{pair.name}", "serverName": "{idle.name}"}} to make {idle.name} live.'
    )


def refuse_redriven(*, redriven: bool) -> None:
    """Raises Redriven in an execution that was redriven: its lock was released, or taken over, when it ended."""
    if redriven:
        raise Redriven(
            "This execution had ended and was redriven; another one may hold the pair's lock by now, so nothing may be "
            "changed. Start a new execution instead: it plans from what it finds."
        )


@dataclass(frozen=True)
class Restoration:
    """What is found after a rollback: where each address stands, and what a person must still do, if anything."""

    production: Address
    staging: Address
    commands: list[str]

    @property
    def is_complete(self) -> bool:
        return not self.commands

    def to_json(self) -> Json:
        return {"production": self.production.to_json(), "staging": self.staging.to_json()}


def compare_restored(live: Place, idle: Place, production: Address, staging: Address) -> Restoration:
    """Compares the addresses as found after a rollback with the sound pair: production at `live`, staging at `idle`.

    The commands are in the order in which a person must run them: production first, since putting production back
    displaces the staging address if that stands there.
    """
    commands = [] if production.stands_at(live) else [associate_command(production, live)]
    if not staging.stands_at(idle):
        commands.append(associate_command(staging, idle))
    return Restoration(production, staging, commands)
