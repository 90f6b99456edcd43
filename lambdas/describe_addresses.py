"""DescribeAddresses: describes a pair completely, and plans from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import Ec2, ec2_client, refused_as_preflight
from aws.servers import Servers
from domain.deployed_pairs import deployed_pairs
from domain.errors import PreflightFailed
from domain.events import read
from domain.fitness import NOTHING_CHANGED, complete
from domain.pair import Json
from domain.plan import Interrupted, Plan, Refusal, plan
from domain.request import read_request
from domain.text import capitalized

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeAddressesEvent:
    """`request` is the input of the execution, of any type. `interrupted` is the record of a dead execution. With
    `keep_live`, the plan repairs the pair without moving production."""

    execution: str
    request: Any
    interrupted: Interrupted | None = None
    keep_live: bool = False


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2) -> Json:
    """Returns the plan of an execution (`Plan.to_json`), or why it is refused (`Refusal.to_json`).

    Raises InvalidRequest; PreflightFailed if EC2 refuses to show the addresses; EC2Throttled and EC2Unavailable.
    """
    outcome = planned(read(DescribeAddressesEvent, event), ec2)
    logger.info("Planned", pair=outcome.request.pair.name, reason=outcome.reason)
    return outcome.to_json()


def planned(event: DescribeAddressesEvent, ec2: Ec2) -> Plan | Refusal:
    """A plan that passed every check that is possible without a change, or a refusal."""
    request, interrupted = read_request(event.request, deployed_pairs()), event.interrupted
    with refused_as_preflight():
        production, staging = Addresses(request.pair, ec2).look()
    try:
        intended = plan(request, production, staging, interrupted=interrupted, keep_live=event.keep_live)
        if intended.decision == "ALREADY_LIVE":
            return intended
        with refused_as_preflight():
            picture = Servers(request.pair, ec2).picture(
                with_border_groups=not intended.staging_in_place, with_offers=intended.decision == "CUT_OVER"
            )
        fit = complete(intended, picture, private_ips=interrupted.private_ips if interrupted else {})
        if fit.decision == "CUT_OVER" and fit.pair.alarms:
            refuse_alarms(fit.pair.alarms)
        return fit
    except PreflightFailed as failure:
        reason = str(failure) if NOTHING_CHANGED in str(failure) else f"{failure} {NOTHING_CHANGED}"
        return Refusal(request, production, staging, reason)


def refuse_alarms(names: Sequence[str]) -> None:
    """Raises PreflightFailed if one of these CloudWatch alarms is in ALARM, does not exist or cannot be read."""
    # Imported here, because most pairs have no alarms and need no client for them.
    from aws.alarms import AlarmsUnreadable, alarms_in_alarm, cloudwatch_client, named  # noqa: PLC0415

    try:
        states = alarms_in_alarm(cloudwatch_client(), names)
    except AlarmsUnreadable as error:
        raise PreflightFailed(f"The pair's alarms cannot be read: {error}. {NOTHING_CHANGED}") from error
    if states.missing:
        raise PreflightFailed(
            f"CloudWatch has no alarm named {named(states.missing)}. {NOTHING_CHANGED} Correct alarms in cdk.json and "
            f"deploy."
        )
    if states.in_alarm:
        raise PreflightFailed(
            f"{capitalized(states.in_alarm[0])}. A cutover does not begin while one of the pair's alarms is in ALARM. "
            f"{NOTHING_CHANGED} Fix what the alarm reports, or remove it from alarms in cdk.json and deploy."
        )
