"""DescribeInstanceInformation: the instances whose agents are known to Systems Manager.

Source: API reference of DescribeInstanceInformation and InstanceInformation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from local.systems_manager_agents import Agents
from local.systems_manager_requests import Refused, Request

MOST_PER_PAGE = 50
FILTERS = {"InstanceIds": "InstanceId", "PingStatus": "PingStatus", "PlatformTypes": "PlatformType"}
"""The filters that are known here, and the key of a description that each compares."""


def instance_information(request: Request, agents: Agents, instances: Sequence[str], *, now: float) -> dict[str, Any]:
    """The answer, with times as `datetime`. Raises Refused."""
    described = [_described(instance, agents, now) for instance in sorted(instances) if agents.has(instance)]
    for each in request.get("Filters", []):
        described = [entry for entry in described if _passes(entry, each["Key"], each["Values"])]
    for each in request.get("InstanceInformationFilterList", []):
        described = [entry for entry in described if _passes(entry, each["key"], each["valueSet"])]
    begin, size = int(request.get("NextToken", 0)), request.get("MaxResults", MOST_PER_PAGE)
    page = {"InstanceInformationList": described[begin : begin + size]}
    return page | ({"NextToken": str(begin + size)} if len(described) > begin + size else {})


def _described(instance_id: str, agents: Agents, now: float) -> dict[str, Any]:
    lost = agents.manner.get(instance_id) == "lost"
    return {
        "InstanceId": instance_id,
        "PingStatus": "ConnectionLost" if lost else "Online",
        "LastPingDateTime": datetime.fromtimestamp(now, UTC),
        "AgentVersion": "3.3.0.0",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023",
        "ResourceType": "EC2Instance",
    }


def _passes(description: Mapping[str, Any], key: str, values: Sequence[str]) -> bool:
    if key not in FILTERS:
        raise Refused("InvalidFilterKey", f"{key} is not a filter that is known here")
    return description[FILTERS[key]] in values
