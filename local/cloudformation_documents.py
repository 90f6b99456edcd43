"""`AWS::SSM::Document` in ministack's CloudFormation, which does not have it: made in the local Systems Manager.

As on AWS, another content is another document, and CloudFormation refuses to replace a document whose name the template
gives. Sources: CloudFormation Template Reference, AWS::SSM::Document; aws-cloudformation-resource-providers-ssm#94.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import cache
from typing import Any

import boto3

TYPE = "AWS::SSM::Document"
REPLACING = (
    "Attachments", "Content", "DocumentFormat", "DocumentType", "Name", "Requires", "TargetType", "VersionName",
)  # fmt: skip


def add_documents(cloudformation: Any) -> None:
    """Add the type to this package of ministack, in this process.

    The event loop waits for the local Systems Manager, which asks this process nothing: a stack that is complete at
    once saves the CDK's CLI five seconds.
    """
    provisioners = cloudformation.provisioners

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        name = properties.get("Name") or provisioners._physical_name(stack, logical_id)
        content = properties["Content"]
        _client().create_document(
            Name=name,
            Content=content if isinstance(content, str) else json.dumps(content),
            DocumentType=properties.get("DocumentType", "Command"),
            DocumentFormat=properties.get("DocumentFormat", "JSON"),
        )
        return name, {}

    def update(name: str, _old: object, _new: object, _stack: str) -> tuple[str, dict[str, Any]]:
        """Only what replaces nothing has changed: the tags, which nothing reads here, or `UpdateMethod`."""
        return name, {}

    def delete(name: str, _properties: object) -> None:
        systems_manager = _client()
        with suppress(systems_manager.exceptions.InvalidDocument):  # someone has deleted it
            systems_manager.delete_document(Name=name)

    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[TYPE] = REPLACING
    provisioners._CUSTOM_NAME_REPLACEMENT[TYPE] = {"name": "Name"}


@cache
def _client() -> Any:
    clients: Any = boto3
    return clients.client("ssm", endpoint_url=os.environ["AWS_ENDPOINT_URL_SSM"])
