"""RehearseDisassociate and DisassociateStaging: disassociate the staging address from the idle server."""

from dataclasses import dataclass
from time import monotonic, sleep

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import ONCE, Clock, Ec2, Sleep, ec2_client
from aws.records import RollbackRequest
from domain.events import PairEvent, read
from domain.lock import CHANGE_SECONDS
from domain.pair import Json, deployed_pairs
from domain.plan import PlannedPlace, refuse_redriven

logger = Logger()
ec2 = ec2_client(ONCE)


@dataclass(frozen=True)
class RehearseDisassociateEvent(PairEvent):
    """`association_id` is staging's, null if it need not be disassociated; `rehearse` is true."""

    rehearse: bool
    association_id: str | None


@dataclass(frozen=True)
class DisassociateStagingEvent(PairEvent):
    """`live` holds production (null: no server), and `idle` staging, by this association (null: it need not end)."""

    association_id: str | None
    live: PlannedPlace | None
    idle: PlannedPlace
    first_try: bool
    redriven: bool
    lock: dict[str, str] | None = None  # as in `RollbackRequest`


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = sleep, clock: Clock = monotonic) -> Json:
    """Disassociates staging, or with `rehearse` proves that this is permitted. Returns and raises what
    `associate_address` does, LockLost, and on the first try, the first change, RollbackRequested if asked to."""
    if "rehearse" in event:
        rehearsal = read(RehearseDisassociateEvent, event)
        if rehearsal.association_id:
            Addresses(deployed_pairs()[rehearsal.pair], ec2).rehearse_disassociate(rehearsal.association_id)
        return {"changed": False}
    asked = read(DisassociateStagingEvent, event)
    refuse_redriven(redriven=asked.redriven)
    pair = deployed_pairs()[asked.pair]
    live = pair.place(asked.live.name, asked.live.private_ip) if asked.live else None
    idle = pair.place(asked.idle.name, asked.idle.private_ip)
    addresses = Addresses(pair, ec2, sleep=sleep, clock=clock, seconds=CHANGE_SECONDS)
    RollbackRequest(asked.lock).refuse_change(first_try=asked.first_try, refuses=True)
    if asked.association_id is None:
        return {"address": addresses.look()[1].to_json(), "changed": False}
    address, changed = addresses.disassociate_staging(asked.association_id, idle, live=live, first_try=asked.first_try)
    logger.info("Disassociated %s", address, changed=changed, pair=pair.name)
    return {"address": address.to_json(), "changed": changed, "requestId": addresses.request_id}
