"""What a request to Systems Manager must look like: the service's model, and the parameters of a document.

Sources: botocore's model of the service; Systems Manager User Guide, "Data elements and parameters" of documents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import botocore.session

Request = Mapping[str, Any]
DEFAULT_TIMEOUT_SECONDS = 3600  # of the agent, also in place of one that is not between these
LEAST_TIMEOUT_SECONDS, MOST_TIMEOUT_SECONDS = 5, 172_800


class Refused(Exception):
    """An error that Systems Manager answers, by its code."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@cache
def _model() -> Any:
    return botocore.session.Session().get_service_model("ssm")


def check_request(action: str, request: Request) -> None:
    """Raise Refused if the request breaks the model of the action: a missing member, a length, a range, a pattern."""
    shape = _model().operation_model(action).input_shape
    for name in shape.required_members:
        if name not in request:
            raise _invalid(name, None, "Member must not be null")
    for name, value in request.items():
        if name not in shape.members:
            continue  # as AWS does
        member = shape.members[name]
        for each in value if member.type_name == "list" else [value]:
            _check(name, each, getattr(member, "member", member))


def _check(name: str, value: Any, shape: Any) -> None:
    metadata = shape.metadata
    if shape.type_name not in ("string", "integer"):
        return
    size = value if shape.type_name == "integer" else len(value)
    what = "value" if shape.type_name == "integer" else "length"
    if size < metadata.get("min", size):
        raise _invalid(name, value, f"Member must have {what} greater than or equal to {metadata['min']}")
    if size > metadata.get("max", size):
        raise _invalid(name, value, f"Member must have {what} less than or equal to {metadata['max']}")
    if "pattern" in metadata and not re.search(metadata["pattern"], value):
        raise _invalid(name, value, f"Member must satisfy regular expression pattern: {metadata['pattern']}")
    if "enum" in metadata and value not in metadata["enum"]:
        raise _invalid(name, value, f"Member must satisfy enum value set: {metadata['enum']}")


def _invalid(name: str, value: Any, constraint: str) -> Refused:
    at = name[0].lower() + name[1:]
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: {constraint}",
    )


class Document:
    """A document of type Command with a single step, `aws:runShellScript`; it has the version 1."""

    VERSION = "1"

    def __init__(self, content: str) -> None:
        self.content = content
        parsed = json.loads(content)
        match parsed:
            case {
                "schemaVersion": "2.2",
                "mainSteps": [{"action": "aws:runShellScript", "name": str(name), "inputs": inputs}],
            }:
                self.step, self._inputs = name, inputs
            case {
                "schemaVersion": "1.2",
                "runtimeConfig": {"aws:runShellScript": {"properties": [inputs]}},
            }:
                self.step, self._inputs = "aws:runShellScript", inputs
            case _:
                raise Refused(
                    "InvalidDocumentContent", "only a document 2.2 or 1.2 with one step aws:runShellScript runs here"
                )
        self._parameters: dict[str, Any] = parsed.get("parameters", {})

    def described(self, name: str) -> dict[str, Any]:
        """What CreateDocument answers."""
        return {
            "Name": name,
            "DocumentType": "Command",
            "DocumentFormat": "JSON",
            "DocumentVersion": self.VERSION,
            "DefaultVersion": self.VERSION,
            "LatestVersion": self.VERSION,
            "SchemaVersion": "2.2",
            "Hash": self._hash,
            "HashType": "Sha256",
            "Status": "Creating",
        }

    def check_version(self, request: Request) -> None:
        """Raise Refused if the request wants another version, or has another hash."""
        if request.get("DocumentVersion", self.VERSION) not in (self.VERSION, "$LATEST", "$DEFAULT"):
            raise Refused("InvalidDocumentVersion", "Document version does not exist")
        if request.get("DocumentHashType", "Sha256") != "Sha256":
            raise Refused("InvalidDocument", "Sha1 hashes are deprecated and not known here")
        if request.get("DocumentHash", self._hash) != self._hash:
            raise Refused("InvalidDocument", "Document hash does not match the hash of the document")

    @property
    def _hash(self) -> str:
        return sha256(self.content.encode()).hexdigest()

    def values(self, given: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """The value of each parameter; of a list, its lines.

        Raises Refused for a parameter that is missing, unknown or not allowed.
        """
        if unknown := sorted(set(given) - set(self._parameters)):
            raise Refused("InvalidParameters", f"document does not support parameters: {', '.join(unknown)}.")
        return {name: self._value(name, declared, given.get(name)) for name, declared in self._parameters.items()}

    @staticmethod
    def _value(name: str, declared: Mapping[str, Any], given: Sequence[str] | None) -> str:
        if given is None:
            if "default" not in declared:
                raise Refused("InvalidParameters", f"Parameter {name} is required but not provided")
            return str(declared["default"])
        if declared["type"] == "StringList":
            return "\n".join(given)
        if len(given) != 1:
            raise Refused("InvalidParameters", f"Parameter {name} is of type String and has {len(given)} values")
        (value,) = given
        if "allowedValues" in declared and value not in declared["allowedValues"]:
            raise Refused("InvalidParameters", f"Parameter {name} has a value that is not in its allowedValues")
        if "allowedPattern" in declared and not re.search(declared["allowedPattern"], value):
            raise Refused("InvalidParameters", f"Parameter {name} does not match {declared['allowedPattern']}")
        return value

    def script(self, values: Mapping[str, str]) -> str:
        """The text that the agent executes: each `{{ Name }}` is the value of the parameter, as it is."""
        lines = self._inputs["runCommand"]
        return "\n".join(substituted(line, values) for line in ([lines] if isinstance(lines, str) else lines)) + "\n"

    def working_directory(self, values: Mapping[str, str]) -> str:
        """Where the script runs; empty for the agent's own choice."""
        return substituted(self._inputs.get("workingDirectory", ""), values)

    def timeout_seconds(self, values: Mapping[str, str]) -> int:
        text = substituted(str(self._inputs.get("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS)), values)
        seconds = int(text) if text.isdecimal() else DEFAULT_TIMEOUT_SECONDS
        return seconds if LEAST_TIMEOUT_SECONDS <= seconds <= MOST_TIMEOUT_SECONDS else DEFAULT_TIMEOUT_SECONDS


def substituted(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: values.get(found[1], found[0]), text)


# The document that AWS has in every account. Source: the answer of GetDocument in the Systems Manager User Guide.
AWS_DOCUMENTS = {
    "AWS-RunShellScript": Document(
        json.dumps({
            "schemaVersion": "1.2",
            "parameters": {
                "commands": {"type": "StringList"},
                "workingDirectory": {"type": "String", "default": ""},
                "executionTimeout": {
                    "type": "String",
                    "default": "3600",
                    "allowedPattern": "^(?:[1-9][0-9]{0,4}|1[0-6][0-9]{4}|17[01][0-9]{3}|172[0-7][0-9]{2}|172800)$",
                },
            },
            "runtimeConfig": {"aws:runShellScript": {"properties": [{
                "runCommand": "{{ commands }}",
                "workingDirectory": "{{ workingDirectory }}",
                "timeoutSeconds": "{{ executionTimeout }}",
            }]}},
        })
    )
}  # fmt: skip
