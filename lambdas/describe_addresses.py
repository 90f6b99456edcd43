"""DescribeAddresses: describes a pair completely, reads its record, and plans from that."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.alarms import refuse_alarms
from aws.calls import Ec2, ec2_client, refused_as_preflight
from aws.records import read_record
from aws.servers import Servers
from aws.stack_templates import names_by_stack, stacks_that_move_back
from domain.errors import AddressesMoving, InvalidRequest, PreflightFailed
from domain.events import read
from domain.fitness import complete
from domain.lock import moment
from domain.pair import Address, Json, deployed_pairs
from domain.plan import NOTHING_CHANGED, Awaited, NoTarget, Plan, Refusal, plan
from domain.record import Record
from domain.request import Request, read_request

CHANGED_NOTHING = ("ALREADY_LIVE", "DRY_RUN", "NOTHING_TO_REPAIR")
logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeAddressesEvent:
    """`request` is the input, of any type; `awaited` a cutover asked to roll back. `keep_live`: production stays. For
    `moving_seconds` after an outcome, no plan is made."""

    execution: str
    request: Any
    awaited: Awaited | None = None
    keep_live: bool = False
    moving_seconds: float = 0


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2) -> Json:
    """Returns the plan of an execution (`Plan.to_json`), or why not (`Refusal.to_json`). Raises InvalidRequest,
    AddressesMoving, EC2Throttled, EC2Unavailable, RecordUnavailable; PreflightFailed if EC2 refuses a call."""
    outcome = planned(read(DescribeAddressesEvent, event), ec2)
    logger.info("Planned", pair=outcome.request.pair.name, reason=outcome.reason)
    return outcome.to_json()


def planned(event: DescribeAddressesEvent, ec2: Ec2) -> Plan | Refusal:
    """A plan that passed every check that is possible without a change, or a refusal."""
    request = read_request(event.request, deployed_pairs())
    found = read_record(request.pair.name)
    with refused_as_preflight():
        production, staging = Addresses(request.pair, ec2).look()
    _refuse_too_early(event.moving_seconds, request, found, production, staging)
    settles = event.keep_live or found.lock is None
    record = found.settled(production.server, staging.association_id) if settles else found
    try:
        intended = plan(request, production, staging, record=record, keep_live=event.keep_live, awaited=event.awaited)
        if intended.decision == "ALREADY_LIVE":
            return intended
        with refused_as_preflight():
            picture = Servers(request.pair, ec2).picture(
                with_border_groups=intended.live is None or not intended.staging_in_place,
                with_offers=intended.decision == "CUT_OVER",
            )
        fit = complete(intended, picture, private_ips=record.interrupted.private_ips if record.interrupted else {})
        if fit.urgent:
            return fit
        warnings = refuse_alarms(fit.pair.alarms) if fit.decision == "CUT_OVER" and fit.pair.alarms else []
        for server in fit.pair.servers:
            warnings += [f"{server} {risk}" for risk in picture.instances[server.instance_id].risks]
        warnings += stacks_that_move_back(names_by_stack(fit, picture))
        return replace(fit, warnings=(*fit.warnings, *warnings))
    except NoTarget as nothing:
        error, reason = nothing.error, f"{nothing} {_who_could_be_named(request, production, staging, ec2)}"
    except (InvalidRequest, PreflightFailed) as failure:
        error, reason = type(failure).__name__, str(failure)
        reason = reason if NOTHING_CHANGED in reason else f"{reason} {NOTHING_CHANGED}"
    repair = None if event.keep_live else _repair(event, request.pair.name, record, ec2)
    return Refusal(request, production, staging, reason, error, record, repair)


def _refuse_too_early(seconds: float, request: Request, record: Record, *shown: Address) -> None:
    """Raises AddressesMoving. If EC2 shows what the last execution has left, an urgent request does not wait, and
    nobody waits for an execution that changed nothing."""
    last = record.last_outcome or {}
    left = json.dumps([address.association_id for address in shown], separators=(",", ":"))
    as_left = last.get("associations") == left and (request.is_urgent or last["outcome"] in CHANGED_NOTHING)
    ended = None if record.lock or as_left else moment(last.get("at"))
    if ended and abs((datetime.now(UTC) - ended).total_seconds()) < seconds:
        raise AddressesMoving(
            f"The last execution ended {last['outcome']} less than {seconds:g} s ago. {NOTHING_CHANGED}"
        )


def _repair(event: DescribeAddressesEvent, pair: str, record: Record, ec2: Ec2) -> Plan | None:
    """Repairs what an interrupted execution, whose lock this one took over, left; None if it is nothing, or cannot."""
    if record.interrupted is None or record.lock:
        return None
    kept = planned(replace(event, request={"pair": pair}, keep_live=True), ec2)
    return kept if isinstance(kept, Plan) and kept.decision == "REPAIR" else None


def _who_could_be_named(request: Request, production: Address, staging: Address, ec2: Ec2) -> str:
    """What is known of both servers, and the input for each that could become live."""
    pair, known, inputs = request.pair, [], []
    try:
        with refused_as_preflight():
            picture = Servers(pair, ec2).picture(with_border_groups=True, with_offers=True)
    except PreflightFailed as failure:
        return f"{failure} {NOTHING_CHANGED}"
    urgent = production.server is not None  # a rollback skips the same checks
    for server in pair.servers:
        held = [address.name for address in (production, staging) if address.server == server.name]
        state = picture.instances[server.instance_id].state
        known.append(f"{server} is {state} and holds {' and '.join(held) or 'no address'}.")
        with suppress(PreflightFailed):
            asked = Request(pair, server, emergency=urgent)
            if complete(plan(asked, production, staging), picture).decision == "CUT_OVER":
                emergency = {"emergency": True} if urgent else {}
                inputs.append(json.dumps({"pair": pair.name, "serverName": server.name, **emergency}))
    nothing = f"No {'other ' if urgent else ''}server can be made live: see the runbook."
    start = f"Start again with {' or '.join(inputs)}." if inputs else nothing
    return f"{' '.join(known)} {NOTHING_CHANGED} {start}"
