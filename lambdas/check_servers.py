"""CheckServers: have EC2's status checks of the server that is to become live passed?"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from aws.calls import ec2_client, refused_as_preflight
from aws.servers import Servers
from domain.deployed_pairs import deployed_pairs
from domain.events import read
from domain.pair import Json

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class CheckServersEvent:
    """`server` is the name of the server to check."""

    execution: str
    pair: str
    server: str


def create_handler(
    ec2: "EC2Client", *, sleep: Callable[[float], None] = time.sleep
) -> Callable[[Mapping[str, Any], LambdaContext], Json]:
    @logger.inject_lambda_context(correlation_id_path="execution")
    def handler(event: Mapping[str, Any], _context: LambdaContext) -> Json:
        """Returns `{"passed": true}`. Waits for status checks as long as the longest `deadlineSeconds` of the pair's
        checks.

        Raises PreflightFailed, EC2Throttled and EC2Unavailable.
        """
        asked = read(CheckServersEvent, event)
        pair = deployed_pairs()[asked.pair]
        longest = max(check["deadlineSeconds"] for check in pair.health_check)
        with refused_as_preflight():
            Servers(pair, ec2, sleep=sleep).wait_for_status_checks(pair.place(asked.server, None).server, longest)
        logger.info("Status checks passed", pair=pair.name, server=asked.server)
        return {"passed": True}

    return handler


handler = create_handler(ec2)
