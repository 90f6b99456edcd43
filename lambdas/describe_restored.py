"""DescribeRestored, DescribeUnchanged: after a rollback, or checks that changed nothing, is the pair as planned?"""

import time
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from aws.addresses import Addresses
from aws.calls import Ec2, Sleep, ec2_client
from domain.deployed_pairs import deployed_pairs
from domain.errors import RollbackFailed
from domain.events import read
from domain.pair import Json
from domain.plan import PlannedPlace, commands_to_restore

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeRestoredEvent:
    """`live` is the place that held production before, `idle` the place where staging belongs."""

    execution: str
    pair: str
    live: PlannedPlace
    idle: PlannedPlace


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = time.sleep) -> Json:
    """Returns `{"production", "staging"}` as they are, if production is on `live` and staging on `idle`.

    Otherwise raises RollbackFailed, with the commands that finish the rollback. Raises EC2Throttled, EC2Unavailable.
    """
    asked = read(DescribeRestoredEvent, event)
    pair = deployed_pairs()[asked.pair]
    live, idle = (pair.place(place.name, place.private_ip) for place in (asked.live, asked.idle))
    production, staging, complete = Addresses(pair, ec2, sleep=sleep).look_until(
        lambda production, staging: not commands_to_restore(live, idle, production, staging)
    )
    if not complete:
        raise RollbackFailed(
            f"Production is {production.place} and staging is {staging.place}; production should be on {live} and "
            f"staging on {idle}. A person must act. Run: "
            + " && ".join(commands_to_restore(live, idle, production, staging))
        )
    logger.info("Restored", pair=pair.name)
    return {"production": production.to_json(), "staging": staging.to_json()}
