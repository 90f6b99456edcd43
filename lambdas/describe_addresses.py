"""DescribeAddresses and DescribeRestored: look at both addresses; plan from it, or compare it with the plan."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.addresses import Addresses
from aws.calls import ec2_client, refused_as_preflight
from domain.deployed_pairs import configured_pairs
from domain.errors import RollbackFailed
from domain.pair import Json
from domain.plan import Plan, compare_restored, plan
from domain.request import read_request

NOTHING = "-"  # no pair's or server's name; see `stacks/workflow/expressions.py`

logger = Logger()
ec2 = ec2_client()


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
    """Returns the plan of an execution (`Plan.to_json`), or with a `plan` in the event, the pair as restored to it.

    Raises InvalidRequest and PreflightFailed; with a `plan`, RollbackFailed; with both, EC2Throttled, EC2Unavailable.
    """
    return describe_restored(event) if "plan" in event else describe_addresses(event)


def describe_addresses(event: Mapping[str, Any]) -> Json:
    request = read_request(event["request"], configured_pairs())
    with refused_as_preflight():
        production, staging = Addresses(request.pair, ec2).look()
    planned = plan(
        request,
        production,
        staging,
        interrupted=event["interrupted"] if event["interrupted"] != NOTHING else None,
        keep_live=event.get("keepLive", False),
    )
    logger.info("Planned: %s", planned.decision, pair=request.pair.name, reason=planned.reason)
    return planned.to_json()


def describe_restored(event: Mapping[str, Any]) -> Json:
    before = Plan.from_json(event["plan"])
    production, staging, complete = Addresses(before.pair, ec2).look_until(
        lambda production, staging: compare_restored(before, production, staging).is_complete
    )
    restored = compare_restored(before, production, staging)
    if not complete:
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}; before the cutover, production was "
            f"{before.production.place} and staging was {before.staging.place}. A person must act. Run: "
            + " && ".join(restored.commands)
        )
    logger.info("Restored", pair=before.pair.name)
    return restored.to_json()
