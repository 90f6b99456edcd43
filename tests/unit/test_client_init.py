"""From two public addresses to a pair that the stack accepts."""

import re
from dataclasses import replace
from typing import Any

import pytest

from client.account import Account, Problem, WrongName
from client.printed import described_pair, replaced_server, server_names
from domain.pair import Pair
from stacks.configuration.settings import configured
from tests.unit.client_doubles import PAIR, Service, session

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
    assert server_names([instance(1, "x" * 63 + " y"), instance(2, "b")]) == ["x" * 63, "b"]
    assert server_names([instance(1, "a b"), instance(2, "a-b")]) == ["i-00000001", "i-00000002"]


@pytest.mark.parametrize(
    ("addresses", "instances", "says"),
    [
        ([], [], ["production address 203.0.113.10 is not an Elastic IP of this account in eu-west-1", "staging addr"]),
        ([address(ip, f"eipalloc-{ip}", None) for ip in (PRODUCTION, STAGING)], [],
         [f"{PRODUCTION} --instance-id INSTANCE\nThe staging", f"{STAGING} --instance-id INSTANCE"]),
        ([ON_TWO[0], address(STAGING, "eipalloc-b", None)], [],
         ["staging address 203.0.113.11 (eipalloc-b) is not on a server", "\naws ec2 associate-address --"]),
        ([address(PRODUCTION, "eipalloc-a", "i-00000002"), ON_TWO[1]], [], ["on the same instance, i-00000002"]),
        ([ON_TWO[0] | {"ServiceManaged": "alb"}, ON_TWO[1]], [], ["managed by the AWS service alb"]),
        ([ON_TWO[0], {key: value for key, value in ON_TWO[1].items() if key != "InstanceId"}], [],
         ["is on eni-0000000b, which does not belong to an instance"]),
        (ON_TWO, [instance(1)], ["i-00000002 is not in this account and Region"]),
    ],
    ids=["unknown", "both unassociated", "unassociated", "same instance", "service managed", "no instance", "no such"],
)  # fmt: skip
def test_two_addresses_that_are_not_a_pair_are_refused_with_every_problem(
    addresses: list[dict[str, Any]], instances: list[dict[str, Any]], says: list[str]
) -> None:
    with pytest.raises(Problem) as refused:
        described(addresses, *instances)
    for words in says:
        assert words in str(refused.value)


NEW, OLD, KEPT = "i-000000aa", "i-a", "i-b"
ADDRESSES = [
    {"AllocationId": each, "PublicIp": PRODUCTION, "NetworkBorderGroup": "eu-west-1"}
    for each in ("eipalloc-a", "eipalloc-b")
]


def running(instance_id: str, *interfaces: str, state: str = "running", zone: str = "eu-west-1a") -> dict[str, Any]:
    attached = [
        {"NetworkInterfaceId": each, "Attachment": {"DeviceIndex": index}} for index, each in enumerate(interfaces)
    ]
    place = {"State": {"Name": state}, "Placement": {"AvailabilityZone": zone}}
    return {"InstanceId": instance_id, "NetworkInterfaces": attached[::-1], **place}


def replaced(*instances: dict[str, Any], new: str = NEW, pair: Pair = PAIR, server: str = "BITTYBOT") -> dict[str, Any]:
    """The servers after `new` has replaced bittybot; EC2 describes these instances and tao's."""
    found = {"Reservations": [{"Instances": [*instances, running(KEPT, "eni-b", "eni-b2")]}]}
    ec2 = Service(describe_addresses={"Addresses": ADDRESSES}, describe_instances=found)
    return replaced_server(Account(session(ec2=ec2, stepfunctions=Service())), pair, server, new)


def test_a_new_server_has_the_name_of_the_server_that_it_replaces() -> None:
    assert replaced(running(NEW, "eni-1")) == {"servers": {"bittybot": NEW, "tao": KEPT}}


def test_the_interfaces_are_named_if_the_pair_names_them_or_the_new_server_has_several() -> None:
    named = {"bittybot": "eni-1", "tao": "eni-b"}
    assert replaced(running(NEW, "eni-1", "eni-2"))["networkInterfaces"] == named
    first, second = PAIR.servers
    configured = replace(
        PAIR, servers=(replace(first, network_interface_id="eni-a"), replace(second, network_interface_id="eni-b2"))
    )
    assert replaced(running(NEW, "eni-1"), pair=configured)["networkInterfaces"] == {**named, "tao": "eni-b2"}


@pytest.mark.parametrize(
    ("instances", "new", "says"),
    [
        ([], NEW, f"{NEW} is not in this account and Region"),
        ([running(NEW, "eni-1", state="stopped")], NEW, "is stopped. Start it"),
        ([running(NEW)], NEW, "has no network interface"),
        ([running(NEW, "eni-1", zone="eu-west-1-lon-1a")], NEW, "is in eu-west-1-lon-1a, outside the addresses'"),
        ([running(OLD, "eni-1")], OLD, "i-a is bittybot already"),
        ([], KEPT, "i-b is the other server, tao"),
    ],
    ids=["unknown", "stopped", "no interface", "other zone", "the same", "the other"],
)
def test_an_instance_that_cannot_be_the_server_is_refused(instances: list[dict[str, Any]], new: str, says: str) -> None:
    with pytest.raises(Problem, match=re.escape(says)):
        replaced(*instances, new=new)


def test_a_server_that_the_pair_does_not_have_cannot_be_replaced() -> None:
    with pytest.raises(WrongName, match="has no server 'toa'; its servers are bittybot and tao"):
        replaced(running(NEW, "eni-1"), server="toa")
