"""The EC2 resources of CloudFormation, made in the local EC2: ministack's CloudFormation makes them in its own stub.

Every type is a create call and a delete call of EC2's API. The properties of a resource are the parameters of its
calls: CloudFormation's names are those of the API, apart from what `_parameters` changes. A change of the tags, and a
change of a launch template, which becomes its next version, keep the resource. Every other change replaces it; AWS does
so only for some properties.

Source: CloudFormation Template Reference, the types of AWS::EC2.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import boto3
import jmespath
from botocore.config import Config
from botocore.exceptions import ClientError

Properties = Mapping[str, Any]
RESOLVED = "resolve:ssm:"


class Kind(NamedTuple):
    """How EC2 makes a type: `id` is where the create call answers its id, `resource` where it describes the resource.

    The delete call gets the id as `key`; without a key, the properties. `tagged` is EC2's name of a type with tags.
    """

    create: str
    id: str
    delete: str
    key: str = ""
    resource: str = "@"
    tagged: str = ""


KINDS = {
    "VPC": Kind("create_vpc", "VpcId", "delete_vpc", "VpcId", "Vpc", "vpc"),
    "Subnet": Kind("create_subnet", "SubnetId", "delete_subnet", "SubnetId", "Subnet", "subnet"),
    "InternetGateway": Kind(
        "create_internet_gateway", "InternetGatewayId", "delete_internet_gateway", "InternetGatewayId",
        "InternetGateway", "internet-gateway",
    ),
    "VPCGatewayAttachment": Kind("attach_internet_gateway", "", "detach_internet_gateway"),
    "RouteTable": Kind(
        "create_route_table", "RouteTableId", "delete_route_table", "RouteTableId", "RouteTable", "route-table"
    ),
    "Route": Kind("create_route", "", "delete_route"),
    "SubnetRouteTableAssociation": Kind(
        "associate_route_table", "AssociationId", "disassociate_route_table", "AssociationId"
    ),
    "SecurityGroup": Kind(
        "create_security_group", "GroupId", "delete_security_group", "GroupId", tagged="security-group"
    ),
    "SecurityGroupIngress": Kind("authorize_security_group_ingress", "", "revoke_security_group_ingress"),
    "LaunchTemplate": Kind(
        "create_launch_template", "LaunchTemplateId", "delete_launch_template", "LaunchTemplateId", "LaunchTemplate"
    ),
    "Instance": Kind(
        "run_instances", "InstanceId", "terminate_instances", "InstanceIds", "Instances[0]", "instance"
    ),
    "EIP": Kind("allocate_address", "PublicIp", "release_address", "AllocationId", tagged="elastic-ip"),
}  # fmt: skip
ATTRIBUTES = {
    "PublicIp": "PublicIp || PublicIpAddress",
    "PrivateIp": "PrivateIpAddress",
    "AvailabilityZone": "AvailabilityZone || Placement.AvailabilityZone",
}
"""The attributes that the answers of EC2 have under other names."""


def use_local_ec2(provisioners: Any, stacks: Any) -> None:
    """Let these modules of ministack make the types in the EC2 of `AWS_ENDPOINT_URL_EC2`, from now on."""
    ec2 = CloudFormationOfEc2()
    types = {f"AWS::EC2::{name}" for name in KINDS}
    runs_on_worker_thread = stacks._runs_on_worker_thread
    for name in KINDS:
        provisioners._RESOURCE_HANDLERS[f"AWS::EC2::{name}"] = ec2.handlers(name)
    for name in ("Instance", "EIP"):  # the others are there: the types that get the tags of their stack
        provisioners._STACK_TAG_PROPERTY[f"AWS::EC2::{name}"] = ("Tags", "list")
    # EC2 is another process, for which the event loop of this one should not wait.
    stacks._runs_on_worker_thread = lambda kind: kind in types or runs_on_worker_thread(kind)


class CloudFormationOfEc2:
    def __init__(self) -> None:
        endpoint, config = os.environ["AWS_ENDPOINT_URL_EC2"], Config(proxies={})
        self._ec2: Any = boto3.client("ec2", endpoint_url=endpoint, config=config)
        self._parameter_store: Any = boto3.client(
            "ssm", endpoint_url=endpoint, config=config
        )  # moto's, with its images

    def handlers(self, name: str) -> dict[str, Any]:
        """What ministack calls for a type."""
        kind = KINDS[name]

        def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
            unique = f"{stack}-{logical_id}-{secrets.token_hex(6)}"
            answer = self._call(kind.create, self._parameters(name, properties, unique))
            resource = jmespath.search(kind.resource, answer)
            physical_id = resource[kind.id] if kind.id else "|".join(self._identity(kind, properties))
            try:
                self._complete(name, physical_id, properties, resource)
            except ClientError:
                delete(physical_id, properties)
                raise
            return physical_id, self._attributes(name, resource)

        def update(
            physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
        ) -> tuple[str, dict[str, Any]]:
            if name == "LaunchTemplate":
                request = {"LaunchTemplateId": physical_id, **self._parameters(name, new, "")}
                version = self._call("create_launch_template_version", request)["LaunchTemplateVersion"]
                return physical_id, {"LatestVersionNumber": str(version["VersionNumber"])}
            if _without_tags(old) == _without_tags(new):
                self._tag(name, physical_id, old, new)
                return physical_id, {}
            return create(logical_id, new, stack)

        def delete(physical_id: str, properties: Properties) -> None:
            try:
                self._call(kind.delete, self._deleted(name, physical_id, properties))
            except ClientError as error:
                if not error.response["Error"]["Code"].endswith(".NotFound"):  # someone else has deleted it
                    raise

        return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}

    def _call(self, operation: str, parameters: Properties) -> dict[str, Any]:
        """Call EC2 with those of the parameters that the operation has, in the types that it has for them."""
        model = self._ec2.meta.service_model.operation_model(self._ec2.meta.method_to_api_mapping[operation])
        answer: dict[str, Any] = getattr(self._ec2, operation)(**_fitted(parameters, model.input_shape))
        return answer

    def _parameters(self, name: str, properties: Properties, unique: str) -> dict[str, Any]:
        parameters = dict(properties)
        if KINDS[name].tagged and properties.get("Tags"):
            parameters["TagSpecifications"] = [{"ResourceType": KINDS[name].tagged, "Tags": properties["Tags"]}]
        match name:
            case "SecurityGroup":
                parameters |= {"Description": properties["GroupDescription"]}
                parameters.setdefault("GroupName", unique)
            case "SecurityGroupIngress":
                parameters = {"GroupId": properties["GroupId"], "IpPermissions": [_permission(properties)]}
            case "LaunchTemplate":
                parameters.setdefault("LaunchTemplateName", unique)
                parameters["LaunchTemplateData"] = self._with_image(properties["LaunchTemplateData"])
            case "Instance":
                parameters = self._with_image(parameters) | {"MinCount": 1, "MaxCount": 1}
                parameters.pop("IamInstanceProfile", None)  # it is in ministack's IAM, and EC2 would not find it
                if "UserData" in parameters:  # boto3 encodes it
                    parameters["UserData"] = base64.b64decode(parameters["UserData"]).decode()
        return parameters

    def _with_image(self, properties: Properties) -> dict[str, Any]:
        """An image that is a parameter of AWS (`resolve:ssm:`) as its id. AWS looks it up at the launch."""
        image = str(properties.get("ImageId", ""))
        if not image.startswith(RESOLVED):
            return dict(properties)
        parameter = self._parameter_store.get_parameter(Name=image.removeprefix(RESOLVED))["Parameter"]
        return {**properties, "ImageId": parameter["Value"]}

    def _complete(self, name: str, physical_id: str, properties: Properties, resource: dict[str, Any]) -> None:
        """The properties that the create call does not have, and the attributes that it does not answer."""
        match name:
            case "VPC":
                for attribute in {"EnableDnsSupport", "EnableDnsHostnames"} & properties.keys():
                    self._call(
                        "modify_vpc_attribute", {"VpcId": physical_id, attribute: {"Value": properties[attribute]}}
                    )
                in_vpc = [{"Name": "vpc-id", "Values": [physical_id]}]
                (group,) = self._ec2.describe_security_groups(Filters=in_vpc)["SecurityGroups"]
                resource["DefaultSecurityGroup"] = group["GroupId"]
            case "Subnet" if "MapPublicIpOnLaunch" in properties:
                value = {"Value": properties["MapPublicIpOnLaunch"]}
                self._call("modify_subnet_attribute", {"SubnetId": physical_id, "MapPublicIpOnLaunch": value})
            case "SecurityGroup":
                self._set_rules(physical_id, properties)
            case "EIP" if "InstanceId" in properties:
                where = {"AllocationId": resource["AllocationId"], "InstanceId": properties["InstanceId"]}
                self._call("associate_address", where)

    def _set_rules(self, group_id: str, properties: Properties) -> None:
        """Without egress rules, a group keeps its rule that allows everything."""
        if egress := properties.get("SecurityGroupEgress"):
            (group,) = self._ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
            self._ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
            rules = {"GroupId": group_id, "IpPermissions": [_permission(rule) for rule in egress]}
            self._call("authorize_security_group_egress", rules)
        if ingress := properties.get("SecurityGroupIngress"):
            rules = {"GroupId": group_id, "IpPermissions": [_permission(rule) for rule in ingress]}
            self._call("authorize_security_group_ingress", rules)

    def _attributes(self, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        named = {key: jmespath.search(path, resource) for key, path in ATTRIBUTES.items()}
        if name == "LaunchTemplate":
            numbers = ("DefaultVersionNumber", "LatestVersionNumber")
            resource |= {key: str(resource[key]) for key in numbers}
        return resource | {key: value for key, value in named.items() if value is not None}

    def _deleted(self, name: str, physical_id: str, properties: Properties) -> dict[str, Any]:
        key = KINDS[name].key
        if not key:
            return self._parameters(name, properties, "")
        own_id = self._allocation_id(physical_id) if name == "EIP" else physical_id
        return {key: [own_id] if key.endswith("s") else own_id}

    def _allocation_id(self, public_ip: str) -> str:
        (address,) = self._ec2.describe_addresses(PublicIps=[public_ip])["Addresses"]
        return str(address["AllocationId"])

    def _tag(self, name: str, physical_id: str, old: Properties, new: Properties) -> None:
        own_id = self._allocation_id(physical_id) if name == "EIP" else physical_id
        kept = {tag["Key"] for tag in new.get("Tags", [])}
        gone = [{"Key": tag["Key"]} for tag in old.get("Tags", []) if tag["Key"] not in kept]
        if gone:
            self._ec2.delete_tags(Resources=[own_id], Tags=gone)
        if kept:
            self._ec2.create_tags(Resources=[own_id], Tags=new["Tags"])

    def _identity(self, kind: Kind, properties: Properties) -> list[str]:
        """What a resource without an id of its own is called: all its properties that are texts."""
        return [kind.create, *(str(value) for value in properties.values() if isinstance(value, str))]


def _without_tags(properties: Properties) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "Tags"}


def _permission(rule: Properties) -> dict[str, Any]:
    """A rule of a security group as EC2's API has it."""
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    permission: dict[str, Any] = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in rule}
    for key, value in rule.items():
        match key:
            case "CidrIp":
                permission["IpRanges"] = [{"CidrIp": value, **described}]
            case "CidrIpv6":
                permission["Ipv6Ranges"] = [{"CidrIpv6": value, **described}]
            case "SourceSecurityGroupId" | "DestinationSecurityGroupId":
                permission["UserIdGroupPairs"] = [{"GroupId": value, **described}]
            case "SourcePrefixListId" | "DestinationPrefixListId":
                permission["PrefixListIds"] = [{"PrefixListId": value, **described}]
    return permission


def _fitted(value: Any, shape: Any) -> Any:
    """A value of a template as the API's model has it: a template may have numbers and booleans as texts."""
    match shape.type_name:
        case "structure":
            return {key: _fitted(each, shape.members[key]) for key, each in value.items() if key in shape.members}
        case "list":
            return [_fitted(each, shape.member) for each in value]
        case "boolean":
            return str(value).lower() == "true"
        case "integer" | "long":
            return int(value)
        case "string":
            return str(value)
    return value
