"""How tests run the client, and what they arrange for it and look at behind its back."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.aws import LocalAws
from local.faults import Fault

PROJECT = Path(__file__).parent.parent.parent.parent
CLIENT = [sys.executable, str(PROJECT / "cutover.py")]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(aws: LocalAws, **more: str | None) -> dict[str, str]:
    variables = {"PATH": os.environ["PATH"], **aws.environment, **more}
    return {name: value for name, value in variables.items() if value is not None}


def table(aws: LocalAws) -> str:
    (name,) = aws.client("dynamodb").list_tables()["TableNames"]
    return str(name)


def locks(aws: LocalAws) -> list[Any]:
    found: list[Any] = aws.client("dynamodb").scan(TableName=table(aws))["Items"]
    return found


def locked(aws: LocalAws, execution: str, since: str = "2026-01-01T00:00:00Z") -> None:
    item = {"pair": "web", "execution": execution, "since": since, "server": "tao"}
    aws.client("dynamodb").put_item(TableName=table(aws), Item={key: {"S": value} for key, value in item.items()})


def unlocked(aws: LocalAws, pair: str = "web") -> None:
    aws.client("dynamodb").delete_item(TableName=table(aws), Key={"pair": {"S": pair}})


def until(found: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not found within {seconds} s"
        time.sleep(0.02)
    return result


def places(aws: LocalAws) -> tuple[str | None, str | None]:
    return aws.holder("production"), aws.holder("staging")


def deploy(aws: LocalAws, behaviour: Any) -> None:
    aws.servers["tao"].deploy(release=2, behaviour=behaviour)
    aws.servers["tao"].restart()


def another_one_runs(aws: LocalAws) -> None:
    aws.ec2.faults.inject(Fault(action="DisassociateAddress", kind="slow", seconds=3))
    aws.start({"serverName": "tao"})
    until(lambda: locks(aws))


def tidy(aws: LocalAws) -> None:
    """No faults, no locks."""
    aws.ec2.faults.clear()
    for lock in locks(aws):
        unlocked(aws, lock["pair"]["S"])
