"""The states that put an address on a server: RepairStaging, ReassociateProduction, ReassociateStaging move it,
RestoreProduction and RestoreStaging put it back, RehearseAssociateProduction and RehearseAssociateStaging prove that
a move is permitted."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.addresses import Addresses
from aws.calls import ec2_client
from domain.deployed_pairs import deployed_pairs
from domain.events import read
from domain.pair import Address, AddressName, Json, Place
from domain.plan import refuse_redriven

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True, kw_only=True)
class RehearseAssociateEvent:
    """May `address` be put on this private address of `server`? `action` is "rehearse"."""

    execution: str
    action: str
    pair: str
    address: AddressName
    server: str
    private_ip: str


@dataclass(frozen=True, kw_only=True)
class RestoreAddressEvent:
    """Put `address` back on this private address of `server`. `action` is "restore"."""

    execution: str
    action: str
    pair: str
    address: AddressName
    server: str
    private_ip: str
    redriven: bool


@dataclass(frozen=True, kw_only=True)
class MoveProductionEvent:
    """Move production from the server `coming_from` to this private address of `server`. `action` is "move
    production"."""

    execution: str
    action: str
    pair: str
    server: str
    private_ip: str
    coming_from: str
    first_try: bool
    redriven: bool


@dataclass(frozen=True, kw_only=True)
class MoveStagingEvent:
    """Move staging to this private address of `server`, while production is on the server `production_on`.

    `coming_from` is the server that staging is on; without it, staging must be on no server. `action` is "move
    staging".
    """

    execution: str
    action: str
    pair: str
    server: str
    private_ip: str
    production_on: str
    first_try: bool
    redriven: bool
    coming_from: str | None = None


def create_handler(
    ec2: "EC2Client", *, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Mapping[str, Any], LambdaContext], Json]:
    @logger.inject_lambda_context(correlation_id_path="execution")
    def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
        """Puts one address of a pair on a server, by the event's `action`.

        Returns `{"address": {…as it stands now}, "changed": bool}`, of a rehearsal `{"changed": false}`. Raises
        AddressMoved, MovedMeanwhile, Redriven, EC2Refused, for a rehearsal PreflightFailed; EC2Throttled and
        EC2Unavailable always.
        """
        pair = deployed_pairs()[event["pair"]]
        place = pair.place(event["server"], event["privateIp"])
        addresses = Addresses(pair, ec2, sleep=sleep)
        if event["action"] == "rehearse":
            addresses.rehearse_associate(read(RehearseAssociateEvent, event).address, place)
            return {"changed": False}
        refuse_redriven(redriven=event["redriven"])
        address, changed = _changed(addresses, place, event)
        logger.info("Associated %s with %s", address, place, changed=changed, pair=pair.name)
        return {"address": address.to_json(), "changed": changed}

    return handler


def _changed(addresses: Addresses, place: Place, event: Mapping[str, Any]) -> tuple[Address, bool]:
    match event["action"]:
        case "restore":
            return addresses.restore(read(RestoreAddressEvent, event).address, place)
        case "move production":
            production = read(MoveProductionEvent, event)
            coming_from = addresses.pair.place(production.coming_from, None).server
            return addresses.move_production(place, coming_from=coming_from, first_try=production.first_try)
        case _:
            staging = read(MoveStagingEvent, event)
            return addresses.move_staging(
                place,
                coming_from=addresses.pair.server_named(staging.coming_from),
                production_on=addresses.pair.place(staging.production_on, None).server,
                first_try=staging.first_try,
            )


handler = create_handler(ec2)
