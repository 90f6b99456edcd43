"""The EC2 resources of CloudFormation, made in the local EC2: ministack's CloudFormation makes them in its own stub.

The properties of a resource are the parameters of the call that creates it: CloudFormation and the API use the same
names, apart from what `_parameters` changes. A change of the tags, and a change of a launch template, which becomes its
next version, keep the resource. Every other change replaces it; AWS does so only for some properties.
"""

from __future__ import annotations

import base64
import os
import secrets
from functools import cached_property
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore.config import Config
from botocore.exceptions import ClientError

from local.cloudformation_ec2_types import KINDS, Properties, attributes, fitted, permission

ALIAS = "resolve:ssm:"


def use_local_ec2(provisioners: Any, stacks: Any) -> None:
    """Let these modules of ministack make the types in the EC2 of `AWS_ENDPOINT_URL_EC2`, from now on."""
    ec2 = CloudFormationOfEc2()
    types = {f"AWS::EC2::{name}" for name in KINDS}
    runs_on_worker_thread = stacks._runs_on_worker_thread
    for name in KINDS:
        provisioners._RESOURCE_HANDLERS[f"AWS::EC2::{name}"] = ec2.handlers(name)
    for name in ("Instance", "EIP"):  # the types that get the tags of their stack; the others are there
        provisioners._STACK_TAG_PROPERTY[f"AWS::EC2::{name}"] = ("Tags", "list")
    # EC2 is in another process, for which the event loop of this one should not wait.
    stacks._runs_on_worker_thread = lambda kind: kind in types or runs_on_worker_thread(kind)


class CloudFormationOfEc2:
    def __init__(self) -> None:
        self._attributes: dict[str, dict[str, Any]] = {}

    @cached_property  # only when it is used, because it reads a large model
    def _ec2(self) -> Any:
        return boto3.client("ec2", config=Config(proxies={}))

    @cached_property
    def _images(self) -> Any:
        """The parameters of moto's Systems Manager, which has images that moto's EC2 knows."""
        return boto3.client("ssm", endpoint_url=os.environ["AWS_ENDPOINT_URL_EC2"], config=Config(proxies={}))

    def handlers(self, name: str) -> dict[str, Any]:
        """What ministack calls for a type."""
        kind = KINDS[name]

        def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, dict[str, Any]]:
            parameters = self._parameters(name, properties, f"{stack}-{logical_id}-{secrets.token_hex(6)}")
            resource = jmespath.search(kind.resource, self._call(kind.create, parameters))
            physical_id = resource[kind.id] if kind.id else "|".join(self._fitted(kind.delete, properties).values())
            try:
                self._complete(name, properties, resource)
            except ClientError:
                delete(physical_id, properties)
                raise
            self._attributes[physical_id] = attributes(resource)
            return physical_id, self._attributes[physical_id]

        def update(
            physical_id: str, old: Properties, new: Properties, stack: str, logical_id: str
        ) -> tuple[str, dict[str, Any]]:
            if name == "LaunchTemplate":
                named = {"LaunchTemplateId": physical_id, "LaunchTemplateName": None}
                request = self._parameters(name, new, "") | named
                version = self._call("create_launch_template_version", request)["LaunchTemplateVersion"]
                self._attributes[physical_id] |= attributes(version)
                return physical_id, self._attributes[physical_id]
            if {**old, "Tags": None} != {**new, "Tags": None}:
                return create(logical_id, new, stack)
            tagged = [self._allocation_id(physical_id) if name == "EIP" else physical_id]
            if gone := [tag for tag in old.get("Tags", []) if tag not in new.get("Tags", [])]:
                self._ec2.delete_tags(Resources=tagged, Tags=gone)
            if tags := new.get("Tags"):
                self._ec2.create_tags(Resources=tagged, Tags=tags)
            return physical_id, self._attributes[physical_id]

        def delete(physical_id: str, properties: Properties) -> None:
            try:
                self._call(kind.delete, self._deleted(name, physical_id, properties))
            except ClientError as error:
                if not error.response["Error"]["Code"].endswith(".NotFound"):  # someone else has deleted it
                    raise

        return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}

    def _call(self, operation: str, parameters: Properties) -> dict[str, Any]:
        """Call EC2 with those of the parameters that the operation has."""
        answer: dict[str, Any] = getattr(self._ec2, operation)(**self._fitted(operation, parameters))
        return answer

    def _fitted(self, operation: str, parameters: Properties) -> dict[str, Any]:
        """Those of the parameters that the operation has, in the types that it has for them."""
        model = self._ec2.meta.service_model.operation_model(self._ec2.meta.method_to_api_mapping[operation])
        return dict(fitted(parameters, model.input_shape))

    def _parameters(self, name: str, properties: Properties, unique: str) -> dict[str, Any]:
        """The parameters of the create call."""
        parameters = {**properties}
        if KINDS[name].tagged and properties.get("Tags"):
            parameters["TagSpecifications"] = [{"ResourceType": KINDS[name].tagged, "Tags": properties["Tags"]}]
        match name:
            case "SecurityGroup":
                parameters = {"GroupName": unique, **parameters, "Description": properties["GroupDescription"]}
            case "SecurityGroupIngress":
                parameters = {"GroupId": properties["GroupId"], "IpPermissions": [permission(properties)]}
            case "LaunchTemplate":
                data = self._with_image(properties["LaunchTemplateData"])
                parameters = {"LaunchTemplateName": unique, **parameters, "LaunchTemplateData": data}
            case "Instance":
                parameters = {**self._with_image(parameters), "MinCount": 1, "MaxCount": 1}
                parameters["IamInstanceProfile"] = None  # it is in ministack's IAM, and EC2 would not find it
                if "UserData" in parameters:  # boto3 encodes it
                    parameters["UserData"] = base64.b64decode(parameters["UserData"]).decode()
        return parameters

    def _with_image(self, properties: Properties) -> Properties:
        """With the image's id in place of a parameter of Systems Manager. AWS does that at the launch."""
        image = str(properties.get("ImageId", ""))
        if not image.startswith(ALIAS):
            return properties
        parameter = self._images.get_parameter(Name=image.removeprefix(ALIAS))["Parameter"]
        return {**properties, "ImageId": parameter["Value"]}

    def _complete(self, name: str, properties: Properties, resource: dict[str, Any]) -> None:
        """What the create call cannot set, and an attribute that it does not answer."""
        match name:
            case "VPC":
                for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
                    if attribute in properties:
                        value = {"Value": properties[attribute]}
                        self._call("modify_vpc_attribute", {"VpcId": resource["VpcId"], attribute: value})
                in_vpc = [{"Name": "vpc-id", "Values": [resource["VpcId"]]}]
                (group,) = self._ec2.describe_security_groups(Filters=in_vpc)["SecurityGroups"]
                resource["DefaultSecurityGroup"] = group["GroupId"]
            case "Subnet" if "MapPublicIpOnLaunch" in properties:
                value = {"Value": properties["MapPublicIpOnLaunch"]}
                self._call("modify_subnet_attribute", {"SubnetId": resource["SubnetId"], "MapPublicIpOnLaunch": value})
            case "SecurityGroup":
                group_id = resource["GroupId"]
                if properties.get("SecurityGroupEgress"):  # in place of the rule that every group has
                    (group,) = self._ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
                    self._ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
                for direction in ("Ingress", "Egress"):
                    if rules := properties.get(f"SecurityGroup{direction}"):
                        request = {"GroupId": group_id, "IpPermissions": [permission(rule) for rule in rules]}
                        self._call(f"authorize_security_group_{direction.lower()}", request)
            case "EIP" if "InstanceId" in properties:
                self._call("associate_address", {**properties, "AllocationId": resource["AllocationId"]})

    def _deleted(self, name: str, physical_id: str, properties: Properties) -> Properties:
        """The parameters of the delete call."""
        match name:
            case "Instance":
                return {"InstanceIds": [physical_id]}
            case "EIP":
                return {"AllocationId": self._allocation_id(physical_id)}
            case "SecurityGroupIngress":
                return {"GroupId": properties["GroupId"], "SecurityGroupRuleIds": [physical_id]}
        return {KINDS[name].id: physical_id} if KINDS[name].id else properties

    def _allocation_id(self, public_ip: str) -> str:
        (address,) = self._ec2.describe_addresses(PublicIps=[public_ip])["Addresses"]
        return str(address["AllocationId"])
