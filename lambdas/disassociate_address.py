"""RehearseDisassociate, DisassociateStaging and RestoreStagingDisassociated: take the staging address off a server."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.addresses import Addresses
from aws.calls import ec2_client
from domain.pair import Json
from domain.plan import Plan, refuse_redriven

logger = Logger()
ec2 = ec2_client()


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
    """Disassociates the staging address; with `dryRun`, only proves that it is permitted.

    With `asPlanned`, both addresses must still stand as planned. Returns `{"address": {…as it stands now},
    "changed": bool}`. Raises PreflightFailed with `dryRun`, otherwise AddressMoved, Redriven, EC2Refused;
    EC2Throttled and EC2Unavailable always.
    """
    plan = Plan.from_json(event["plan"])
    addresses = Addresses(plan.pair, ec2)
    if event.get("dryRun"):
        addresses.rehearse_disassociate(event["associationId"])
        return {"changed": False}
    refuse_redriven(event)
    address, changed = addresses.disassociate_staging(
        plan if event["asPlanned"] else None, first_try=event["firstTry"], association_id=event.get("associationId")
    )
    logger.info("Disassociated %s", address, changed=changed, pair=plan.pair.name)
    return {"address": address.to_json(), "changed": changed}
