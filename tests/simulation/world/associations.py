"""Which Elastic IP is on which private address: moves, displacements, and everything that ever changed.

An association takes the address from its former place, displaces the address that the target held, and keeps its id if
nothing changes. `tests/simulation/test_world_ec2.py` compares all of it with `local.address_semantics`.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from guarantees.trace import Places
from tests.simulation.world.machines import Address, Instance, Interface


@dataclass(frozen=True, slots=True)
class Change:
    """A change that took effect. `before` and `after` are the places of the pair whose address it touched, None if it
    touched no pair. `displaced` are the allocation ids that left their places without being asked to."""

    at: float
    action: str
    allocation_id: str | None
    instance_id: str | None
    before: Places | None
    after: Places | None
    displaced: tuple[str, ...]
    request_id: str
    by_someone_else: bool


class Associations:
    """The addresses, instances and interfaces of an account by their ids, in the order in which they were made.

    `pairs` are the allocation ids of production and staging, by pair."""

    def __init__(self, pairs: Mapping[str, tuple[str, str]], clock: Callable[[], float]) -> None:
        self.pairs, self.clock = pairs, clock
        self.addresses: dict[str, Address] = {}
        self.instances: dict[str, Instance] = {}
        self.interfaces: dict[str, Interface] = {}
        self.changes: list[Change] = []
        self._past: dict[str, tuple[list[float], list[dict[str, Any]]]] = {}
        self._touched: dict[str, str | None] = {}
        self._numbers = {"eipassoc": 0, "automatic": 0}

    def add(self, address: Address, interface: Interface | None = None) -> None:
        """An address of the account from the beginning, on the last private address of an interface, or on none."""
        self.addresses[address.allocation_id] = address
        self.place(address, interface)

    def place(self, address: Address, interface: Interface | None) -> None:
        """The address has been there, or on no server, from the beginning: nobody has changed anything."""
        self.take_off(address)
        if interface:
            self.put_on(address, interface, interface.private_ips[-1])
        self._touched.clear()
        for each in self.addresses.values():
            self._past[each.allocation_id] = [self.clock()], [each.described()]

    def places(self, pair: str | None = None) -> Places:
        """Of the only pair, or of this pair."""
        production, staging = self.pairs[pair or next(iter(self.pairs))]
        return Places(self.addresses[production].holder, self.addresses[staging].holder)

    def description(self, allocation_id: str, at: float | None = None) -> dict[str, Any]:
        """The address as DescribeAddresses shows it now, or as it was at that moment."""
        moments, shown = self._past[allocation_id]
        return shown[-1] if at is None else shown[max(bisect_right(moments, at) - 1, 0)]

    def holder(self, allocation_id: str, at: float | None = None) -> str | None:
        """The instance that held the address at a moment, or holds it now; None if no instance did."""
        return self.description(allocation_id, at).get("InstanceId")

    def moved_at(self, allocation_id: str) -> float:
        """When the address was last changed, or the beginning."""
        return self._past[allocation_id][0][-1]

    def put_on(self, address: Address, interface: Interface, private_ip: str) -> None:
        """Moves the address there, and displaces the one that is there."""
        self.take_off(address)
        if there := interface.elastic_ips.get(private_ip):
            self.take_off(there)
        self._touch(address)
        interface.elastic_ips[private_ip] = address
        address.interface, address.private_ip = interface, private_ip
        address.association_id = f"eipassoc-{self._next('eipassoc'):017x}"

    def take_off(self, address: Address) -> None:
        """Puts the address on no server. EC2 gives a running instance without a public address another one."""
        interface, private_ip = address.place
        if interface is None or private_ip is None:
            return
        self._touch(address)
        del interface.elastic_ips[private_ip]
        address.interface = address.private_ip = address.association_id = None
        if private_ip == interface.private_ips[0]:
            self.assign_public_ip(interface)

    def assign_public_ip(self, interface: Interface) -> None:
        instance = interface.instance
        if instance and interface.assigns_public_ip and instance.state == "running":
            number = self._next("automatic")
            interface.automatic_ip = f"192.0.{2 + number // 256}.{number % 256}"

    def record(self, action: str, *, asked: str | None, instance_id: str | None, by_someone_else: bool) -> None:
        """What was touched since the last record is one change, at this moment; nothing if nothing was."""
        if not self._touched:
            return
        now, touched, self._touched = self.clock(), self._touched, {}
        pair = next((name for name, ids in self.pairs.items() if touched.keys() & ids), None)
        before = after = None
        if pair is not None:
            after = self.places(pair)
            before = Places(*(touched.get(each, self.addresses[each].holder) for each in self.pairs[pair]))
        for allocation_id in touched:
            moments, shown = self._past[allocation_id]
            moments.append(now)
            shown.append(self.addresses[allocation_id].described())
        displaced = tuple(each for each in touched if each != asked)
        request = f"request-{len(self.changes) + 1}"
        self.changes.append(Change(now, action, asked, instance_id, before, after, displaced, request, by_someone_else))

    def _touch(self, address: Address) -> None:
        """Remembers who held it, as it was before the change."""
        self._touched.setdefault(address.allocation_id, address.holder)

    def _next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]
