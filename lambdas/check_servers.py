"""CheckServers: are the servers and addresses of a plan fit for a cutover, and is none of the pair's alarms raised?"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.calls import ec2_client, refused_as_preflight
from aws.servers import Servers
from domain.errors import PreflightFailed
from domain.pair import Json
from domain.plan import Plan
from domain.text import capitalized

logger = Logger()
ec2 = ec2_client()


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
    """Returns `{"fit": true}` for a `plan` whose servers and addresses are fit.

    Waits for EC2's status checks as long as the longest `deadlineSeconds` of the pair's checks. Raises PreflightFailed,
    EC2Throttled and EC2Unavailable.
    """
    plan = Plan.from_json(event["plan"])
    refuse_unfit(plan, Servers(plan, ec2))
    logger.info("Fit for a cutover", pair=plan.pair.name)
    return {"fit": True}


def refuse_unfit(plan: Plan, servers: Servers) -> None:
    """What is known at once comes before what is waited for. Raises PreflightFailed, EC2Throttled, EC2Unavailable."""
    with refused_as_preflight():
        servers.check_instances()
        servers.check_transfers()
    if plan.pair.alarms:
        refuse_alarms(plan.pair.alarms)
    with refused_as_preflight():
        servers.check_status(max(check["deadlineSeconds"] for check in plan.pair.health_check))


def refuse_alarms(names: Sequence[str]) -> None:
    """Raises PreflightFailed when one of these CloudWatch alarms is in ALARM, does not exist or cannot be read."""
    # Only here: most pairs have no alarms, and need no client for them.
    from aws.alarms import AlarmsUnreadable, alarms_in_alarm, cloudwatch_client, named  # noqa: PLC0415

    try:
        look = alarms_in_alarm(cloudwatch_client(), names)
    except AlarmsUnreadable as error:
        raise PreflightFailed(f"The pair's alarms cannot be read: {error}") from error
    if look.missing:
        raise PreflightFailed(
            f"CloudWatch has no alarm named {named(look.missing)}. Correct alarms in cdk.json and deploy."
        )
    if look.in_alarm:
        raise PreflightFailed(
            f"{capitalized(look.in_alarm[0])}. A cutover does not begin while one of the pair's alarms is raised. "
            "Mend what it tells of, or take it out of alarms in cdk.json and deploy."
        )
