"""`commands` prints the commands for every state of a pair; `test_commands_of_a_pair.py` runs such commands."""

import json
from typing import Any

import pytest

from client.commands import main
from tests.unit.client_doubles import PAIR, Service, parameter_store, session

Capture = pytest.CaptureFixture[str]


def on(allocation: str, ip: str, instance: str, private_ip: str) -> dict[str, Any]:
    where = {"InstanceId": instance, "AssociationId": "x", "PrivateIpAddress": private_ip}
    return {"AllocationId": allocation, "PublicIp": ip, **where}


def instance(name: str, private_ip: str, **association: str) -> dict[str, Any]:
    private = {"PrivateIpAddress": private_ip, "Association": association}
    return {
        "InstanceId": name,
        "NetworkInterfaces": [{"PrivateIpAddress": private_ip, "PrivateIpAddresses": [private]}],
    }


PRODUCTION = on("eipalloc-a", "203.0.113.10", "i-a", "10.0.0.1")
STAGING = on("eipalloc-b", "203.0.113.11", "i-b", "10.0.0.2")
TO_TAO = "aws ec2 associate-address --allocation-id eipalloc-a --instance-id i-b --private-ip-address 10.0.0.2"
FROM_TAO = "aws ec2 associate-address --allocation-id eipalloc-b --instance-id i-a --private-ip-address 10.0.0.1"
MORE = "--allow-reassociation --region eu-west-1"


def printed(*words: str, staging: dict[str, Any] = STAGING, code: int = 0, **association: str) -> None:
    instances = [instance("i-a", "10.0.0.1"), instance("i-b", "10.0.0.2", **association)]
    ec2 = Service(
        describe_addresses={"Addresses": [PRODUCTION, *([staging] if staging else [])]},
        describe_instances={"Reservations": [{"Instances": instances}]},
    )
    services = {"ssm": parameter_store(PAIR), "ec2": ec2, "stepfunctions": Service()}
    assert main(["commands", *words], session=session(**services)) == code


def test_the_commands_of_both_directions_are_printed_with_the_states_that_they_are_for(capsys: Capture) -> None:
    printed()
    out = capsys.readouterr().out
    assert (
        "tao live       if production is on bittybot or no server and staging is on tao or no server:\n"
        f"  {TO_TAO} {MORE} &&\n  {FROM_TAO} {MORE}\n"
    ) in out
    assert f"if production is on tao and staging is on tao or no server:\n  {FROM_TAO} {MORE}\n" in out
    assert "bittybot live  if production is on tao or no server and staging is on bittybot or no server:\n" in out
    assert out.count(" live       if ") + out.count(" live  if ") == 6
    assert "  aws ec2 describe-addresses --allocation-ids eipalloc-a eipalloc-b --region eu-west-1 --query" in out


def test_the_json_has_every_state_once_in_each_direction(capsys: Capture) -> None:
    printed("--json")
    document = json.loads(capsys.readouterr().out)
    for live in ("bittybot", "tao"):
        states = [
            (production, staging)
            for way in document["ways"]
            if way["live"] == live
            for production in way["production"]
            for staging in way["staging"]
        ]
        assert len(states) == len(set(states)) == 9
    assert document["warnings"] == []


def test_a_staging_address_that_is_nowhere_goes_to_the_first_private_address(capsys: Capture) -> None:
    printed(staging={"AllocationId": "eipalloc-b", "PublicIp": "203.0.113.11"})
    assert "--allocation-id eipalloc-b --instance-id i-b --private-ip-address 10.0.0.2" in capsys.readouterr().out


def test_an_address_of_others_that_a_command_would_take_away_is_a_warning(capsys: Capture) -> None:
    nowhere = {"AllocationId": "eipalloc-b", "PublicIp": "203.0.113.11"}
    printed(staging=nowhere, PublicIp="198.51.100.7", IpOwnerId="123456789012")
    assert "198.51.100.7 is at tao (i-b), private address 10.0.0.2, and a command" in capsys.readouterr().out


def test_an_address_that_does_not_exist_is_one_sentence(capsys: Capture) -> None:
    printed(staging={}, code=1)
    assert "eipalloc-b is not an address of this account and Region" in capsys.readouterr().err
