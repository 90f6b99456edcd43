"""DescribeRestored, DescribeUnchanged: after a rollback, or checks that changed nothing, is the pair as planned?"""

import time
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import Ec2, Sleep, ec2_client
from domain.errors import RollbackFailed
from domain.events import PairEvent, read
from domain.pair import Address, Json, deployed_pairs
from domain.plan import PlannedPlace, as_lines, commands_to_restore, refuse_redriven

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeRestoredEvent(PairEvent):
    """`live` is the place that held production before; null if it was on no server, or with `restoring`, if production
    cannot go back there. `idle` is the place where staging belongs; null if staging may be anywhere. `staging_to` is
    where it was going then; null if it was to stay where it is."""

    restoring: bool
    live: PlannedPlace | None
    idle: PlannedPlace | None
    staging_to: PlannedPlace | None = None
    redriven: bool = False


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = time.sleep) -> Json:
    """Returns `{"production", "staging"}` as they are, if production is on `live` and staging on `idle`. Otherwise
    raises RollbackFailed, with the commands that finish the rollback; if production cannot be restored, always, with
    those that finish the cutover. Raises EC2Throttled, EC2Unavailable, Redriven (such commands may be out of date)."""
    asked = read(DescribeRestoredEvent, event)
    refuse_redriven(redriven=asked.redriven)
    pair = deployed_pairs()[asked.pair]
    addresses = Addresses(pair, ec2, sleep=sleep)
    live = pair.place(asked.live.name, asked.live.private_ip) if asked.live else None
    idle = pair.place(asked.idle.name, asked.idle.private_ip) if asked.idle else None
    if asked.restoring and idle and not live:
        production, staging = addresses.look()
        other = pair.other(idle.server)
        beside = pair.place(asked.staging_to.name, asked.staging_to.private_ip) if asked.staging_to else None
        commands = commands_to_restore(idle, beside, production, staging)
        stays = "" if beside else f" No command moves staging: it could not go to {other} when the execution began."
        goes = "both addresses where they were" if beside else "production where it was"
        finish = f"{stays} To put {goes} going, run:{as_lines(commands)}" if commands else stays
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}. There is no server to roll back to: "
            f"production was on no server, or on one that cannot hold it now. A person must act: fix {idle.server}, or "
            f'make {other} live with "serverName": "{other.name}".{finish}'
        )

    def as_planned(production: Address, staging: Address) -> bool:
        return production.stands_at(live) and (idle is None or staging.stands_at(idle))

    production, staging, complete = addresses.look_until(as_planned)
    if not complete:
        commands = commands_to_restore(live, idle, production, staging) if live and idle else []
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}; production should be on "
            f"{live or 'no server'}{f' and staging on {idle}' if idle else ''}. A person must act."
            + (f" Run:{as_lines(commands)}" if commands else "")
        )
    logger.info("Restored", pair=pair.name)
    return {"production": production.to_json(), "staging": staging.to_json()}
