"""RepairStaging, ReassociateProduction, ReassociateStaging, RestoreProduction, RestoreStaging; and the dry runs
RehearseAssociateProduction, RehearseAssociateStaging."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.addresses import Addresses
from aws.calls import ec2_client
from domain.pair import Json, Server
from domain.plan import Plan, refuse_redriven

logger = Logger()
ec2 = ec2_client()


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
    """Puts one address of the plan on a server; with `dryRun`, only proves that this is permitted.

    Returns `{"address": {…as it stands now}, "changed": bool}`. Raises PreflightFailed with `dryRun`, otherwise
    AddressMoved, MovedMeanwhile, Redriven, EC2Refused; EC2Throttled and EC2Unavailable always.
    """
    plan = Plan.from_json(event["plan"])
    addresses = Addresses(plan.pair, ec2)
    server = Server.from_json(event["server"])
    if event.get("dryRun"):
        addresses.rehearse_associate(event["address"], server)
        return {"changed": False}
    refuse_redriven(event)
    address, changed = addresses.associate(
        event["address"],
        server,
        allow_reassociation=event["allowReassociation"],
        private_ip=event.get("privateIp"),
        expected=event.get("expected"),
        production_on=event.get("productionOn"),
        force=event["force"],
        first_try=event["firstTry"],
    )
    logger.info("Associated %s with %s", address, server.name, changed=changed, pair=plan.pair.name)
    return {"address": address.to_json(), "changed": changed}
