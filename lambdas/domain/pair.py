"""A pair: its two servers, its two addresses, and the places on the servers where an address can stand. Its picture:
what EC2 shows of both servers before anything is changed; `aws/servers.py` fills it in."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from domain.events import in_json, read_value
from domain.text import printable

AddressName = Literal["production", "staging"]
Json = dict[str, Any]
Tags = Mapping[str, str]
NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # of a pair or a server; it must match as a whole
AUTO_ASSIGNED = "amazon"  # the owner of an address that EC2 assigned itself: an Elastic IP address replaces it
# EC2 forgets a terminated instance after about an hour (EC2 User Guide, "Terminate Amazon EC2 instances").
NOT_SHOWN = "not shown by EC2 (it was terminated, or its id is wrong)"


def rate_of(expression: str) -> timedelta | None:
    """The rate of EventBridge Scheduler's `rate(1 day)`; None for another expression."""
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    return timedelta(**{f"{rate[2]}s": int(rate[1])}) if rate else None


def tags_of(shown: Mapping[str, Any], key: str = "Tags") -> Tags:
    return {tag["Key"]: tag["Value"] for tag in shown.get(key, [])}


@dataclass(frozen=True)
class Server:
    """One of a pair's two servers, its EC2 instance, and the network interface of its addresses if it is configured."""

    name: str
    instance_id: str
    network_interface_id: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.instance_id})"

    def holds(self, instance_id: str | None, network_interface_id: str | None) -> bool:
        """Whether an address that is on this instance and interface is on this server."""
        return self.instance_id == instance_id and self.network_interface_id in (None, network_interface_id)


@dataclass(frozen=True)
class Place:
    """Where an Elastic IP address is or goes: a private address of a server. A plan may not know that address yet."""

    server: Server
    private_ip: str | None = None

    def __str__(self) -> str:
        return f"{self.server}, private address {self.private_ip}" if self.private_ip else str(self.server)

    def to_json(self) -> Json:
        return {"name": self.server.name, "instanceId": self.server.instance_id, "privateIp": self.private_ip}


@dataclass(frozen=True)
class Pair:
    """Two servers and the allocation ids of the two addresses they share, as configured. For `bake_seconds` after a
    cutover, production is checked, and no alarm may be in ALARM. Without `schedule_expression`, it is not evaluated."""

    name: str
    production: str
    staging: str
    servers: tuple[Server, Server]
    health_check: Sequence[Json]
    bake_seconds: int = 0
    alarms: Sequence[str] = ()
    deploy: Json | None = None
    hooks: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    approval_minutes: int | None = None
    schedule_expression: str | None = None
    certificate_expiry_days: int = 14

    @staticmethod
    def from_json(name: str, configured: Mapping[str, Any]) -> "Pair":
        interfaces, servers = configured.get("networkInterfaces", {}), configured["servers"].items()
        first, second = (Server(server, instance, interfaces.get(server)) for server, instance in servers)
        given = {"name": name, "servers": (first, second), **(configured.get("readiness") or {})}
        minutes = configured.get("approval", {}).get("timeoutMinutes")
        return read_value(Pair, {**configured, **given, "approvalMinutes": minutes})

    def server_named(self, name: str | None) -> Server | None:
        return next((server for server in self.servers if server.name == name), None)

    def address(self, name: AddressName, shown: Mapping[str, Any]) -> "Address":
        """An address of the pair, from the answer of DescribeAddresses."""
        where = [shown.get(key) or None for key in ("InstanceId", "NetworkInterfaceId", "PrivateIpAddress")]
        server = next((server.name for server in self.servers if server.holds(*where[:2])), None)
        ids = shown["AllocationId"], shown["PublicIp"], shown.get("AssociationId") or None
        others = (shown.get(key) or None for key in ("ServiceManaged", "NetworkBorderGroup"))
        return Address(name, *ids, *(*where, server, *others), tags=tags_of(shown))

    def place(self, server_name: str, private_ip: str | None = None) -> Place:
        """The place of this private address on a server of the pair. Raises KeyError for a server of another pair."""
        server = self.server_named(server_name)
        if server is None:
            raise KeyError(f"{server_name} is not a server of pair {self.name}")
        return Place(server, private_ip)

    def other(self, server: Server) -> Server:
        return self.servers[1] if server == self.servers[0] else self.servers[0]

    @property
    def ids(self) -> set[str]:
        """The ids of its addresses, its servers, and their network interfaces if they are configured."""
        of_servers = ((server.instance_id, server.network_interface_id) for server in self.servers)
        return {self.production, self.staging, *(each for ids in of_servers for each in ids if each)}

    @property
    def server_names(self) -> str:
        return " and ".join(server.name for server in self.servers)


def deployed_pairs() -> dict[str, Pair]:
    """The pairs by name that the stack was deployed with, from `pairs.json`, which the stack puts into the asset."""
    path = Path(os.environ.get("PAIRS_FILE", Path(__file__).parent.parent / "pairs.json"))
    return {name: Pair.from_json(name, pair) for name, pair in json.loads(path.read_text()).items()}


@dataclass(frozen=True)
class Address:
    """One Elastic IP address as `DescribeAddresses` shows it, in a zone of `border_group`. `server` is the pair's
    server that it is on; the service `service_managed` owns its association. `tags` do not count in a comparison."""

    name: AddressName
    allocation_id: str
    public_ip: str
    association_id: str | None = None
    instance_id: str | None = None
    network_interface_id: str | None = None
    private_ip: str | None = None
    server: str | None = None
    service_managed: str | None = None
    border_group: str | None = None
    tags: Tags = field(default_factory=dict, compare=False, kw_only=True)

    def to_json(self) -> Json:
        """The shape that every outcome of an execution reports."""
        return in_json(self, "public_ip", "allocation_id", "association_id", "server", "instance_id", "private_ip")

    @staticmethod
    def from_json(name: AddressName, value: Mapping[str, Any]) -> "Address":
        ids = value["allocationId"], value["publicIp"], value["associationId"], value["instanceId"]
        return Address(name, *ids, private_ip=value["privateIp"], server=value["server"])

    @property
    def is_associated(self) -> bool:
        return self.association_id is not None

    def stands_at(self, place: Place | None) -> bool:
        """Whether it is on this server, and on this private address if the place names one; without one, on none."""
        if place is None:
            return not self.is_associated
        on_server = place.server.holds(self.instance_id, self.network_interface_id)
        return on_server and place.private_ip in (None, self.private_ip)

    @property
    def place(self) -> str:
        """Where it is, in words: `on tao (i-0b…)`, `on i-0c…, which is not in the pair`, `on no server`."""
        if self.server is not None:
            return f"on {self.server} ({self.instance_id})"
        if not self.is_associated:
            return "on no server"
        holder = " of ".join(filter(None, (self.network_interface_id, self.instance_id)))
        return f"on {holder}, which is not in the pair"

    def __str__(self) -> str:
        return f"the {self.name} address {self.public_ip} ({self.allocation_id})"


@dataclass(frozen=True)
class PrivateAddress:
    """A private address, and the public address mapped to it, if any, with its owner: an account, or "amazon"."""

    private_ip: str
    is_primary: bool = True
    public_ip: str | None = None
    association_id: str | None = None
    owner: str | None = None


@dataclass(frozen=True)
class NetworkInterface:
    """An attached network interface, its public dual-stack DNS name, if any, the border group of its zone, and tags."""

    network_interface_id: str
    addresses: tuple[PrivateAddress, ...]
    dual_stack_name: str | None = None
    border_group: str | None = None
    tags: Tags = field(default_factory=dict)

    def address(self, private_ip: str | None) -> PrivateAddress | None:
        return next((address for address in self.addresses if address.private_ip == private_ip), None)


@dataclass(frozen=True)
class Instance:
    """An EC2 instance: its state, as EC2 names it, or NOT_SHOWN, its network interfaces by id, and its tags."""

    state: str
    interfaces: Mapping[str, NetworkInterface] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    is_spot: bool = False

    @property
    def risks(self) -> Iterator[str]:
        """Why AWS may end it, each as the rest of a sentence after its name, with what to do."""
        if group := self.tags.get("aws:autoscaling:groupName"):
            yield f"is in the Auto Scaling group {printable(group)}, which may terminate it. Detach it."
        if self.is_spot:
            yield "is a Spot Instance, which EC2 may interrupt. Use an On-Demand Instance."


@dataclass(frozen=True)
class Picture:
    """Both instances by id, the accounts that addresses are offered to, by allocation id, and what EC2 did not tell."""

    instances: Mapping[str, Instance]
    offered_to: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
