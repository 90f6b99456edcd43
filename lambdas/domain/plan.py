"""The decisions of a cutover, pure: what is configured, what is asked, what is observed → the plan, with its reason.

Nothing here reads a clock, a network or an environment; the standard library is all it imports
(`tests/unit/test_plan.py` says so). The words: a *pair* is two servers and two addresses; the server that holds the
production address is *live*, the other is *idle*; a *cutover* makes the idle server live.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from domain.commands import associate_command, disassociate_command, restore_command, take_off_command
from domain.errors import PreflightFailed, Redriven
from domain.pair import Address, Json, Pair, Server
from domain.request import Request
from domain.text import capitalized

Decision = Literal["ALREADY_LIVE", "REPAIR", "CUT_OVER"]


@dataclass(frozen=True)
class Plan:
    """What an execution is going to do, and why; `production` and `staging` are the addresses as they stand before.

    `live` holds the production address now, `idle` is the other server. With the decision `CUT_OVER`, `idle` becomes
    live; with `REPAIR` and `ALREADY_LIVE` production stays. `staging_in_place` says whether the staging address is
    on the idle server, as in every sound pair.
    """

    decision: Decision
    reason: str
    pair: Pair
    live: Server
    idle: Server
    production: Address
    staging: Address
    dry_run: bool = False
    expected_release: str | None = None

    @property
    def staging_in_place(self) -> bool:
        return self.staging.server == self.idle.name

    @property
    def steps(self) -> list[str]:
        """The changes this plan will make, in order, in words."""
        repair = [] if self.staging_in_place else [f"associate {self.staging} with {self.idle.name}"]
        match self.decision:
            case "ALREADY_LIVE":
                return []
            case "REPAIR":
                return repair
            case "CUT_OVER":
                return [
                    *repair,
                    f"disassociate {self.staging} from {self.idle.name}",
                    f"associate {self.production} with {self.idle.name}, in one move from {self.live.name}",
                    f"associate {self.staging} with {self.live.name}",
                ]
            case _:
                assert_never(self.decision)

    @property
    def restore_commands(self) -> list[str]:
        """The AWS CLI commands that put both addresses back where they stand before, from wherever they are then."""
        server = self.pair.server_named(self.staging.server)
        production = restore_command(self.production, self.production, self.live)
        staging = restore_command(self.staging, self.staging, server) if server else take_off_command(self.staging)
        return [production, staging]

    def to_json(self) -> Json:
        return {
            "pair": self.pair.name,
            "decision": self.decision,
            "reason": self.reason,
            "steps": self.steps,
            "dryRun": self.dry_run,
            "stagingInPlace": self.staging_in_place,
            "live": self.live.to_json(),
            "idle": self.idle.to_json(),
            "production": self.production.to_json(),
            "staging": self.staging.to_json(),
            "expectedRelease": self.expected_release,
            "healthCheck": self.pair.health_check,
            "bakeSeconds": self.pair.bake_seconds,
            "alarms": self.pair.alarms,
            "restore": " && ".join(self.restore_commands),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Plan":
        live, idle = (Server.from_json(value[role]) for role in ("live", "idle"))
        production = Address.from_json("production", value["production"])
        staging = Address.from_json("staging", value["staging"])
        return Plan(
            decision=value["decision"],
            reason=value["reason"],
            pair=Pair(
                value["pair"],
                production.allocation_id,
                staging.allocation_id,
                (live, idle),
                value["healthCheck"],
                value["bakeSeconds"],
                value["alarms"],
            ),
            live=live,
            idle=idle,
            production=production,
            staging=staging,
            dry_run=value["dryRun"],
            expected_release=value["expectedRelease"],
        )


def plan(
    request: Request,
    production: Address,
    staging: Address,
    *,
    interrupted: str | None = None,
    keep_live: bool = False,
) -> Plan:
    """Decides what to do about a request, given where the two addresses stand.

    Where the input names no server, the idle server is meant. `interrupted` is the server that an execution which
    died while it held the lock was making live: it is meant instead, so that the same input given again never undoes
    what it asked for. With `keep_live`, production stays where it is and only
    staging is put right: that is what repairs a pair whose execution was stopped.

    Raises PreflightFailed where no plan is safe: an address that AWS manages, an address on an instance that is not
    in the pair, a production address on no server at all.
    """
    pair = request.pair
    for address in (production, staging):
        _refuse_foreign(pair, address)
    live = pair.server_named(production.server)
    if live is None:
        raise PreflightFailed(_production_unassociated(pair, production, request.server))
    idle = pair.other(live)
    in_place = staging.server == idle.name

    wanted = request.server
    asked = f"{wanted.name} was asked for" if wanted else f"the idle server was asked for, which is {idle.name}"
    if wanted is None and interrupted is not None:
        wanted = pair.server_named(interrupted) or idle
        asked = f"an interrupted execution was making {wanted.name} live"
    if keep_live:
        wanted, asked = live, f"production stays on {live.name}"
    wanted = wanted or idle

    decision: Decision = "CUT_OVER" if wanted == idle else "ALREADY_LIVE" if in_place else "REPAIR"
    found = f"production is on {live.name} and staging is {staging.place}"
    return Plan(
        decision,
        f"{asked}; {found}",
        pair,
        live,
        idle,
        production,
        staging,
        request.dry_run,
        request.expected_release,
    )


def _refuse_foreign(pair: Pair, address: Address) -> None:
    if address.service_managed:
        raise PreflightFailed(
            f"{capitalized(address)} is managed by the AWS service {address.service_managed}, which owns its "
            f"association. Nothing was changed. Configure an address of your own for pair {pair.name}."
        )
    if address.is_associated and address.server is None:
        raise PreflightFailed(
            f"{capitalized(address)} is {address.place} {pair.name} ({pair.server_names}). Nothing was changed. "
            f"Move it to one of the two with: {associate_command(address, pair.servers[0])} — or correct the "
            f"pair in cdk.json and deploy."
        )


def _production_unassociated(pair: Pair, production: Address, wanted: Server | None) -> str:
    choices = [wanted] if wanted else list(pair.servers)
    commands = " or ".join(associate_command(production, server) for server in choices)
    return (
        f"{capitalized(production)} is on no server, so nobody is live and there is nothing to cut over from. "
        f"Nothing was changed. Make a server live with: {commands} — then start again."
    )


def refuse_redriven(event: Mapping[str, Any]) -> None:
    """Raises Redriven in an execution that was redriven: its lock was released, or taken over, when it ended."""
    if event["redriven"]:
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


def compare_restored(before: Plan, production: Address, staging: Address) -> Restoration:
    """Compares the addresses as found after a rollback with those recorded in the plan.

    The commands are in the order in which a person must run them: production first, since putting it back on its
    server displaces the staging address from there.
    """
    commands: list[str] = []
    live = before.live.instance_id
    if production.instance_id != live:
        commands.append(restore_command(production, before.production, before.live))
    displaced = bool(commands) and staging.instance_id == live
    recorded = before.pair.server_named(before.staging.server)
    if recorded is not None and (displaced or staging.instance_id != recorded.instance_id):
        commands.append(restore_command(staging, before.staging, recorded))
    if recorded is None and staging.is_associated and not displaced:
        commands.append(disassociate_command(staging))
    return Restoration(production, staging, commands)
