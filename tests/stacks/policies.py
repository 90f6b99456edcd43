"""IAM's decision for one call, as far as this project's policies go: Allow statements, `*` and `?` in resources.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Resource".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT, REGION = "123456789012", "eu-central-1"
PSEUDO = {
    "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::URLSuffix": "amazonaws.com",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One request to AWS: what is done, on which resource."""

    action: str
    resource: str


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def grants(statements: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Each action with each of its resources. What only a real evaluation could judge is refused."""
    found = set()
    for statement in statements:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource"}, statement
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            assert "*" not in action, action
            found |= {(action, resource) for resource in listed(statement["Resource"])}
    return found


def allows(granted: Iterable[tuple[str, str]], call: Call) -> bool:
    return any(
        action.lower() == call.action.lower() and re.fullmatch(as_pattern(resource), call.resource)
        for action, resource in granted
    )


def as_pattern(resource: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in resource)


def statements_of(template: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """The statements of the policies of a role, by its logical id, with every reference as an ARN of ACCOUNT."""
    return [
        in_account(statement, template)
        for found in template["Resources"].values()
        if found["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        and {"Ref": role} in found["Properties"]["Roles"]
        for statement in found["Properties"]["PolicyDocument"]["Statement"]
    ]


def in_account(value: Any, template: Mapping[str, Any]) -> Any:
    """A value of a template as it is once deployed; a resource by the name that it has, or by its logical id."""
    # A parameter's default is the name of a parameter of Systems Manager.
    known = PSEUDO | {name: each.get("Default") for name, each in template.get("Parameters", {}).items()}
    match value:
        case {"Ref": name} if name in known:
            return known[name]
        case {"Ref": name} | {"Fn::GetAtt": [name, "Arn"]}:
            return _arn(name, template)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(in_account(part, template) for part in parts)
        case dict():
            return {key: in_account(found, template) for key, found in value.items()}
        case list():
            return [in_account(found, template) for found in value]
        case _:
            return value


def _arn(name: str, template: Mapping[str, Any]) -> str:
    resource = template["Resources"][name]
    kind: str = {
        "AWS::StepFunctions::StateMachine": "states:{}:stateMachine:"
        + resource["Properties"].get("StateMachineName", ""),
        "AWS::DynamoDB::Table": f"dynamodb:{{}}:table/{name}",
    }.get(resource["Type"], f"{resource['Type']}:{{}}:{name}")
    return "arn:aws:" + kind.format(f"{REGION}:{ACCOUNT}")
