"""DescribeRestored: after a rollback, looks whether the pair is sound as planned."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.addresses import Addresses
from aws.calls import ec2_client
from domain.deployed_pairs import deployed_pairs
from domain.errors import RollbackFailed
from domain.events import read
from domain.pair import Json
from domain.plan import PlannedPlace, compare_restored

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class DescribeRestoredEvent:
    """`live` is the place that held production before, `idle` the one where staging belongs."""

    execution: str
    pair: str
    live: PlannedPlace
    idle: PlannedPlace


def create_handler(
    ec2: "EC2Client", *, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Mapping[str, Any], LambdaContext], Json]:
    @logger.inject_lambda_context(correlation_id_path="execution")
    def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
        """Returns `{"production", "staging"}` as they stand, if production is where it was and staging on the other
        server.

        Raises RollbackFailed, with the commands that finish it, if they are not; EC2Throttled and EC2Unavailable.
        """
        asked = read(DescribeRestoredEvent, event)
        pair = deployed_pairs()[asked.pair]
        live, idle = (pair.place(place.name, place.private_ip) for place in (asked.live, asked.idle))
        production, staging, complete = Addresses(pair, ec2, sleep=sleep).look_until(
            lambda production, staging: compare_restored(live, idle, production, staging).is_complete
        )
        restored = compare_restored(live, idle, production, staging)
        if not complete:
            raise RollbackFailed(
                f"Production is {production.place} and staging is {staging.place}; production should be on {live} and "
                f"staging on {idle}. A person must act. Run: " + " && ".join(restored.commands)
            )
        logger.info("Restored", pair=pair.name)
        return restored.to_json()

    return handler


handler = create_handler(ec2)
