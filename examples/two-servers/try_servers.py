"""The two servers and the two addresses: which server has which address, and whether both servers are ready."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from operator import itemgetter

from client.account import DENIED, Account, AwsError, Problem
from client.screen import JsonObject, plain
from commands_to_copy import aws
from this_machine import Answer, ThisMachine
from try_stacks import HERE, SERVERS, TEST_PAIR, Stack

PAIR = "web"
ROLES = ("production", "staging")
READY_SECONDS = 300
# The servers of the local AWS have the same.
HEALTH_CHECK, DEPLOY = itemgetter("healthCheck", "deploy")(json.loads((HERE / "pair.json").read_text()))


@dataclass(frozen=True)
class Pair:
    """What the stack of the servers made: by role the addresses, by server the instances."""

    allocation_ids: Mapping[str, str]
    ips: Mapping[str, str]
    instances: Mapping[str, str]
    port: int

    @classmethod
    def of(cls, stack: Stack) -> "Pair":
        """From the outputs of the stack. Raises Problem if one is missing."""
        outputs = stack.outputs
        try:
            return cls(
                {role: outputs[f"{role.capitalize()}AllocationId"] for role in ROLES},
                {role: str(IPv4Address(outputs[f"{role.capitalize()}Ip"])) for role in ROLES},
                {name: outputs[name.capitalize()] for name in ("bittybot", "tao")},
                int(outputs["Port"]),
            )
        except (KeyError, ValueError) as error:
            raise Problem(f"The stack {SERVERS} lacks an output, or has a wrong one: {plain(error, 80)}.") from None

    @property
    def context(self) -> str:
        """The value of `pairs` for the product's own app."""
        check = {**HEALTH_CHECK, "port": self.port}
        pair = {**self.allocation_ids, "servers": self.instances, "healthCheck": check, "deploy": DEPLOY}
        return json.dumps({PAIR: pair})

    def url(self, role: str) -> str:
        return f"http://{self.ips[role]}{'' if self.port == 80 else f':{self.port}'}/"

    def other(self, server: str) -> str:
        return next(name for name in self.instances if name != server)


def untagged(account: Account, pair: Pair) -> list[str]:
    """The ids of the pair's addresses and servers that lack the tag of a test pair."""
    shown = {each["AllocationId"]: each for each in account.addresses_by("allocation-id", _addresses(pair))}
    shown |= account.instances(pair.instances.values())
    tags = {key: {tag["Key"]: tag["Value"] for tag in each.get("Tags", [])} for key, each in shown.items()}
    return sorted(key for key in tags if tags[key].get(TEST_PAIR) != "true")


def located(account: Account, pair: Pair) -> dict[str, str | None]:
    """By role, the server that has the address; None for no server; the id of a resource that is not of the pair.
    Raises Problem if an address does not exist."""
    servers = {instance: name for name, instance in pair.instances.items()}
    shown = {each["AllocationId"]: each for each in account.addresses_by("allocation-id", _addresses(pair))}
    places: dict[str, str | None] = {}
    for role, allocation_id in pair.allocation_ids.items():
        if allocation_id not in shown:
            raise Problem(f"The {role} address {allocation_id} of the stack {SERVERS} does not exist any more.")
        address = shown[allocation_id]
        holder = address.get("InstanceId") or address.get("NetworkInterfaceId")
        places[role] = servers.get(holder, holder) if holder else None
    return places


def in_the_way(account: Account, pair: Pair) -> dict[str, JsonObject]:
    """By server, the Elastic IP that is not of the pair, on the private address that the pair's addresses use."""
    servers = {instance: name for name, instance in pair.instances.items()}
    private = {instance: shown.get("PrivateIpAddress") for instance, shown in account.instances(servers).items()}
    return {
        servers[address["InstanceId"]]: address
        for address in account.addresses_by("instance-id", list(servers))
        if address["AllocationId"] not in _addresses(pair)
        and address.get("PrivateIpAddress") == private.get(address["InstanceId"])
    }


def _refuse_strangers(account: Account, pair: Pair, places: Mapping[str, str | None]) -> None:
    """Raises Problem if an address is on a resource that is not of the pair, or the pair has no address, and another
    one would be displaced."""
    for role, holder in places.items():
        if holder and holder not in pair.instances:
            why = "which is not a server of this pair. Disassociate the address"
            raise Problem(f"The {role} address {pair.ips[role]} is on {plain(holder)}, {why}.")
    if set(places.values()) == {None}:
        for server, address in in_the_way(account, pair).items():
            why = f"The Elastic IP {address['PublicIp']}, which is not of this pair, is on {server}."
            command = aws(account.region, "ec2 disassociate-address", f"--association-id {address['AssociationId']}")
            raise Problem(f"{why} If nobody needs it there, take it off:\n    {command}")


def place(machine: ThisMachine, account: Account, pair: Pair) -> dict[str, str | None]:
    """Put production on bittybot and staging on tao if neither address is on a server. Returns by role the server that
    has the address then. Raises Problem if something else is in the way."""
    places = located(account, pair)
    _refuse_strangers(account, pair, places)
    if set(places.values()) == {None}:
        for role, server in zip(ROLES, pair.instances, strict=True):
            ids = {"AllocationId": pair.allocation_ids[role], "InstanceId": pair.instances[server]}
            account.call("ec2", "associate_address", **ids, AllowReassociation=False)
            machine.say(f"{role.capitalize()} ({pair.ips[role]}) is now on {server}.")
        return dict(zip(ROLES, pair.instances, strict=True))
    for role, holder in places.items():
        machine.say(f"{role.capitalize()} ({pair.ips[role]}) is on {holder or 'no server'}, and stays there.")
    if None in places.values() or len(set(places.values())) == 1:
        machine.say("The pair is not sound: something was interrupted.")
        machine.say("The release below repairs it, unless an address is in the way.")
    return places


def wait_for_answers(
    machine: ThisMachine, pair: Pair, places: Mapping[str, str | None], *, region: str
) -> dict[str, Answer]:
    """Wait until each server that has an address answers there. Returns the answers, by server. Raises Problem."""
    answers: dict[str, Answer] = {}
    expected = {server: role for role, server in places.items() if server}

    def silent() -> str:
        for server in expected.keys() - answers.keys():
            answer = machine.answer(pair.ips[expected[server]], pair.port)
            if answer and answer.server == server:
                answers[server] = answer
        names = [server for server in expected if server not in answers]
        urls = (f"{server} at {pair.url(expected[server])}" for server in names)
        return f"No answer yet of {' and of '.join(urls)}." if names else ""

    if reason := machine.wait(silent, seconds=READY_SECONDS):
        server = next(name for name in expected if name not in answers)
        options = f"--latest --output text --instance-id {pair.instances[server]}"
        console = aws(region, "ec2 get-console-output", options)
        raise Problem(
            f"{reason} It had {READY_SECONDS // 60} minutes. What its user data printed is in the instance's console "
            f"output:\n  {console}\nIf the server is up, this machine may not reach {pair.url('production')} "
            "(a firewall, or a network that needs a proxy)."
        )
    return answers


def wait_for_agents(machine: ThisMachine, account: Account, pair: Pair) -> None:
    """Wait until Systems Manager can run commands on both servers. Raises Problem."""

    def offline() -> str:
        filters = [{"Key": "InstanceIds", "Values": list(pair.instances.values())}]
        answer = account.call("ssm", "describe_instance_information", Filters=filters)
        online = {each["InstanceId"] for each in answer["InstanceInformationList"] if each["PingStatus"] == "Online"}
        names = [name for name, instance in pair.instances.items() if instance not in online]
        return f"The Systems Manager agent of {' and '.join(names)} is not online yet." if names else ""

    try:
        reason = machine.wait(offline, seconds=READY_SECONDS)
    except AwsError as error:
        if error.code not in DENIED:
            raise
        machine.say(f"Warning: not checked whether Systems Manager reaches the servers. {error}")
        return
    if reason:
        reboot = aws(account.region, "ec2 reboot-instances", f"--instance-ids {' '.join(pair.instances.values())}")
        raise Problem(
            f"{reason} It had {READY_SECONDS // 60} minutes. It needs the instance's role, and a way to the Internet "
            f"by a public address. A reboot of the instance starts it again:\n  {reboot}"
        )


def _addresses(pair: Pair) -> list[str]:
    return list(pair.allocation_ids.values())
