"""The memory of the function that reads `pairs.json`, by the number of pairs: the real handler, in its own process."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.fresh_python import cost_of

PAIRS = (1, 200)
ROUNDS = 3
CALLED = """
from types import SimpleNamespace
from describe_addresses import handler
context = SimpleNamespace(function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="1")
plan = handler({"execution": "e", "request": {"pair": "pair-0"}}, context)
assert plan["decision"] == "CUT_OVER", plan
"""


def memory_by_pairs(asset: Path, folder: Path) -> Mapping[int, float]:
    """The function's peak memory in megabytes, after a call that plans a cutover: medians of several runs in turn."""
    from local.ec2 import ACCESS_KEY, REGION, Ec2  # noqa: PLC0415  # slow, and not every process needs it

    with Ec2() as ec2:
        production, staging = (ec2.allocate(ip).allocation_id for ip in ("127.0.0.10", "127.0.0.11"))
        servers = {name: ec2.launch(name) for name in ("bittybot", "tao")}
        for allocation_id, instance_id in ((production, servers["bittybot"]), (staging, servers["tao"])):
            ec2.client().associate_address(AllocationId=allocation_id, InstanceId=instance_id)
        # moto's DynamoDB answers beside its EC2.
        session = boto3.Session(ACCESS_KEY, ACCESS_KEY, region_name=REGION)
        table: Any = session.client("dynamodb", endpoint_url=ec2.endpoint, config=Config(proxies={}))
        key = {"AttributeName": "pair"}
        table.create_table(
            TableName="locks",
            KeySchema=[{**key, "KeyType": "HASH"}],
            AttributeDefinitions=[{**key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_EC2": ec2.endpoint,
            "AWS_ENDPOINT_URL_DYNAMODB": ec2.endpoint,
            "LOCK_TABLE": "locks",
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",  # or the asset, whose size is measured later, would contain it
            "POWERTOOLS_SERVICE_NAME": "eip-cutover",
            "POWERTOOLS_METRICS_NAMESPACE": "EipCutover",
        }
        configured = {"production": production, "staging": staging, "servers": servers, **_rest(asset)}
        runs: dict[int, list[float]] = {pairs: [] for pairs in PAIRS}
        for _ in range(ROUNDS):
            for pairs, megabytes in runs.items():
                file = folder / f"{pairs}-pairs.json"
                file.write_text(json.dumps({f"pair-{number}": configured for number in range(pairs)}, indent=1))
                megabytes.append(cost_of(CALLED, asset, {**environment, "PAIRS_FILE": str(file)}).megabytes)
    return {pairs: median(megabytes) for pairs, megabytes in runs.items()}


def _rest(asset: Path) -> dict[str, Any]:
    """Everything else of the pair in cdk.json, as the stack writes it."""
    pair = next(iter(json.loads((asset / "pairs.json").read_text()).values()))
    return {key: value for key, value in pair.items() if key not in ("production", "staging", "servers")}
