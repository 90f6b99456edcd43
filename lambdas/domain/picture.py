"""What EC2 shows of a pair's two servers before anything is changed. Pure values; `aws/servers.py` fills them in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from domain.pair import Tags
from domain.text import printable

AUTO_ASSIGNED = "amazon"  # the owner of an address that EC2 assigned itself: an Elastic IP address replaces it
# EC2 forgets a terminated instance after about an hour (EC2 User Guide, "Terminate Amazon EC2 instances").
NOT_SHOWN = "not shown by EC2 (it was terminated, or its id is wrong)"


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
