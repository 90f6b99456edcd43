"""From two public addresses to a pair that the stack accepts."""

from typing import Any

import pytest

from client.account import Account
from client.errors import Problem
from client.init import described_pair, sanitized, server_names
from stacks.configuration.settings import configured
from tests.unit.client_doubles import Service, session

PRODUCTION, STAGING = "203.0.113.10", "203.0.113.11"


def address(ip: str, allocation: str, instance: str | None, **more: Any) -> dict[str, Any]:
    on = {"AssociationId": "eipassoc-x", "InstanceId": instance, "NetworkInterfaceId": "eni-x"} if instance else {}
    return {"PublicIp": ip, "AllocationId": allocation, **on, **more}


def instance(number: int, name: str | None = None, interfaces: int = 1) -> dict[str, Any]:
    tags = {} if name is None else {"Tags": [{"Key": "env", "Value": "x"}, {"Key": "Name", "Value": name}]}
    return {"InstanceId": f"i-{number:08x}", "NetworkInterfaces": [{}] * interfaces, **tags}


ON_TWO = [
    address(PRODUCTION, "eipalloc-0000000a", "i-00000001", NetworkInterfaceId="eni-0000000a"),
    address(STAGING, "eipalloc-0000000b", "i-00000002", NetworkInterfaceId="eni-0000000b"),
]


def described(addresses: list[dict[str, Any]], *instances: dict[str, Any]) -> dict[str, Any]:
    reservations = {"Reservations": [{"Instances": [each]} for each in instances]}
    ec2 = Service(describe_addresses={"Addresses": addresses}, describe_instances=reservations)
    account = Account(session(ec2=ec2, stepfunctions=Service()))
    try:
        return described_pair(account, production=PRODUCTION, staging=STAGING)
    finally:
        asked = {"Filters": [{"Name": "public-ip", "Values": [PRODUCTION, STAGING]}]}
        assert ec2.calls[0] == ("describe_addresses", asked)


@pytest.mark.parametrize(
    ("names", "servers"),
    [
        (("bittybot", "tao"), ["bittybot", "tao"]),
        (("web server (blue)", "web/server: green!"), ["web-server-blue", "web-server-green"]),
        (("same", "SAME"), ["i-00000001", "i-00000002"]),
        ((None, "tao"), ["i-00000001", "tao"]),
        (("", "日本"), ["i-00000001", "i-00000002"]),
        (("-_.", "x" * 300), ["i-00000001", "x" * 64]),
        (("[red]a\x1b[2J", '"; rm -rf /'), ["red-a-2J", "rm--rf"]),
        (("straße", "\u03a4\u0391\u039f.1"), ["stra-e", "1"]),
    ],
    ids=str,
)
def test_instances_with_any_names_make_a_valid_pair(names: tuple[str | None, str | None], servers: list[str]) -> None:
    pair = described(ON_TWO, instance(1, names[0]), instance(2, names[1]))
    assert pair == {
        "production": "eipalloc-0000000a",
        "staging": "eipalloc-0000000b",
        "servers": dict(zip(servers, ["i-00000001", "i-00000002"], strict=True)),
    }
    assert configured({"pairs": {"web": pair}}.get).pairs["web"].servers == pair["servers"]


@pytest.mark.parametrize("interfaces", [(2, 1), (1, 2), (3, 2)], ids=str)
def test_the_pair_names_the_interfaces_with_the_addresses_if_a_server_has_several(
    interfaces: tuple[int, int],
) -> None:
    servers = [instance(number, name, interfaces[number - 1]) for number, name in ((1, "bittybot"), (2, "tao"))]
    pair = described(ON_TWO, *servers)
    assert pair["networkInterfaces"] == {"bittybot": "eni-0000000a", "tao": "eni-0000000b"}
    assert configured({"pairs": {"web": pair}}.get).pairs["web"].networkInterfaces == pair["networkInterfaces"]


def test_a_shortened_name_does_not_end_in_a_separator() -> None:
    assert sanitized("x" * 63 + " y") == "x" * 63
    assert server_names([instance(1, "a b"), instance(2, "a-b")]) == ["i-00000001", "i-00000002"]


@pytest.mark.parametrize(
    ("addresses", "instances", "says"),
    [
        ([], [], ["production address 203.0.113.10 is not an Elastic IP of this account in eu-west-1", "staging addr"]),
        ([ON_TWO[0], address(STAGING, "eipalloc-b", None)], [],
         ["staging address 203.0.113.11 (eipalloc-b) is not on a server", "\naws ec2 associate-address --"]),
        ([address(PRODUCTION, "eipalloc-a", "i-00000002"), ON_TWO[1]], [], ["on the same instance, i-00000002"]),
        ([ON_TWO[0] | {"ServiceManaged": "alb"}, ON_TWO[1]], [], ["managed by the AWS service alb"]),
        ([ON_TWO[0], {key: value for key, value in ON_TWO[1].items() if key != "InstanceId"}], [],
         ["is on eni-0000000b, which does not belong to an instance"]),
        (ON_TWO, [instance(1)], ["i-00000002 is not in this account and Region"]),
    ],
    ids=["unknown", "unassociated", "same instance", "service managed", "no instance", "no such"],
)  # fmt: skip
def test_two_addresses_that_are_not_a_pair_are_refused_with_every_problem(
    addresses: list[dict[str, Any]], instances: list[dict[str, Any]], says: list[str]
) -> None:
    with pytest.raises(Problem) as refused:
        described(addresses, *instances)
    for words in says:
        assert words in str(refused.value)
