"""The EC2 types of CloudFormation, as calls of EC2's API, and what differs between a template and the API.

Source: CloudFormation Template Reference, the types of AWS::EC2; API reference of EC2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jmespath  # type: ignore[import-untyped]

Properties = Mapping[str, Any]


class Kind(NamedTuple):
    """How EC2 makes a type. `resource` is where the answer describes the resource, and `id` the key of its id there;
    without one, the parameters of the delete call are its id. `tagged` is EC2's name of a type that has tags."""

    create: str
    delete: str
    id: str = ""
    resource: str = "@"
    tagged: str = ""


KINDS = {
    "VPC": Kind("create_vpc", "delete_vpc", "VpcId", "Vpc", "vpc"),
    "Subnet": Kind("create_subnet", "delete_subnet", "SubnetId", "Subnet", "subnet"),
    "InternetGateway": Kind(
        "create_internet_gateway", "delete_internet_gateway", "InternetGatewayId", "InternetGateway", "internet-gateway"
    ),
    "VPCGatewayAttachment": Kind("attach_internet_gateway", "detach_internet_gateway"),
    "RouteTable": Kind("create_route_table", "delete_route_table", "RouteTableId", "RouteTable", "route-table"),
    "Route": Kind("create_route", "delete_route"),
    "SubnetRouteTableAssociation": Kind("associate_route_table", "disassociate_route_table", "AssociationId"),
    "SecurityGroup": Kind("create_security_group", "delete_security_group", "GroupId", tagged="security-group"),
    "SecurityGroupIngress": Kind(
        "authorize_security_group_ingress",
        "revoke_security_group_ingress",
        "SecurityGroupRuleId",
        "SecurityGroupRules[0]",
    ),
    "LaunchTemplate": Kind(
        "create_launch_template", "delete_launch_template", "LaunchTemplateId", "LaunchTemplate"
    ),
    "Instance": Kind("run_instances", "terminate_instances", "InstanceId", "Instances[0]", "instance"),
    "EIP": Kind("allocate_address", "release_address", "PublicIp", tagged="elastic-ip"),
}  # fmt: skip
ATTRIBUTES = {
    "PublicIp": "PublicIp || PublicIpAddress",
    "PrivateIp": "PrivateIpAddress",
    "AvailabilityZone": "AvailabilityZone || Placement.AvailabilityZone",
    "DefaultVersionNumber": "to_string(DefaultVersionNumber)",
    "LatestVersionNumber": "to_string(LatestVersionNumber || VersionNumber)",
}
"""The attributes that the answers of EC2 have under another name or in another type."""
SOURCES = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
}
"""Where the API has the other side of a rule of a security group."""


def attributes(resource: Properties) -> dict[str, Any]:
    """The attributes of a resource (`Fn::GetAtt`), as the API describes the resource."""
    named = {name: jmespath.search(path, resource) for name, path in ATTRIBUTES.items()}
    return {**resource, **{name: value for name, value in named.items() if value not in (None, "null")}}


def permission(rule: Properties) -> dict[str, Any]:
    """A rule of a security group as EC2's API has it."""
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    sources = {SOURCES[key][0]: [{SOURCES[key][1]: rule[key], **described}] for key in SOURCES if key in rule}
    return {**rule, **sources}


def fitted(value: Any, shape: Any) -> Any:
    """A value as the model of the API has it. A template may have numbers and booleans as texts."""
    match shape.type_name:
        case "structure":
            members = {key: each for key, each in value.items() if key in shape.members and each is not None}
            return {key: fitted(each, shape.members[key]) for key, each in members.items()}
        case "list":
            return [fitted(each, shape.member) for each in value]
        case "boolean":
            return str(value).lower() == "true"
        case "integer":
            return int(value)
    return value
