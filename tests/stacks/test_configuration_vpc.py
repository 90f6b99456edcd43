"""What a person may write under `vpc` in cdk.json, and what they are told when it is wrong."""

import json
import re

import pytest

from stacks.configuration.pairs import InvalidConfiguration, configured_vpc
from tests.stacks.test_configuration import VPC, assert_only_problem, pair

SUBNET, GROUP = 'a subnet\'s id: "subnet-" and 8 or 17 lower-case hex digits', 'a security group\'s id: "sg-"'
BAD_VPC: dict[str, tuple[object, str, str, str]] = {
    "a list": ([], "vpc", "[]", "an object with the keys subnetIds, securityGroupIds"),
    "text that is no JSON": ("{", "vpc", "text that is not JSON", "an object as JSON"),
    "empty text": ("", "vpc", '""', "an object as JSON"),
    "JSON null": ("null", "vpc", "null", "an object with the keys"),
    "JSON with a key twice": (
        json.dumps(VPC)[:-1] + ', "subnetIds": ["subnet-1a2b3c4d"]}',
        "vpc",
        'the key "subnetIds" more than once',
        "each key of an object once",
    ),
    "an unknown key": (VPC | {"subnets": []}, "vpc.subnets", "an unknown key", 'did you mean "subnetIds"?'),
    "no subnets": ({"securityGroupIds": ["sg-1a2b3c4d"]}, "vpc.subnetIds", "nothing", "a list of 1 to 16 subnet ids"),
    "no security groups": (
        {"subnetIds": ["subnet-1a2b3c4d"]},
        "vpc.securityGroupIds",
        "nothing",
        "a list of 1 to 5 security group ids",
    ),
    "an empty list of subnets": (VPC | {"subnetIds": []}, "vpc.subnetIds", "[]", "a list of 1 to 16"),
    "17 subnets": (
        VPC | {"subnetIds": [f"subnet-{number:08x}" for number in range(17)]},
        "vpc.subnetIds",
        "[",
        "a list of 1 to 16",
    ),
    "an empty list of security groups": (VPC | {"securityGroupIds": []}, "vpc.securityGroupIds", "[]", "1 to 5"),
    "6 security groups": (
        VPC | {"securityGroupIds": [f"sg-{number:08x}" for number in range(6)]},
        "vpc.securityGroupIds",
        "[",
        "a list of 1 to 5",
    ),
    "a subnet that is no list": (VPC | {"subnetIds": "subnet-1a2b3c4d"}, "vpc.subnetIds", '"subnet-', "a list of 1"),
    "subnets that are null": (VPC | {"subnetIds": None}, "vpc.subnetIds", "null", "a list of 1"),
    "a subnet id in upper case": (VPC | {"subnetIds": ["subnet-1A2B3C4D"]}, "vpc.subnetIds[0]", "1A2B", SUBNET),
    "a subnet id of 9 digits": (VPC | {"subnetIds": ["subnet-1a2b3c4d5"]}, "vpc.subnetIds[0]", "4d5", SUBNET),
    "a subnet id of another kind": (VPC | {"subnetIds": ["sg-1a2b3c4d"]}, "vpc.subnetIds[0]", "sg-", SUBNET),
    "a nested list": (VPC | {"subnetIds": [["subnet-1a2b3c4d"]]}, "vpc.subnetIds[0]", '["subnet-', SUBNET),
    "a security group with a newline": (
        VPC | {"securityGroupIds": ["sg-1a2b3c4d\n"]},
        "vpc.securityGroupIds[0]",
        '"sg-1a2b3c4d\\n"',
        GROUP,
    ),
    "one subnet twice": (
        VPC | {"subnetIds": ["subnet-1a2b3c4d", "subnet-5e6f7a8b", "subnet-1a2b3c4d"]},
        "vpc.subnetIds[2]",
        '"subnet-1a2b3c4d", which is vpc.subnetIds[0] too',
        "each once",
    ),
}


@pytest.mark.parametrize(("vpc", "path", "found", "allowed"), BAD_VPC.values(), ids=BAD_VPC.keys())
def test_a_bad_vpc_is_refused_with_its_path_and_what_was_found_and_is_allowed(
    vpc: object, path: str, found: str, allowed: str
) -> None:
    assert_only_problem({"web": pair()}, path, found, allowed, vpc)
    with pytest.raises(InvalidConfiguration, match=re.escape(f"  {path}: found ")):
        configured_vpc(vpc)


def test_the_bounds_of_a_vpc_are_allowed() -> None:
    most = {
        "subnetIds": [f"subnet-{number:017x}" for number in range(16)],
        "securityGroupIds": [f"sg-{number:08x}" for number in range(5)],
    }
    assert configured_vpc(most) == most
    assert configured_vpc(VPC) == VPC


def test_no_vpc_is_needed() -> None:
    assert configured_vpc(None) is None
