"""The plan of a cutover: from the request and the places of both addresses, it decides what to do, and why. Pure. The
server that holds the production address is *live*, the other is *idle*; a *cutover* makes the idle server live by
letting the two addresses change *places*. A pair is *sound* if production is on one server and staging on the other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from domain.commands import associate_command
from domain.errors import InvalidRequest, PreflightFailed, Redriven
from domain.events import in_json
from domain.lock import NO_SERVER, Lock
from domain.pair import Address, Json, Pair, Place, Server
from domain.record import EMPTY, Record
from domain.release_commands import HOOKS, steps
from domain.request import Request
from domain.text import capitalized

Decision = Literal["ALREADY_LIVE", "REPAIR", "CUT_OVER"]
NOTHING_CHANGED = "Nothing was changed."


@dataclass(frozen=True)
class Awaited:
    """A cutover that was asked to roll back and has ended, and the server that was live before it."""

    execution: str
    live: str


class NoTarget(Exception):
    """The request names no server, or there is nothing to roll back to. The message begins a refusal with `error`."""

    def __init__(self, message: str, error: str = PreflightFailed.__name__) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True)
class Plan:
    """`production` and `staging` are the addresses before any change. `live` is the place that holds production now,
    None if it is on no server; `idle` is the place for staging on the other. With `CUT_OVER`, `idle` becomes live;
    otherwise production stays. `staging_to` is where staging goes after production has moved, None for nowhere. Without
    `checks_staging`, staging cannot be on `idle`, so `idle` is not checked before production moves there. Without
    `can_roll_back`, production cannot go back to where it was. What users have now cannot refuse an `urgent` plan."""

    decision: Decision
    reason: str
    request: Request
    production: Address
    staging: Address
    live: Place | None
    idle: Place
    staging_to: Place | None = None
    checks_staging: bool = True
    can_roll_back: bool = True
    urgent: bool = False
    record: Record = EMPTY
    warnings: tuple[str, ...] = ()

    @property
    def pair(self) -> Pair:
        return self.request.pair

    @property
    def other(self) -> Server:
        """The server of the pair that is not `idle`."""
        return self.pair.other(self.idle.server)

    @property
    def staging_in_place(self) -> bool:
        """Whether the staging address is on the idle server, as in every sound pair."""
        return self.staging.server == self.idle.server.name

    @property
    def steps(self) -> list[str]:
        """The changes this plan will make, in order, in words."""
        idle = self.idle.server.name
        repair = [] if self.staging_in_place or not self.checks_staging else [f"associate {self.staging} with {idle}"]
        if self.decision != "CUT_OVER":
            return repair
        move = f"in one move from {self.live.server.name}" if self.live else "from no server"
        return [
            *repair,
            *([f"deploy release {self.request.release} to {idle}"] if self.request.release else []),
            *([f"disassociate {self.staging} from {idle}"] if self.checks_staging else []),
            f"associate {self.production} with {idle}, {move}",
            *([f"associate {self.staging} with {self.staging_to.server.name}"] if self.staging_to else []),
        ]

    def warned(self, warning: str, **changes: Any) -> "Plan":
        """The plan with these changes and one more warning, which is not read as a refusal."""
        return replace(self, warnings=(*self.warnings, warning.replace(f" {NOTHING_CHANGED}", "")), **changes)

    @property
    def expected_release(self) -> str | None:
        """What the releaseHeader of a check must answer. A dry run deploys nothing, so it expects no release of it."""
        checked = any("releaseHeader" in check for check in self.pair.health_check)
        return self.request.expected_release or (self.request.release if checked and not self.request.dry_run else None)

    def to_json(self) -> Json:
        """What the states read. `restore` has the AWS CLI commands that make the pair sound, wherever the addresses
        are: production where it is now, or, if it cannot go back there, where it should go. `asksLive`: may the live
        server have the release already? Null `approvalMinutes`: no approval. If `tolerant`, no hook prevents it."""
        release = self.request.release if self.decision == "CUT_OVER" else None
        asks = release and self.live and any("releaseHeader" in check for check in self.pair.health_check)
        places = [place for place in (self.live, self.idle, self.staging_to) if place and place.private_ip]
        homes = (self.live, self.idle) if self.live and self.can_roll_back else (self.idle, self.staging_to)
        addresses, live = (self.production, self.staging), self.live.server if self.live else None
        restore = [associate_command(address, home) for address, home in zip(addresses, homes, strict=True) if home]
        return {
            **_asked(self),
            **in_json(self, "decision", "reason", "steps", "checks_staging", "can_roll_back", "expected_release"),
            **in_json(self, "urgent", "warnings"),
            **in_json(self.pair, "health_check", "bake_seconds", "alarms", "certificate_expiry_days"),
            "target": (self.idle.server if self.decision == "CUT_OVER" else self.other).name,
            "live": self.live and self.live.to_json(),
            "idle": self.idle.to_json(),
            "stagingTo": self.staging_to and self.staging_to.to_json(),
            "compared": not self.urgent,
            "tolerant": self.urgent,
            "privateIps": {place.server.name: place.private_ip for place in places},
            "afterCutover": self.record.after_cutover(self.idle.server, live, self.request.rollback).to_json(),
            "afterFailure": self.record.after_failure(self.idle.server).to_json(),
            "deploys": release is not None and not self.request.dry_run,
            "asksLive": bool(asks),
            "interrupted": self.record.interrupted is not None,
            "approvalMinutes": self.pair.approval_minutes if self.request.release and not self.urgent else None,
            "restore": as_lines(restore),
        }


@dataclass(frozen=True)
class PlannedPlace:
    """A place of a plan, as it comes back in an event: the server's name and the private address on it."""

    name: str
    private_ip: str


@dataclass(frozen=True)
class Standing:
    """The servers that both addresses of `pair` were on when a health check began; null for no server. If someone has
    moved staging since, which users do not notice, this is an error if `strict`, and otherwise a warning."""

    pair: str
    production: str
    staging: str | None
    strict: bool


@dataclass(frozen=True)
class Refusal:
    """A request that is refused, and why: `error` is one of the contract. The workflow ends with it only if it holds
    the lock. Before that, another execution may be moving the addresses. `repair` first repairs what one has left."""

    request: Request
    production: Address
    staging: Address
    reason: str
    error: str = PreflightFailed.__name__
    record: Record = EMPTY
    repair: Plan | None = None

    def to_json(self) -> Json:
        return {
            "target": self.request.server.name if self.request.server else NO_SERVER,
            "privateIps": {},
            **(self.repair.to_json() if self.repair else {}),
            **_asked(self),
            **in_json(self, "reason", "error"),
            "decision": "REFUSED",
            "warnings": [],
        }


def _asked(outcome: Plan | Refusal) -> Json:
    """With `undo`, an interrupted execution ran the hooks before its cutover, and the cutover did not happen."""
    request, record = outcome.request, outcome.record
    return {
        **in_json(request, "release", "dry_run", "rollback", "wait_seconds"),
        "pair": request.pair.name,
        "hooks": [moment for moment in HOOKS if steps(request.pair, moment)],
        "undo": record.hooks_began,
        "record": record.to_json(),
        "production": outcome.production.to_json(),
        "staging": outcome.staging.to_json(),
    }


def plan(
    request: Request,
    production: Address,
    staging: Address,
    *,
    record: Record = EMPTY,
    keep_live: bool = False,
    awaited: Awaited | None = None,
) -> Plan:
    """Decides about a request, from the places of the two addresses and the pair's record. An input that names no
    server means the one that an interrupted execution was making live, so that the same input, given again, does not
    undo it; otherwise the idle server. With `keep_live`, only staging moves. A rollback means the server to go back to,
    or the live server, if `awaited` has left production there. `domain.fitness` adds the private address of a place
    without an address. Raises NoTarget, InvalidRequest for a release to the live one, and PreflightFailed if no plan is
    safe: an address is managed by AWS or outside the pair, or it is unclear which server is meant."""
    pair, live = request.pair, request.pair.server_named(production.server)
    _refuse_foreign(pair, production, staging)
    named, why = _named(request, live, record, awaited)
    warnings = (f"{awaited.execution} was asked to roll back, and has ended.",) if awaited else ()
    if live is None:
        if named is None or keep_live:
            raise NoTarget(f"{capitalized(production)} is on no server, so no server is live.")
        idle, target = named, named
    else:
        _refuse_foreign(pair, staging, production)
        idle = pair.other(live)
        interrupted = record.interrupted if keep_live or record.lock is None else None
        if interrupted and interrupted.live != live.name and any(pair.hooks.values()):
            left = f"{interrupted.execution} was interrupted when it had made {live.name} live. Its hooks after the"
            hooks = f"{left} cutover may not have run, and nothing has undone those before it: check both servers."
            warnings = (*warnings, hooks)
        if keep_live:
            target, why = live, f"production stays on {live.name}"
        elif named is None:
            target, why = _not_named(request, live, (production, staging), record, interrupted)
        elif named == live and request.release:
            raise InvalidRequest(
                f"The input has release and serverName = {live.name}, which is live. A release is deployed to the idle "
                f"server, which is {idle.name}. {NOTHING_CHANGED} Leave serverName out, or name {idle.name}."
            )
        else:
            target = named
    in_place = staging.server == idle.name
    beside = Place(pair.other(idle), None if in_place else staging.private_ip)
    intended = Plan(
        decision="CUT_OVER" if target == idle else "ALREADY_LIVE" if in_place else "REPAIR",
        reason=f"{why}; production is on {live.name if live else 'no server'} and staging is {staging.place}",
        request=request,
        production=production,
        staging=staging,
        live=Place(live, production.private_ip) if live else None,
        idle=Place(idle, staging.private_ip if in_place else None),
        staging_to=Place(live, production.private_ip) if live else beside,
        can_roll_back=live is not None,
        urgent=request.is_urgent or live is None,
        record=record,
        warnings=warnings,
    )
    try:
        if live is None:
            _refuse_foreign(pair, staging, replace(production, server=idle.name))
    except PreflightFailed as problem:
        return without_staging(intended, problem)
    return intended


def _not_named(
    request: Request, live: Server, addresses: tuple[Address, Address], record: Record, begun: Lock | None
) -> tuple[Server, str]:
    """The server that a request means without naming one, and why."""
    pair, release, idle = request.pair, request.release, request.pair.other(live)
    production, staging = addresses
    in_place = staging.server == idle.name
    if release and (in_place or begun):
        made = (release, begun.execution, True) if begun and begun.server == live.name else None
        deployed = record.releases.get(live.name, {})
        if made and made == tuple(deployed.get(key) for key in ("release", "execution", "deployed")):
            return live, f"an interrupted execution has made {live.name} live with release {release}"
        return idle, f"release {release} was asked for, and {idle.name} is idle"
    if begun and (server := pair.server_named(begun.server)):
        return server, f"an interrupted execution was making {server.name} live"
    if in_place:
        return idle, f"the idle server was asked for, which is {idle.name}"
    keep, move = (json.dumps({"pair": pair.name, "serverName": server.name}) for server in (live, idle))
    raise PreflightFailed(
        f"Cannot tell which server of pair {pair.name} to make live: {production} is {production.place}, but {staging} "
        f"is {staging.place} instead of on {idle.name}, and there is no record of an interrupted execution. "
        f"{NOTHING_CHANGED} Start again with {keep} to keep {live.name} live, or with {move} to make {idle.name} live."
    )


def _named(request: Request, live: Server | None, record: Record, awaited: Awaited | None) -> tuple[Server | None, str]:
    """The server that the request asks for, by its name or as a rollback, and why; None if it asks for neither."""
    if request.server:
        return request.server, f"{request.server.name} was asked for"
    if not request.rollback:
        return None, ""
    if live and awaited and awaited.live == live.name:
        return live, f"a rollback was asked for, and production is where it was before {awaited.execution}"
    back = record.rollback_to
    target, why = request.pair.server_named(back.server), back.why
    if target and back.instance_id in (None, target.instance_id):
        return target, f"a rollback was asked for, to {target.name}: {why}"
    if target:
        why = f"{target.name} was {back.instance_id} when users were served by it, and is {target.instance_id} now"
    elif back.server:
        why = f"the record names {back.server}, which is not a server of pair {request.pair.name} any more"
    nothing = record.last_cutover is None and record.rollback_to == EMPTY.rollback_to
    error = InvalidRequest if nothing else PreflightFailed
    raise NoTarget(f"There is no server to roll back to: {why}.", error.__name__)


def without_staging(plan: Plan, problem: PreflightFailed) -> Plan:
    """The plan if staging stays where it is, with a warning: `problem` says why it cannot be on the idle server."""
    stays = f"{plan.idle.server.name} was not checked through staging before it became live, and staging stays"
    return plan.warned(f"{stays} where it is: {problem}", checks_staging=False, staging_to=None)


def _refuse_foreign(pair: Pair, address: Address, other: Address) -> None:
    """The command in the message is safe to run: it never displaces the other address."""
    if address.service_managed:
        raise PreflightFailed(
            f"{capitalized(address)} is managed by the AWS service {address.service_managed}, which owns its "
            f"association. {NOTHING_CHANGED} Configure an address of your own for pair {pair.name}."
        )
    if address.is_associated and address.server is None:
        occupied = pair.server_named(other.server)
        server = pair.other(occupied) if occupied else pair.servers[0]
        raise PreflightFailed(
            f"{capitalized(address)} is {address.place} {pair.name} ({pair.server_names}). {NOTHING_CHANGED} "
            f"Correct the pair in cdk.json and deploy, or move the address to {server.name}:"
            + as_lines([associate_command(address, Place(server))])
        )


def refuse_redriven(*, redriven: bool) -> None:
    """Raises Redriven in an execution that was redriven: its lock was taken over when it ended, or soon will be."""
    if redriven:
        raise Redriven(
            "This execution had ended and was redriven. Another execution may hold the pair's lock by now, so this one "
            "changes nothing more, and leaves the lock to the repair. Its earlier changes are still in place. "
            "Start a new execution: it makes a new plan."
        )


def as_lines(commands: Sequence[str]) -> str:
    """The commands on lines of their own, to be copied together: each runs only if the one before has succeeded."""
    return "\n" + " &&\n".join(commands)


def commands_to_restore(live: Place, idle: Place | None, production: Address, staging: Address) -> list[str]:
    """The commands that make the pair sound, in order: production goes to `live` first, which may displace staging.
    Without `idle`, staging can go nowhere."""
    standing = ((production, live), (staging, idle))
    return [associate_command(address, place) for address, place in standing if place and not address.stands_at(place)]
