"""The quotas that the local AWS shows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.ec2 import Ec2
from local.environment import of_a_client, of_this_machine


def aws(ec2: Ec2, *words: str) -> Any:
    environment = of_this_machine() | of_a_client(endpoint="http://127.0.0.1:1", ec2_endpoint=ec2.endpoint)
    command = [
        str(Path(sys.executable).with_name("aws")),
        "service-quotas",
        "get-service-quota",
        *words,
        "--output",
        "text",
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("service", "code", "name"),
    [("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs"), ("vpc", "L-F678F1CE", "VPCs per Region")],
)
def test_the_quotas_of_a_new_account(ec2: Ec2, service: str, code: str, name: str) -> None:
    query = "Quota.[QuotaName, Value]"
    answer = aws(ec2, "--service-code", service, "--quota-code", code, "--query", query)
    assert answer.stdout.split("\t") == [name, "5.0\n"]


def test_the_quota_of_vcpus_leaves_room_for_two_servers_beside_those_of_the_local_aws(ec2: Ec2) -> None:
    query = ("--service-code", "ec2", "--quota-code", "L-1216C47A", "--query", "Quota.Value")
    assert aws(ec2, *query).stdout == "64.0\n"


def test_other_quotas_are_unknown(ec2: Ec2) -> None:
    answer = aws(ec2, "--service-code", "ec2", "--quota-code", "L-00000000")
    assert "NoSuchResourceException" in answer.stderr
