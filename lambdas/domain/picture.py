"""What EC2 shows of a pair's two servers before anything is changed. Pure values; `aws/servers.py` fills them in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.pair import Tags

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
    """An attached network interface, its public dual-stack DNS name, if any, and the border group of its zone."""

    network_interface_id: str
    addresses: tuple[PrivateAddress, ...]
    dual_stack_name: str | None = None
    border_group: str | None = None

    def address(self, private_ip: str | None) -> PrivateAddress | None:
        return next((address for address in self.addresses if address.private_ip == private_ip), None)


@dataclass(frozen=True)
class Instance:
    """An EC2 instance: its state, as EC2 names it, or NOT_SHOWN, its network interfaces by id, and its tags."""

    state: str
    interfaces: Mapping[str, NetworkInterface] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    is_spot: bool = False


@dataclass(frozen=True)
class Picture:
    """Both instances by id, the accounts that addresses are offered to, by allocation id, and what EC2 did not tell."""

    instances: Mapping[str, Instance]
    offered_to: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
