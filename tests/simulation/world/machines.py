"""What an account has in EC2: Elastic IPs, instances and their network interfaces, as plain values."""

from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

ACCOUNT, REGION, ZONE = "123456789012", "us-east-1", "us-east-1a"
THIRD = "eipalloc-0000000000000ffff"
STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
STATUS_CHECKS = ("SystemStatus", "InstanceStatus", "AttachedEbsStatus")
DUAL_STACK = "public-dual-stack-dns-name"


@dataclass(eq=False, slots=True)
class Instance:
    """`checks` are the results of the status checks, which are initializing until `initialized_at`."""

    id: str
    state: str = "running"
    interfaces: list["Interface"] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    is_spot: bool = False
    checks: dict[str, str] = field(default_factory=dict)
    initialized_at: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """As DescribeInstances shows it."""
        state = {"Code": STATE_CODES[self.state], "Name": self.state}
        shown: dict[str, Any] = {"InstanceId": self.id, "State": state, "Tags": in_a_list(self.tags)}
        return {**shown, "InstanceLifecycle": "spot"} if self.is_spot else shown

    def status(self, now: float) -> dict[str, Any]:
        """As DescribeInstanceStatus shows it."""
        checks = dict.fromkeys(STATUS_CHECKS, "initializing" if now < self.initialized_at else "ok") | self.checks
        return {
            "InstanceId": self.id,
            "AvailabilityZone": self.interfaces[0].zone,
            "InstanceState": {"Code": STATE_CODES[self.state], "Name": self.state},
            **{check: {"Status": status} for check, status in checks.items()},
            "Events": self.events,
        }


@dataclass(eq=False, slots=True)
class Interface:
    """`private_ips` begins with the primary one, which has a public address from EC2 if the interface
    `assigns_public_ip`. `elastic_ips` are the Elastic IPs by the private address that each is on."""

    id: str
    private_ips: list[str]
    instance: Instance | None = None
    zone: str = ZONE
    assigns_public_ip: bool = False
    automatic_ip: str | None = None
    hostname_type: str = "public-ipv4-dns-name"
    elastic_ips: dict[str, "Address"] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def border_group(self) -> str:
        return self.zone.rstrip(ascii_lowercase)

    def described(self) -> dict[str, Any]:
        """As DescribeNetworkInterfaces shows it."""
        primary, *others = (self._private_ip(each) for each in self.private_ips)
        return {
            "NetworkInterfaceId": self.id,
            "AvailabilityZone": self.zone,
            "Attachment": {"InstanceId": self.instance.id} if self.instance else {},
            "PrivateIpAddress": self.private_ips[0],
            "PrivateIpAddresses": [primary, *others],
            **({"Association": primary["Association"]} if "Association" in primary else {}),
            "PublicIpDnsNameOptions": self._names(),
            "TagSet": in_a_list(self.tags),
        }

    def _private_ip(self, private_ip: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"PrivateIpAddress": private_ip, "Primary": private_ip == self.private_ips[0]}
        if elastic_ip := self.elastic_ips.get(private_ip):
            shown["Association"] = {
                "PublicIp": elastic_ip.public_ip,
                "IpOwnerId": ACCOUNT,
                "AllocationId": elastic_ip.allocation_id,
                "AssociationId": elastic_ip.association_id,
            }
        elif shown["Primary"] and self.automatic_ip:
            shown["Association"] = {"PublicIp": self.automatic_ip, "IpOwnerId": "amazon"}
        return shown

    def _names(self) -> dict[str, str]:
        elastic_ip = self.elastic_ips.get(self.private_ips[0])
        public_ip = elastic_ip.public_ip if elastic_ip else self.automatic_ip
        names = {"DnsHostnameType": self.hostname_type}
        if public_ip and self.hostname_type == DUAL_STACK:
            names["PublicDualStackDnsName"] = f"{public_ip.replace('.', '-')}.{REGION}.ip.aws"
        return names


@dataclass(eq=False, slots=True)
class Address:
    """An Elastic IP. `offered_to` is the account that a transfer is offered to."""

    allocation_id: str
    public_ip: str
    border_group: str = REGION
    tags: dict[str, str] = field(default_factory=dict)
    service_managed: str | None = None
    offered_to: str | None = None
    interface: Interface | None = None
    private_ip: str | None = None
    association_id: str | None = None

    @property
    def place(self) -> tuple[Interface | None, str | None]:
        return self.interface, self.private_ip

    @property
    def holder(self) -> str | None:
        """The instance that it is on; an interface if that has no instance; None if it is on no server."""
        interface = self.interface
        if interface is None:
            return None
        return interface.instance.id if interface.instance else interface.id

    def described(self) -> dict[str, Any]:
        """As DescribeAddresses shows it."""
        shown: dict[str, Any] = {
            "PublicIp": self.public_ip,
            "AllocationId": self.allocation_id,
            "Domain": "vpc",
            "PublicIpv4Pool": "amazon",
            "NetworkBorderGroup": self.border_group,
            "Tags": in_a_list(self.tags),
        }
        if self.service_managed:
            shown["ServiceManaged"] = self.service_managed
        if self.interface:
            shown["AssociationId"] = self.association_id
            shown["NetworkInterfaceId"], shown["PrivateIpAddress"] = self.interface.id, self.private_ip
            shown["NetworkInterfaceOwnerId"] = ACCOUNT
            if self.interface.instance:
                shown["InstanceId"] = self.interface.instance.id
        return shown


def in_a_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
