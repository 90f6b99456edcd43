"""The plan of a cutover: from the request and the places of both addresses, it decides what to do, and why. Pure.

The server that holds the production address is *live*, the other is *idle*; a *cutover* makes the idle server live by
letting the two addresses change *places*. A pair is *sound* if production is on one server and staging on the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from domain.commands import associate_command
from domain.errors import InvalidRequest, PreflightFailed, Redriven
from domain.pair import Address, Json, Pair, Place, Server
from domain.record import EMPTY, NO_SERVER, Record
from domain.release_commands import HOOKS, steps
from domain.request import Request
from domain.text import capitalized

Decision = Literal["ALREADY_LIVE", "REPAIR", "CUT_OVER"]


@dataclass(frozen=True)
class Awaited:
    """A cutover that was asked to roll back and has ended, and the server that was live before it."""

    execution: str
    live: str


class NoTarget(Exception):
    """The request does not say which server should become live, or asks for a rollback and there is nothing to go back
    to. The message is the beginning of a refusal, whose `error` is an error of the contract."""

    def __init__(self, message: str, error: str = PreflightFailed.__name__) -> None:
        super().__init__(message)
        self.error = error


@dataclass(frozen=True)
class Plan:
    """What an execution is going to do, and why. `production` and `staging` are the addresses before any change.

    `live` is the place that holds production now, None if production is on no server; `idle` is the place on the other
    server for staging. With the decision `CUT_OVER`, `idle` becomes live; with `REPAIR` and `ALREADY_LIVE` production
    stays. `staging_to` is where staging goes after production has moved, None if it can go nowhere. Without
    `checks_staging`, staging cannot be on `idle`, so `idle` is not checked before production moves there. Without
    `can_roll_back`, production cannot go back to where it was. An `urgent` plan is not refused for what users have now.
    """

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

    @property
    def expected_release(self) -> str | None:
        """What the releaseHeader of a check must answer. A dry run deploys nothing, so it expects no release of it."""
        checked = any("releaseHeader" in check for check in self.pair.health_check)
        deployed = self.request.release if checked and not self.request.dry_run else None
        return self.request.expected_release or deployed

    def to_json(self) -> Json:
        """What the states read. `restore` has the AWS CLI commands that make the pair sound again, with production
        where it is now, or, if it cannot go back there, where it should go. They work wherever the addresses are.
        `asksLive` says whether the live server may answer with the release already, and `approvalMinutes` how long to
        wait for approval (null: not at all). With `tolerant`, no hook before the cutover prevents it."""
        release = self.request.release if self.decision == "CUT_OVER" else None
        asks = release and self.live and any("releaseHeader" in check for check in self.pair.health_check)
        approved = self.request.release and not self.urgent
        places = [place for place in (self.live, self.idle, self.staging_to) if place and place.private_ip]
        homes = (self.live, self.idle) if self.live and self.can_roll_back else (self.idle, self.staging_to)
        addresses, live = (self.production, self.staging), self.live.server if self.live else None
        restore = [associate_command(address, home) for address, home in zip(addresses, homes, strict=True) if home]
        return {
            "pair": self.pair.name,
            "decision": self.decision,
            "reason": self.reason,
            "steps": self.steps,
            **_asked(self.request, self.record),
            "target": (self.idle.server if self.decision == "CUT_OVER" else self.other).name,
            "live": self.live and self.live.to_json(),
            "idle": self.idle.to_json(),
            "compared": not self.urgent,
            "stagingTo": self.staging_to and self.staging_to.to_json(),
            "checksStaging": self.checks_staging,
            "canRollBack": self.can_roll_back,
            "privateIps": {place.server.name: place.private_ip for place in places},
            "afterCutover": self.record.after_cutover(self.idle.server, live, self.request.rollback).to_json(),
            "afterFailure": self.record.after_failure(self.idle.server).to_json(),
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
            "expectedRelease": self.expected_release,
            "deploys": release is not None and not self.request.dry_run,
            "asksLive": bool(asks),
            "approvalMinutes": self.pair.approval_minutes if approved else None,
            "tolerant": self.urgent,
            "healthCheck": self.pair.health_check,
            "bakeSeconds": self.pair.bake_seconds,
            "certificateExpiryDays": self.pair.certificate_expiry_days,
            "alarms": self.pair.alarms,
            "urgent": self.urgent,
            "warnings": self.warnings,
            "restore": as_lines(restore),
        }


@dataclass(frozen=True)
class PlannedPlace:
    """A place of a plan, as it comes back in an event: the server's name and the private address on it."""

    name: str
    private_ip: str


@dataclass(frozen=True)
class Standing:
    """The servers that both addresses of `pair` were on when a health check began; null for an address on no
    server. If someone has moved staging since, which users do not notice, this is an error with `strict`, and a warning
    without it."""

    pair: str
    production: str
    staging: str | None
    strict: bool


@dataclass(frozen=True)
class Refusal:
    """A request that is refused, and why; `error` is an error of the contract. The workflow ends with it only if it
    holds the lock: before that, another execution may have been moving the addresses. `repair` is the plan that first
    repairs what an interrupted execution left, if it left the pair unsound."""

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
            "pair": self.request.pair.name,
            "decision": "REFUSED",
            "reason": self.reason,
            "warnings": [],
            "error": self.error,
            **_asked(self.request, self.record),
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
        }


def _asked(request: Request, record: Record) -> Json:
    """Also of a refusal: `hooks` are the moments that have hooks, and `undo` says that an interrupted execution ran
    those before its cutover, which did not happen."""
    return {
        "release": request.release,
        "hooks": [moment for moment in HOOKS if steps(request.pair, moment)],
        "undo": record.hooks_began,
        "dryRun": request.dry_run,
        "rollback": request.rollback,
        "waitSeconds": request.wait_seconds,
        "record": record.to_json(),
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
    """Decides what to do about a request, from the places of the two addresses and the pair's record.

    If the input names no server, it means the server that an interrupted execution was making live: so the same input,
    given again, never undoes what it asked for. If none was interrupted, it means the idle server. With `keep_live`,
    which repairs the pair of a stopped execution, production stays and only staging moves. A release goes to the idle
    server, unless an interrupted execution has made the server live that it was deployed to. A rollback means the
    server to go back to; or the live server, if `awaited`, which was asked to roll back, has left production there. If
    production is on no server, a server must be named. A place without an address has no private address yet;
    `domain.fitness` adds it. Raises NoTarget, InvalidRequest if a release is asked for on the live server, and
    PreflightFailed if no plan is safe: AWS manages an address, an address is outside the pair, or the pair is not sound
    and nothing says which server is meant."""
    pair, release = request.pair, request.release
    _refuse_foreign(pair, production, staging)
    live = pair.server_named(production.server)
    named, why = _named(request, live, record, awaited)
    warnings = (f"{awaited.execution} was asked to roll back, and has ended.",) if awaited else ()
    if live is None:
        if named is None or keep_live:
            raise NoTarget(f"{capitalized(production)} is on no server, so no server is live.")
        intended = _from_no_server(request, production, staging, record, idle=named, why=why)
        return replace(intended, warnings=(*warnings, *intended.warnings))
    _refuse_foreign(pair, staging, production)
    idle = pair.other(live)
    in_place = staging.server == idle.name
    interrupted = record.interrupted if keep_live or record.lock is None else None
    if interrupted and interrupted.live != live.name and any(pair.hooks.values()):
        left = f"{interrupted.execution} was interrupted when it had made {live.name} live. Its hooks after the cutover"
        warnings = (*warnings, f"{left} may not have run, and nothing has undone those before it: check both servers.")

    if keep_live:
        target, why = live, f"production stays on {live.name}"
    elif named == live and release:
        raise InvalidRequest(
            f"The input has release and serverName = {live.name}, which is live. A release is deployed to the idle "
            f"server, which is {idle.name}. Nothing was changed. Leave serverName out, or name {idle.name}."
        )
    elif named:
        target = named
    elif release and (in_place or interrupted):
        made = (release, interrupted.execution, True) if interrupted and interrupted.server == live.name else None
        deployed = record.releases.get(live.name, {})
        if made and made == tuple(deployed.get(key) for key in ("release", "execution", "deployed")):
            target, why = live, f"an interrupted execution has made {live.name} live with release {release}"
        else:
            target, why = idle, f"release {release} was asked for, and {idle.name} is idle"
    elif interrupted and (begun := pair.server_named(interrupted.server)):
        target, why = begun, f"an interrupted execution was making {begun.name} live"
    elif in_place:
        target, why = idle, f"the idle server was asked for, which is {idle.name}"
    else:
        raise PreflightFailed(
            f"Cannot tell which server of pair {pair.name} to make live: {production} is {production.place}, but "
            f"{staging} is {staging.place} instead of on {idle.name}, and there is no record of an interrupted "
            f'execution. Nothing was changed. Start again with {{"pair": "{pair.name}", "serverName": "{live.name}"}} '
            f'to keep {live.name} live, or with {{"pair": "{pair.name}", "serverName": "{idle.name}"}} to make '
            f"{idle.name} live."
        )

    return Plan(
        decision="CUT_OVER" if target == idle else "ALREADY_LIVE" if in_place else "REPAIR",
        reason=f"{why}; production is on {live.name} and staging is {staging.place}",
        request=request,
        production=production,
        staging=staging,
        live=Place(live, production.private_ip),
        idle=Place(idle, staging.private_ip if in_place else None),
        staging_to=Place(live, production.private_ip),
        warnings=warnings,
        urgent=request.is_urgent,
        record=record,
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


def _from_no_server(
    request: Request, production: Address, staging: Address, record: Record, *, idle: Server, why: str
) -> Plan:
    """Production is on no server and goes to `idle`. If staging cannot be there, `idle` is checked without it."""
    pair, in_place = request.pair, staging.server == idle.name
    intended = Plan(
        decision="CUT_OVER",
        reason=f"{why}; production is on no server and staging is {staging.place}",
        request=request,
        production=production,
        staging=staging,
        live=None,
        idle=Place(idle, staging.private_ip if in_place else None),
        staging_to=Place(pair.other(idle), None if in_place else staging.private_ip),
        can_roll_back=False,
        urgent=True,
        record=record,
    )
    try:
        _refuse_foreign(pair, staging, replace(production, server=idle.name))
    except PreflightFailed as problem:
        return without_staging(intended, problem)
    return intended


def without_staging(plan: Plan, problem: PreflightFailed) -> Plan:
    """The plan if staging stays where it is, with a warning: `problem` says why it cannot be on the idle server."""
    why = str(problem).replace(" Nothing was changed.", "")
    idle = plan.idle.server.name
    warning = f"{idle} was not checked through staging before it became live, and staging stays where it is: {why}"
    return replace(plan, checks_staging=False, staging_to=None, warnings=(*plan.warnings, warning))


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
            f"Correct the pair in cdk.json and deploy, or move the address to {server.name}:"
            + as_lines([associate_command(address, Place(server))])
        )


def refuse_redriven(*, redriven: bool) -> None:
    """Raises Redriven in an execution that was redriven: its lock was released, or taken over, when it ended."""
    if redriven:
        raise Redriven(
            "This execution had ended and was redriven. Another execution may hold the pair's lock by now, so this one "
            "changes nothing more. Its earlier changes are still in place. Start a new execution: it makes a new plan."
        )


def as_lines(commands: Sequence[str]) -> str:
    """The commands on lines of their own, to be copied together: each runs only if the one before has succeeded."""
    return "\n" + " &&\n".join(commands)


def commands_to_restore(live: Place, idle: Place, production: Address, staging: Address) -> list[str]:
    """The commands that make the pair sound, with production at `live` and staging at `idle`; empty if it is sound.
    They are in the order to run them: production first, which displaces staging if staging is at `live`."""
    standing = ((production, live), (staging, idle))
    return [associate_command(address, place) for address, place in standing if not address.stands_at(place)]
