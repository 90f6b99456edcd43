"""The configured pair of the tests of the handlers, its record after a cutover, and a call of `DescribeAddresses`."""

import json
from pathlib import Path
from typing import Any

import boto3

import describe_addresses
from domain.pair import Server
from tests.unit.ec2_account import Ec2Account
from tests.unit.handler_calls import CONTEXT

CUTOVER = {"from": "tao", "to": "bittybot", "at": "2026-02-01T09:30:00Z", "execution": "c-7", "rollback": False}
TO_TAO: dict[str, Any] = {"server": "tao", "why": "it was live before c-7", "instanceId": None, "rejected": []}
FROM_TAO = {"pair": "web", "rollbackTo": TO_TAO, "lastCutover": CUTOVER, "revision": 7}


def configure(ec2: Ec2Account, folder: Path, **keys: Any) -> None:
    pair = ec2.pair
    addresses = {"production": pair.production, "staging": pair.staging}
    servers = {server.name: server.instance_id for server in pair.servers}
    checks = {"healthCheck": pair.health_check, "bakeSeconds": 0, "alarms": []}
    (folder / "pairs.json").write_text(json.dumps({"web": {**addresses, "servers": servers, **checks, **keys}}))


def describe(request: Any, **event: Any) -> dict[str, Any]:
    return describe_addresses.handler({"execution": "cutover-1", "request": request, **event}, CONTEXT)


def servers(ec2: Ec2Account, folder: Path) -> tuple[Server, Server, Any]:
    """Two new instances as bittybot and tao, for a test that terminates one of them; and a client for that."""
    client = boto3.client("ec2")
    launched = client.run_instances(ImageId="ami-12c6146b", MinCount=2, MaxCount=2)["Instances"]
    bittybot, tao = (Server(name, each["InstanceId"]) for name, each in zip(("bittybot", "tao"), launched, strict=True))
    configure(ec2, folder, servers={each.name: each.instance_id for each in (bittybot, tao)})
    ec2.move("production", bittybot.instance_id)
    ec2.move("staging", tao.instance_id)
    return bittybot, tao, client


def places(ec2: Ec2Account) -> dict[str, Any]:
    return {"live": ec2.place(ec2.bittybot).to_json(), "idle": ec2.place(ec2.tao).to_json()}
