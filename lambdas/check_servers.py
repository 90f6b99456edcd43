"""CheckServers: have EC2's status checks of the server that should become live passed?"""

import time
from dataclasses import dataclass
from functools import partial

from aws_lambda_powertools import Logger

from aws.calls import Ec2, Sleep, ec2_client, refused_as_preflight
from aws.rollback_request import RollbackRequest
from aws.servers import Servers
from domain.deployed_pairs import deployed_pairs
from domain.events import read
from domain.pair import Json

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class CheckServersEvent:
    """`server` is the name of the server to check. `lock` is `{"pair", "execution"}`, as in `RollbackRequest`."""

    execution: str
    pair: str
    server: str
    lock: dict[str, str] | None = None


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = time.sleep) -> Json:
    """Waits for status checks for as long as the longest `deadlineSeconds` of the pair's checks.

    Returns `{"passed": true}`. Raises PreflightFailed, RollbackRequested, EC2Throttled and EC2Unavailable.
    """
    asked = read(CheckServersEvent, event)
    pair = deployed_pairs()[asked.pair]
    longest = max(check["deadlineSeconds"] for check in pair.health_check)
    listening = partial(RollbackRequest(asked.lock).sleep, sleep=sleep)
    with refused_as_preflight():
        Servers(pair, ec2, sleep=listening).wait_for_status_checks(pair.place(asked.server).server, longest)
    logger.info("Status checks passed", pair=pair.name, server=asked.server)
    return {"passed": True}
