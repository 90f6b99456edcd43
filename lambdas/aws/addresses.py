"""The one door to EC2: looks at a pair's addresses, and moves them.

Every change looks first and looks again afterwards. EC2 documents both changing calls as idempotent, but a remap may be
charged and a repeated call may fail (`InvalidAssociationID.NotFound`), so an address that already stands where it
should is left alone. EC2 is eventually consistent: a change counts as made only when `DescribeAddresses` shows it.
Source: the EC2 API Reference, AssociateAddress, DisassociateAddress and "Eventual consistency".
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aws.calls import refused_as_preflight, rehearsed, translated
from domain.errors import AddressMoved, EC2Refused, EC2Unavailable, MovedMeanwhile
from domain.pair import Address, AddressName, Pair, Server
from domain.plan import Plan
from domain.text import capitalized

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import AddressTypeDef

VISIBLE_WITHIN_SECONDS = 10.0
LOOKS_APART_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.0)


class Addresses:
    """The two addresses of one pair, as EC2 has them."""

    def __init__(self, pair: Pair, ec2: "EC2Client", *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._pair = pair
        self._ec2 = ec2
        self._sleep = sleep

    def look(self) -> tuple[Address, Address]:
        """Production and staging as they stand now, in one DescribeAddresses call.

        Raises EC2Refused when an address does not exist, EC2Throttled, EC2Unavailable when EC2 does not answer.
        """
        ids = [self._pair.production, self._pair.staging]
        with translated(f"DescribeAddresses of {' and '.join(ids)}"):
            found = self._ec2.describe_addresses(AllocationIds=ids)["Addresses"]
        by_id = {address["AllocationId"]: address for address in found}
        return (
            self._address("production", by_id[self._pair.production]),
            self._address("staging", by_id[self._pair.staging]),
        )

    def _address(self, name: AddressName, found: "AddressTypeDef") -> Address:
        instance_id = found.get("InstanceId") or None
        network_interface_id = found.get("NetworkInterfaceId") or None
        server = self._pair.server_holding(instance_id, network_interface_id)
        return Address(
            name=name,
            allocation_id=found["AllocationId"],
            public_ip=found["PublicIp"],
            association_id=found.get("AssociationId") or None,
            instance_id=instance_id,
            network_interface_id=network_interface_id,
            private_ip=found.get("PrivateIpAddress") or None,
            server=server.name if server else None,
            service_managed=found.get("ServiceManaged") or None,
        )

    def associate(
        self,
        name: AddressName,
        server: Server,
        *,
        allow_reassociation: bool,
        private_ip: str | None = None,
        expected: Sequence[str | None] | None = None,
        production_on: str | None = None,
        force: bool = False,
        first_try: bool = True,
    ) -> tuple[Address, bool]:
        """Puts an address on a server, or finds it there: the address as it stands then, and whether it moved.

        `expected` are the instances one of which it must come from (None in it: from no instance); without it, it
        may come from anywhere. `production_on` is the instance that production must be on. With `force`, EC2 is called
        also when the address seems to stand there already, for a look may show what was before the last change.
        Staging is never put where the production address stands, since EC2 would displace production.

        Raises AddressMoved when an address is not where it is expected on the first try, and MovedMeanwhile when that
        is found later, since an earlier try may have changed something; EC2Refused when EC2 refuses for good,
        EC2Throttled and EC2Unavailable when the same call may be tried again.
        """
        production, staging = self.look()
        address = production if name == "production" else staging
        moved = AddressMoved if first_try else MovedMeanwhile
        if production_on is not None:
            _expect(production, [production_on], moved)
        if _stands_on(address, server, private_ip) and not force:
            return address, False
        if expected is not None:
            _expect(address, expected, moved)
        if name == "staging" and _stands_on(production, server, private_ip):
            raise EC2Unavailable(  # not refused: a look may show what was before production moved away
                f"{capitalized(production)} is on {server.name}; associating {staging} there would displace it."
            )
        try:
            with translated(f"AssociateAddress of {address} with {server.name} ({server.instance_id})"):
                self._ec2.associate_address(
                    AllocationId=address.allocation_id,
                    AllowReassociation=allow_reassociation,
                    **_target(server),
                    **({"PrivateIpAddress": private_ip} if private_ip else {}),  # type: ignore[arg-type]
                )
        except EC2Refused as error:
            # A call whose answer was lost, and which botocore made again, meets its own effect.
            if error.code != "Resource.AlreadyAssociated" or not _stands_on(self._look_at(name), server, private_ip):
                raise
        found, production = self._wait_until(
            name,
            lambda found: _stands_on(found, server, private_ip),
            f"EC2 accepted to associate {address} with {server.name}",
        )
        if production_on is not None:
            _expect(production, [production_on], MovedMeanwhile)
        return found, True

    def disassociate_staging(
        self, plan: Plan | None = None, *, first_try: bool = True, association_id: str | None = None
    ) -> tuple[Address, bool]:
        """Takes the staging address off whatever it is on, or finds it off: as `associate`.

        With a plan, both addresses must still stand as planned. With an `association_id`, EC2 is asked to end that one
        whatever a look shows. There is no such method for production: it is never without a server.

        Raises AddressMoved only on the first try, when it is certain that nothing was changed: an earlier try of this
        very step may have disassociated staging.
        """
        production, staging = self.look()
        if plan is not None and first_try:
            _expect(staging, [plan.idle.instance_id], AddressMoved)
            _expect(production, [plan.live.instance_id], AddressMoved)
        association_id = association_id or staging.association_id
        if association_id is None:
            return staging, False
        try:
            with translated(f"DisassociateAddress of {staging}, which is {staging.place}"):
                self._ec2.disassociate_address(AssociationId=association_id)
        except EC2Refused:
            # Of an association that is gone, EC2 says InvalidAssociationID.NotFound, or that it is not permitted.
            if self._look_at("staging").is_associated:
                raise
        found, _ = self._wait_until(
            "staging", lambda found: not found.is_associated, f"EC2 accepted to disassociate {staging}"
        )
        return found, True

    def look_until(self, as_it_should: Callable[[Address, Address], bool]) -> tuple[Address, Address, bool]:
        """Looks, again and again for some 10 s, until production and staging stand as they should: the last look."""
        for pause in _pauses(VISIBLE_WITHIN_SECONDS):
            production, staging = self.look()
            if as_it_should(production, staging):
                return production, staging, True
            self._sleep(pause)
        return production, staging, False

    def _look_at(self, name: AddressName) -> Address:
        production, staging = self.look()
        return production if name == "production" else staging

    def _wait_until(
        self, name: AddressName, stands: Callable[[Address], bool], accepted: str
    ) -> tuple[Address, Address]:
        """The address, and production, once a look shows the address as it should stand."""

        def as_it_should(production: Address, staging: Address) -> bool:
            return stands(production if name == "production" else staging)

        production, staging, seen = self.look_until(as_it_should)
        if not seen:
            raise EC2Unavailable(
                f"{accepted}, but {VISIBLE_WITHIN_SECONDS:.0f} s later DescribeAddresses does not show it yet."
            )
        return production if name == "production" else staging, production

    def rehearse_associate(self, name: AddressName, server: Server) -> None:
        """Proves, without changing anything, that an address may be put on a server.

        One call and no more: a rehearsal takes as much of EC2's limit as a move, so one that passed is not made again.
        Raises PreflightFailed, EC2Throttled, EC2Unavailable.
        """
        allocation_id = self._pair.production if name == "production" else self._pair.staging
        call = translated(f"AssociateAddress of {allocation_id} with {server.name}")
        with refused_as_preflight(), rehearsed(), call:
            self._ec2.associate_address(
                AllocationId=allocation_id, AllowReassociation=True, DryRun=True, **_target(server)
            )

    def rehearse_disassociate(self, association_id: str) -> None:
        """Proves, without changing anything, that this association of staging may be ended; else PreflightFailed."""
        call = translated(f"DisassociateAddress of {self._pair.staging} ({association_id})")
        with refused_as_preflight(), rehearsed(), call:
            self._ec2.disassociate_address(AssociationId=association_id, DryRun=True)


def _stands_on(address: Address, server: Server, private_ip: str | None) -> bool:
    on_server = server.holds(address.instance_id, address.network_interface_id)
    return on_server and private_ip in (None, address.private_ip)


def _target(server: Server) -> dict[str, Any]:
    """EC2 takes one of the two: the instance, if it has one network interface, or the interface."""
    if server.network_interface_id:
        return {"NetworkInterfaceId": server.network_interface_id}
    return {"InstanceId": server.instance_id}


def _expect(
    found: Address, instance_ids: Sequence[str | None], error: type[AddressMoved] | type[MovedMeanwhile]
) -> None:
    if found.instance_id in instance_ids:
        return
    planned = " or ".join(f"on {instance_id}" if instance_id else "on no server" for instance_id in instance_ids)
    raise error(
        f"{capitalized(found)} is {found.place}; the plan was made with it {planned}. Somebody else moved it since. "
        f"Find out who, then start again: the next execution plans from what it finds."
    )


def _pauses(total: float) -> Iterator[float]:
    waited, looks = 0.0, iter(LOOKS_APART_SECONDS)
    while waited < total:
        pause = next(looks, LOOKS_APART_SECONDS[-1])
        yield pause
        waited += pause
