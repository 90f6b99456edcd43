"""The only module that changes EC2's addresses. It describes them first, and makes no call if an address is in place: a
remap may be charged, and a repeated call may fail. A change counts only when `DescribeAddresses` shows it. Source: EC2
API Reference, AssociateAddress, DisassociateAddress (`InvalidAssociationID.NotFound`), "Eventual consistency"."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Any

from aws.calls import ONCE, ONE_CALL_SECONDS, Clock, Ec2, Sleep, aws_client, rehearsed, translated
from domain.errors import AddressMoved, EC2Refused, EC2Throttled, EC2Unavailable, MovedMeanwhile
from domain.pair import Address, AddressName, Json, Pair, Place, deployed_pairs
from domain.plan import Standing
from domain.text import capitalized

# For some 10 s, EC2 may show the state before a change. Four calls of at most 5 s fit into the function's last seconds.
LAST_PAUSES = (1, 3, 6, 0)
PAUSES = (0.1, 0.2, 0.4, 0.8, *[1.0] * 9)
Changed = tuple[Address, bool]
Both = tuple[Address, Address]
Planned = Callable[[Address, Address], bool]
Moved = type[AddressMoved | MovedMeanwhile]
ALREADY_ASSOCIATED, NO_ASSOCIATION = "Resource.AlreadyAssociated", "InvalidAssociationID.NotFound"


class Addresses:
    """The two addresses of one pair. Methods raise the errors of `translated`. A change returns the address as it is
    then, and whether it was changed. With a client that calls `ONCE`, all ends within `seconds` (EC2Unavailable).
    `request_id` is EC2's, of the last change that it accepted; None if it accepted none, or its answer was lost."""

    request_id: str | None = None

    def __init__(
        self, pair: Pair, ec2: Ec2, *, sleep: Sleep = time.sleep, clock: Clock = time.monotonic, seconds: float = inf
    ) -> None:
        self._pair, self._ec2, self._sleep, self._clock = pair, ec2, sleep, clock
        self._end = clock() + seconds

    def _has_time(self, pause: float = 0) -> bool:
        return self._clock() + pause + ONE_CALL_SECONDS <= self._end

    @contextmanager
    def _call(self, call: str) -> Iterator[None]:
        if not self._has_time():
            raise EC2Unavailable(f"{call} was not called: the calls before it took too long.")
        with translated(call):
            yield

    def _accepted(self, answer: Mapping[str, Any]) -> None:
        """Keep the id of the request. A change never fails because the id is missing."""
        self.request_id = answer.get("ResponseMetadata", {}).get("RequestId")

    def look(self) -> Both:
        """Describes production and staging as they are now, in one DescribeAddresses call."""
        ids = [self._pair.production, self._pair.staging]
        with self._call(f"DescribeAddresses of {' and '.join(ids)}"):
            shown = self._ec2.describe_addresses(AllocationIds=ids)["Addresses"]
        by_id = {address["AllocationId"]: address for address in shown}
        return self._pair.address("production", by_id[ids[0]]), self._pair.address("staging", by_id[ids[1]])

    def move_production(self, place: Place, *, coming_from: Place | None, old: str | None, first_try: bool) -> Changed:
        """Moves production to a place in one call, or finds it there. Without `coming_from`, it must be on no server,
        and otherwise there by the `old` association, which a rollback replaces: functions may start 10 s late. If it is
        elsewhere: AddressMoved, or on a later try MovedMeanwhile, since an earlier one may have moved it."""

        def is_planned(production: Address, _: Address) -> bool:
            return production.stands_at(coming_from) and production.association_id == old

        production, staging = self._look_before("production", place, is_planned, first_try=first_try)
        if production.stands_at(place):
            return production, False
        moved: Moved = AddressMoved if first_try else MovedMeanwhile
        if not is_planned(production, staging):
            raise moved(_elsewhere(production, f"{coming_from}, by {old}" if coming_from else "no server"))
        if coming_from:  # otherwise, staging may be on a place that it cannot leave
            _refuse_to_displace(staging, production, place)
        with self._from_where_it_was("production", place, moved):
            production, _ = self._associate(production, place, reassociate=coming_from is not None)
        return production, True

    def move_staging(
        self, place: Place, *, coming_from: Place | None, production_on: Place | None, first_try: bool
    ) -> Changed:
        """As `move_production`, for staging, while production is on the server of `production_on`, or on no server.
        Without `coming_from`, EC2 refuses the call if staging is on a server that DescribeAddresses does not show."""
        moved: Moved = AddressMoved if first_try else MovedMeanwhile
        live = production_on and Place(production_on.server)

        def is_planned(production: Address, staging: Address) -> bool:
            return production.stands_at(live) and staging.stands_at(coming_from)

        production, staging = self._look_before("staging", place, is_planned, first_try=first_try)
        if not first_try:
            self._undo_displacement(production, staging, place, production_on)
        _expect(production, live, moved)
        if staging.stands_at(place):
            return staging, False
        if coming_from or staging.server is None:
            _expect(staging, coming_from, moved)
        _refuse_to_displace(production, staging, place)
        moves = coming_from is not None
        with self._from_where_it_was("staging", place, moved):
            staging, production = self._put_staging(staging, place, production, production_on, reassociate=moves)
        _expect(production, live, MovedMeanwhile)
        return staging, True

    @contextmanager
    def _from_where_it_was(self, name: AddressName, place: Place, moved: Moved) -> Iterator[None]:
        """If EC2 refuses an address that was on no server because it is on another by now, that is someone's move."""
        try:
            yield
        except EC2Refused as error:
            if error.code != ALREADY_ASSOCIATED:
                raise
            address = _named(name, *self.look())
            if not address.is_associated or address.stands_at(place):
                raise EC2Unavailable(f"{error} DescribeAddresses shows {address} {address.place}.") from error
            raise moved(_elsewhere(address, "no server")) from error

    def restore(self, name: AddressName, place: Place, *, production_on: Place) -> Changed:
        """Puts an address back from anywhere: staging while production is on `production_on`, and production unless
        someone else moved it out of the pair (MovedMeanwhile). EC2 is called even if it seems to be there."""
        production, staging = self.look()
        if name == "staging":
            self._undo_displacement(production, staging, place, production_on)
            _refuse_to_displace(production, staging, place)
            return self._put_staging(staging, place, production, production_on)[0], True
        if production.is_associated and production.server is None:
            what = "Someone else moved it there during this execution, and it stays there."
            raise MovedMeanwhile(f"{capitalized(production)} is {production.place}. {what}")
        return self._associate(production, place)[0], True

    def _put_staging(
        self, staging: Address, place: Place, production: Address, home: Place | None, *, reassociate: bool = True
    ) -> Both:
        """As `_associate`. EC2 displaces production if someone moves it here just before; no condition prevents it."""
        staging, now = self._associate(staging, place, reassociate=reassociate)
        if production.is_associated:
            self._undo_displacement(now, staging, place, home)
        return staging, now

    def _undo_displacement(self, production: Address, staging: Address, place: Place, home: Place | None) -> None:
        """If production is on no server and staging where this step puts it, maybe in an earlier try, EC2 has displaced
        production. It goes home at once, and MovedMeanwhile says so. If EC2 refuses, the next try continues here."""
        if home is None or production.is_associated or not staging.stands_at(place):
            return
        for pause in (*PAUSES[:6], 0):
            try:
                self._call_associate(production, home, reassociate=False)
                break
            except (EC2Refused, EC2Throttled, EC2Unavailable) as error:
                if isinstance(error, EC2Refused) and error.code == ALREADY_ASSOCIATED:
                    break
                if not pause or not self._has_time(pause):
                    raise
                self._sleep(pause)
        # The next try would find production there and not know why: so it is said now, even if no description shows it.
        where = "EC2 accepted that"
        if self._has_time():
            where = f"it is {self.look_until(lambda now, _: now.is_associated)[0].place} now"
        raise MovedMeanwhile(
            f"Someone else moved {production} to {place} just before {staging} was put there, so EC2 disassociated "
            f"production. The step tried to restore it at once: {where}. Find out who moved it."
        )

    def _call_associate(self, address: Address, place: Place, *, reassociate: bool) -> None:
        with self._call(f"AssociateAddress of {address} with {place}"):
            target = _target(address.allocation_id, place)
            self._accepted(self._ec2.associate_address(AllowReassociation=reassociate, **target))

    def _associate(self, address: Address, place: Place, *, reassociate: bool = True) -> Both:
        """Calls EC2, then describes until the address is there. Returns the address as it is then, and production."""
        try:
            self._call_associate(address, place, reassociate=reassociate)
        except EC2Refused as error:
            # If the answer of an earlier try was lost, EC2 may refuse the call because that try succeeded.
            if error.code != ALREADY_ASSOCIATED or not _named(address.name, *self.look()).stands_at(place):
                raise
        accepted = f"EC2 accepted the association of {address} with {place}"
        return self._wait_until(address.name, lambda now: now.stands_at(place), accepted)

    def disassociate_staging(self, old: str, idle: Place, *, live: Place | None, first_try: bool) -> Changed:
        """Ends the `old` association of staging, or finds it ended; never one that was made since. On the first try,
        AddressMoved: an address is not as planned (no `live`: production on no server). Later, MovedMeanwhile."""

        def is_planned(production: Address, staging: Address) -> bool:
            return production.stands_at(live) and staging.stands_at(idle) and staging.association_id == old

        production, staging = self._look_before("staging", None, is_planned, first_try=first_try)
        if first_try:
            _expect(production, live, AddressMoved)
        elif staging.association_id is None:
            return staging, False
        if not staging.stands_at(idle) or staging.association_id != old:
            raise (AddressMoved if first_try else MovedMeanwhile)(_elsewhere(staging, f"{idle}, by {old}"))
        try:
            with self._call(f"DisassociateAddress of {staging}, which is {staging.place}"):
                self._accepted(self._ec2.disassociate_address(AssociationId=old))
        except EC2Refused as error:
            # If the association no longer exists, EC2 answers InvalidAssociationID.NotFound, or "not permitted".
            if self.look()[1].is_associated:
                if first_try or error.code != NO_ASSOCIATION:
                    raise
                # An earlier try has ended the association, and DescribeAddresses does not show it yet.
                raise EC2Unavailable(f"{error} DescribeAddresses still shows {staging} {staging.place}.") from error
        accepted = f"EC2 accepted the disassociation of {staging}"
        return self._wait_until("staging", lambda now: not now.is_associated, accepted)[0], True

    def look_until(self, as_it_should: Planned) -> tuple[Address, Address, bool]:
        """Describes both for some 10 s, or as long as there is time, until they are as they should be; and are they?"""
        production, staging = self.look()
        for pause in PAUSES:
            if as_it_should(production, staging) or not self._has_time(pause):
                break
            self._sleep(pause)
            production, staging = self.look()
        return production, staging, as_it_should(production, staging)

    def _look_before(self, name: AddressName, place: Place | None, planned: Planned, *, first_try: bool) -> Both:
        """Describes both for some 10 s, until they are as planned or, on a later try, the address is in place. If a
        first try had to wait for the plan, EC2Unavailable: it may be late, after a rollback. The next one decides."""

        def is_so(*both: Address) -> bool:
            return planned(*both) or (not first_try and _named(name, *both).stands_at(place))

        before = self.look()
        if not first_try and not planned(*before) and self._has_time(ONE_CALL_SECONDS):  # for this one, and a change
            before = self.look()  # one description may be older than the last cutover
        production, staging, came = (*before, False) if is_so(*before) else self.look_until(is_so)
        if came and first_try:
            was = " and ".join(f"{address} {address.place}" for address in before)
            raise EC2Unavailable(f"DescribeAddresses has shown {was}, and shows the plan now.")
        return production, staging

    def _wait_until(self, name: AddressName, stands: Callable[[Address], bool], what: str) -> Both:
        """The address, as soon as it is described as it should be, and production."""
        if self._has_time():
            production, staging, seen = self.look_until(lambda *addresses: stands(_named(name, *addresses)))
            if seen:
                return _named(name, production, staging), production
        raise EC2Unavailable(f"{what}, but DescribeAddresses has not shown it within the time of this try.")

    def rehearse_associate(self, name: AddressName, place: Place) -> None:
        """Proves, without changing anything, that an address may be put on a server. Raises PreflightFailed. It is one
        call: a rehearsal counts towards EC2's request limit like a move, so a success is not repeated."""
        allocation_id = self._pair.production if name == "production" else self._pair.staging
        with rehearsed(f"AssociateAddress of {allocation_id} with {place}"):
            self._ec2.associate_address(AllowReassociation=True, DryRun=True, **_target(allocation_id, place))

    def rehearse_disassociate(self, association_id: str) -> None:
        """Proves, without changing anything, that this association of staging may be ended. Raises PreflightFailed."""
        with rehearsed(f"DisassociateAddress of {self._pair.staging} ({association_id})"):
            self._ec2.disassociate_address(AssociationId=association_id, DryRun=True)


def last_look(standing: Standing, *, sleep: Sleep, failure: str = "") -> Json:
    """After a check, returns `{"production", "staging", "moved"}`: the addresses now, and what someone moved, in words;
    only `moved` if EC2 does not answer. An address on its server has not moved, whatever its private address. Raises
    MovedMeanwhile if production is elsewhere; its message ends with `failure`, the check's."""
    pair = deployed_pairs()[standing.pair]
    seen, problem = None, ""
    for pause in LAST_PAUSES:
        try:
            seen = Addresses(pair, aws_client("ec2", ONCE)).look()
        except (EC2Refused, EC2Throttled, EC2Unavailable) as error:
            problem = str(error)
        else:
            if not any(_moved(pair, standing, *seen)):
                break
        sleep(pause)
    if seen is None:
        return {"moved": [f"The addresses could not be described after the check. {problem}"]}
    production, staging = _moved(pair, standing, *seen)
    if production or (staging and standing.strict):
        raise MovedMeanwhile(" ".join(filter(None, (production, staging, failure))))
    return {"production": seen[0].to_json(), "staging": seen[1].to_json(), "moved": [staging] if staging else []}


def _moved(pair: Pair, standing: Standing, *addresses: Address) -> Iterator[str | None]:
    """Unless it is `strict`, an address that is outside the pair as before has not moved: an earlier check said so."""
    for address, before in zip(addresses, (standing.production, standing.staging), strict=True):
        stays = address.server == before and (before or not address.is_associated or not standing.strict)
        was_on = pair.place(before).server if before else "no server"
        what = f"EC2 shows {address} {address.place}; before the check it was on {was_on}. Someone else moved it."
        yield None if stays else what


def _named(name: AddressName, production: Address, staging: Address) -> Address:
    return production if name == "production" else staging


def _target(allocation_id: str, place: Place) -> Json:
    """EC2 takes the instance, if it has one network interface, or the interface, with one of its private addresses."""
    interface_id = place.server.network_interface_id
    target = {"NetworkInterfaceId": interface_id} if interface_id else {"InstanceId": place.server.instance_id}
    private_ip = {"PrivateIpAddress": place.private_ip} if place.private_ip else {}
    return {"AllocationId": allocation_id, **target, **private_ip}


def _expect(address: Address, place: Place | None, error: Moved) -> None:
    """Raises the error if the address is not at the planned place, or without one on no server."""
    if not address.stands_at(place):
        raise error(_elsewhere(address, str(place or "no server")))


def _elsewhere(address: Address, planned: str) -> str:
    found = f"{capitalized(address)} is {address.place}; the plan expects it on {planned}."
    return f"{found} Someone else moved it. Find out who, then start again: the next execution makes a new plan."


def _refuse_to_displace(holder: Address, address: Address, place: Place) -> None:
    if holder.stands_at(place):  # not EC2Refused: DescribeAddresses may show where the holder was before
        on = f"{capitalized(holder)} is on {place.server.name}"
        raise EC2Unavailable(f"{on}; associating {address} there would displace it.")
