"""RepairStaging, ReassociateProduction, ReassociateStaging, RestoreProduction, RestoreStaging: put an address on a
server. RehearseAssociateProduction and RehearseAssociateStaging prove the permission."""

from dataclasses import dataclass
from time import monotonic, sleep

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import ONCE, Clock, Ec2, Sleep, ec2_client
from aws.records import RollbackRequest
from domain.events import PairEvent, read
from domain.lock import CHANGE_SECONDS
from domain.pair import AddressName, Json, deployed_pairs
from domain.plan import PlannedPlace, refuse_redriven

logger = Logger()
ec2 = ec2_client(ONCE)


@dataclass(frozen=True, kw_only=True)
class AssociateEvent(PairEvent):
    """`action` says what to do with an address and this private address of `server`."""

    action: str
    server: str
    private_ip: str


@dataclass(frozen=True, kw_only=True)
class RehearseAssociateEvent(AssociateEvent):
    """`action` is "rehearse": check whether `address` may be put there."""

    address: AddressName


@dataclass(frozen=True, kw_only=True)
class RestoreAddressEvent(RehearseAssociateEvent):
    """`action` is "restore": put `address` back there, while production is on `production_on`."""

    production_on: PlannedPlace
    redriven: bool
    first_try: bool = False
    lock: dict[str, str] | None = None  # as in `RollbackRequest`


@dataclass(frozen=True, kw_only=True)
class MoveEvent(AssociateEvent):
    """`action` is "move production": move it there from the server `coming_from` and the association
    `association_id`, null: from no server. Or it is "move staging", while production is on `production_on`, null: none;
    `coming_from` is optional."""

    first_try: bool
    redriven: bool
    coming_from: str | None = None
    association_id: str | None = None
    production_on: PlannedPlace | None = None
    lock: dict[str, str] | None = None


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = sleep, clock: Clock = monotonic) -> Json:
    """Puts one address of a pair on a server, as the event's `action` says. If `server` is null, it changes nothing.
    Returns `{"address": {…as it is now}, "changed": bool, "requestId": EC2's}`; a rehearsal `{"changed": false}`.
    Raises AddressMoved, MovedMeanwhile, LockLost, RollbackRequested, Redriven, EC2Refused (a rehearsal:
    PreflightFailed), EC2Throttled, EC2Unavailable and RecordUnavailable."""
    pair = deployed_pairs()[event["pair"]]
    addresses = Addresses(pair, ec2, sleep=sleep, clock=clock, seconds=CHANGE_SECONDS)
    if event["server"] is None:
        return {"address": addresses.look()[1].to_json(), "changed": False}
    place = pair.place(event["server"], event["privateIp"])
    if event["action"] == "rehearse":
        addresses.rehearse_associate(read(RehearseAssociateEvent, event).address, place)
        return {"changed": False}
    refuse_redriven(redriven=event["redriven"])
    first, refuses = event.get("firstTry", False), event["action"] == "move production"
    RollbackRequest(event.get("lock")).refuse_change(first_try=first, refuses=refuses)
    if event["action"] == "restore":
        asked = read(RestoreAddressEvent, event)
        home = pair.place(asked.production_on.name, asked.production_on.private_ip)
        address, changed = addresses.restore(asked.address, place, production_on=home)
    else:
        move = read(MoveEvent, event)
        on, first, old = move.production_on, move.first_try, move.association_id
        source = pair.place(move.coming_from) if move.coming_from else None
        if move.action == "move production":
            address, changed = addresses.move_production(place, coming_from=source, old=old, first_try=first)
        else:
            live = pair.place(on.name, on.private_ip) if on else None
            address, changed = addresses.move_staging(place, coming_from=source, production_on=live, first_try=first)
    logger.info("Associated %s with %s", address, place, changed=changed, pair=pair.name)
    return {"address": address.to_json(), "changed": changed, "requestId": addresses.request_id}
