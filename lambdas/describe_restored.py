"""DescribeRestored, DescribeUnchanged: after a rollback, or checks that changed nothing, is the pair as planned?"""

import time
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import Ec2, Sleep, ec2_client
from domain.deployed_pairs import deployed_pairs
from domain.errors import RollbackFailed
from domain.events import read
from domain.pair import Json, Place
from domain.plan import PlannedPlace, as_lines, commands_to_restore

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeRestoredEvent:
    """`live` is the place that held production before; null if there was none, or with `restoring`, if production
    cannot go back there. `idle` is the place where staging belongs."""

    execution: str
    pair: str
    restoring: bool
    live: PlannedPlace | None
    idle: PlannedPlace


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = time.sleep) -> Json:
    """Returns `{"production", "staging"}` as they are, if production is on `live` and staging on `idle`.

    Otherwise raises RollbackFailed, with the commands that finish the rollback. Without `live`, production should be on
    no server; if that is to be restored, always raises RollbackFailed. Raises EC2Throttled, EC2Unavailable.
    """
    asked = read(DescribeRestoredEvent, event)
    pair, addresses = deployed_pairs()[asked.pair], Addresses(deployed_pairs()[asked.pair], ec2, sleep=sleep)
    idle = pair.place(asked.idle.name, asked.idle.private_ip)
    if asked.live is None and not asked.restoring:
        production, staging, unchanged = addresses.look_until(
            lambda production, staging: not production.is_associated and staging.stands_at(idle)
        )
        if not unchanged:
            raise RollbackFailed(f"Production is {production.place} and staging is {staging.place}.")
        return {"production": production.to_json(), "staging": staging.to_json()}
    if asked.live is None:
        production, staging = addresses.look()
        other = pair.other(idle.server)
        commands = commands_to_restore(idle, Place(other), production, staging)
        finish = f" To put both addresses where they were going, run:{as_lines(commands)}" if commands else ""
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}. There is no server to roll back to: "
            f"production was on no server, or on one that cannot hold it now. A person must act: fix {idle.server}, "
            f'or make {other} live with "serverName": "{other.name}".{finish}'
        )
    live = pair.place(asked.live.name, asked.live.private_ip)
    production, staging, complete = addresses.look_until(
        lambda production, staging: not commands_to_restore(live, idle, production, staging)
    )
    if not complete:
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}; production should be on {live} and "
            f"staging on {idle}. A person must act. Run:"
            + as_lines(commands_to_restore(live, idle, production, staging))
        )
    logger.info("Restored", pair=pair.name)
    return {"production": production.to_json(), "staging": staging.to_json()}
