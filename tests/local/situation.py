"""How tests prepare the local AWS, and what they read from it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config

from domain.lock import Lock
from local.aws import LocalAws
from local.ec2 import ACCESS_KEY, REGION, Ec2
from local.faults import Fault
from local.server import Behaviour

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

AS_BEFORE, SWAPPED = ("bittybot", "tao"), ("tao", "bittybot")
T = TypeVar("T")


def until(value: Callable[[], T | None], seconds: float = 30) -> T:
    """The value, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (result := value()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return result


def places(aws: LocalAws) -> tuple[str | None, str | None]:
    """The servers that hold production and staging."""
    return aws.holder("production"), aws.holder("staging")


def arn_of(aws: LocalAws, name: str) -> str:
    return f"{aws.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def deploy(aws: LocalAws, behaviour: Behaviour) -> None:
    """Deploy a release to tao, and restart tao."""
    aws.servers["tao"].deploy(release=2, behaviour=behaviour)
    aws.servers["tao"].restart()


def start_slowly(aws: LocalAws) -> str:
    """A cutover to tao that holds the lock and takes some seconds. Returns its ARN."""
    aws.ec2.faults.inject(Fault(action="DisassociateAddress", kind="slow", seconds=3))
    arn = aws.start({"serverName": "tao"})
    until(lambda: locks(aws))
    return arn


def client_of(ec2: Ec2, *, tries: int, read_timeout: float = 5) -> "EC2Client":
    """A client of the local EC2 that tries each call at most so many times."""
    session = boto3.Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)
    retries: Any = {"mode": "standard", "total_max_attempts": tries}
    config = Config(proxies={}, retries=retries, read_timeout=read_timeout)
    return session.client("ec2", endpoint_url=ec2.endpoint, config=config)


def lock_table(aws: LocalAws) -> str:
    return aws.outputs["LockTableName"]


def _items(aws: LocalAws) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = aws.client("dynamodb").scan(TableName=lock_table(aws))["Items"]
    return items


def locks(aws: LocalAws) -> list[Lock]:
    return [Lock.from_item(item) for item in _items(aws) if "execution" in item]


def put_lock(aws: LocalAws, execution: str) -> None:
    item = {"pair": "web", "execution": execution, "since": "2026-01-01T00:00:00Z", "server": "tao"}
    text = {key: {"S": value} for key, value in item.items()}
    aws.client("dynamodb").put_item(TableName=lock_table(aws), Item=text)


def tidy(aws: LocalAws) -> None:
    """Remove all faults, locks and records."""
    aws.ec2.faults.clear()
    for item in _items(aws):
        aws.client("dynamodb").delete_item(TableName=lock_table(aws), Key={"pair": item["pair"]})
