"""DescribeAddresses: takes the complete picture of a pair, and plans from it."""

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
    """`request` is the input of the execution, whatever that is. `interrupted` is what the record of a dead execution
    says. `keep_live`: put right what is not, without moving production."""

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
    """A plan for which everything is fit that can be known without a change, or a refusal."""
    request, interrupted = read_request(event.request, deployed_pairs()), event.interrupted
    with refused_as_preflight():
        production, staging = Addresses(request.pair, ec2).look()
    try:
        intended = plan(request, production, staging, interrupted=interrupted, keep_live=event.keep_live)
        if intended.decision == "ALREADY_LIVE":
            return intended
        with refused_as_preflight():
            picture = Servers(request.pair, ec2).picture(with_border_groups=not intended.staging_in_place)
        fit = complete(intended, picture, private_ips=interrupted.private_ips if interrupted else {})
        if fit.decision == "CUT_OVER" and fit.pair.alarms:
            refuse_alarms(fit.pair.alarms)
        return fit
    except PreflightFailed as failure:
        reason = str(failure) if NOTHING_CHANGED in str(failure) else f"{failure} {NOTHING_CHANGED}"
        return Refusal(request, production, staging, reason)


def refuse_alarms(names: Sequence[str]) -> None:
    """Raises PreflightFailed when one of these CloudWatch alarms is in ALARM, does not exist or cannot be read."""
    # Only here: most pairs have no alarms, and need no client for them.
    from aws.alarms import AlarmsUnreadable, alarms_in_alarm, cloudwatch_client, named  # noqa: PLC0415

    try:
        look = alarms_in_alarm(cloudwatch_client(), names)
    except AlarmsUnreadable as error:
        raise PreflightFailed(f"The pair's alarms cannot be read: {error}. {NOTHING_CHANGED}") from error
    if look.missing:
        raise PreflightFailed(
            f"CloudWatch has no alarm named {named(look.missing)}. {NOTHING_CHANGED} Correct alarms in cdk.json and "
            f"deploy."
        )
    if look.in_alarm:
        raise PreflightFailed(
            f"{capitalized(look.in_alarm[0])}. A cutover does not begin while one of the pair's alarms is in ALARM. "
            f"{NOTHING_CHANGED} Fix what the alarm reports, or take it out of alarms in cdk.json and deploy."
        )
