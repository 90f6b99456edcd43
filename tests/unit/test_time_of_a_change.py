"""A function that changes an address ends in time, however slow EC2 is, and the next try finishes what it began."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import associate_address
import disassociate_address
from aws.addresses import Addresses
from aws.calls import ONCE, ONE_CALL_SECONDS
from domain.errors import EC2Unavailable, MovedMeanwhile
from domain.lock import CHANGE_SECONDS
from domain.pair import Place
from tests.unit.ec2_account import Ec2Account

# From quick to as slow as a call may be, and some between that leave little time at other places.
SECONDS_PER_CALL = (0.2, 1, 1.7, 2.3, 2.9, 3.4, 4, 5)


class SlowEc2:
    """EC2 whose calls all take so many seconds on a clock of its own, and when calls that change something ended."""

    def __init__(self, ec2: Ec2Account, seconds: float) -> None:
        self.now, self.changes_ended = 1000.0, [1000.0]
        self._ec2, self._seconds = ec2, seconds

    def __getattr__(self, action: str) -> Callable[..., Any]:
        def called(**parameters: Any) -> Any:
            self.now += self._seconds
            if action != "describe_addresses":
                self.changes_ended.append(self.now)
            return getattr(self._ec2.client, action)(**parameters)

        return called

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def door(self) -> Addresses:
        clock: Any = {"clock": lambda: self.now, "sleep": self.sleep}
        return Addresses(self._ec2.pair, self, seconds=CHANGE_SECONDS, **clock)  # type: ignore[arg-type]


def test_a_call_of_the_functions_that_change_something_is_tried_once_within_5_s() -> None:
    for function in (associate_address, disassociate_address):
        config: Any = function.ec2.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert config.connect_timeout + config.read_timeout == ONE_CALL_SECONDS == 5
    assert ONCE.retries == config.retries  # type: ignore[attr-defined]


def cut_over(ec2: Ec2Account, door: Addresses, *, first_try: bool) -> None:
    if ec2.holder("staging"):
        ec2.take_off("staging")
    place, old = ec2.place(ec2.tao), ec2.production_association
    door.move_production(place, coming_from=Place(ec2.bittybot), old=old, first_try=first_try)


def take_off(ec2: Ec2Account, door: Addresses, *, first_try: bool) -> None:
    live, idle = ec2.place(ec2.bittybot), ec2.place(ec2.tao)
    door.disassociate_staging(ec2.association_id, idle, live=live, first_try=first_try)


def put_staging(ec2: Ec2Account, door: Addresses, *, first_try: bool) -> None:
    """On tao, where someone else puts production just before: EC2 displaces it."""
    if first_try:
        ec2.take_off("staging")
        ec2.before("AssociateAddress", lambda: ec2.move("production", ec2.tao.instance_id))
    door.move_staging(ec2.place(ec2.tao), coming_from=None, production_on=ec2.place(ec2.bittybot), first_try=first_try)


def restore(ec2: Ec2Account, door: Addresses, *, first_try: bool) -> None:
    door.restore("production", ec2.place(ec2.tao if first_try else ec2.bittybot), production_on=ec2.place(ec2.bittybot))


@pytest.mark.parametrize("seconds", SECONDS_PER_CALL)
@pytest.mark.parametrize("stale", [0, 1000], ids=["shown at once", "never shown"])
@pytest.mark.parametrize("step", [cut_over, take_off, put_staging, restore])
def test_every_call_ends_in_time_however_slow_ec2_is(
    ec2: Ec2Account, step: Callable[..., None], stale: int, seconds: float
) -> None:
    for action in ("AssociateAddress", "DisassociateAddress"):
        ec2.before(action, lambda: setattr(ec2, "stale", stale))
    for first_try in (True, False):
        slow = SlowEc2(ec2, seconds)
        with suppress(EC2Unavailable, MovedMeanwhile):
            step(ec2, slow.door(), first_try=first_try)
        assert slow.now - 1000 <= CHANGE_SECONDS
        assert max(slow.changes_ended) - 1000 <= CHANGE_SECONDS


def test_a_step_has_time_to_describe_to_change_and_to_wait_while_calls_take_a_second(ec2: Ec2Account) -> None:
    ec2.before("AssociateAddress", lambda: setattr(ec2, "stale", 3))
    cut_over(ec2, SlowEc2(ec2, 1).door(), first_try=True)
    assert ec2.holders == ("tao", None)


@pytest.mark.parametrize("seconds", SECONDS_PER_CALL)
def test_production_that_was_displaced_is_restored_and_reported_within_two_tries(
    ec2: Ec2Account, seconds: float
) -> None:
    first = SlowEc2(ec2, seconds)
    try:
        with pytest.raises(MovedMeanwhile, match="so EC2 disassociated production"):
            put_staging(ec2, first.door(), first_try=True)
    except EC2Unavailable:
        with pytest.raises(MovedMeanwhile, match="so EC2 disassociated production"):
            put_staging(ec2, SlowEc2(ec2, seconds).door(), first_try=False)
    assert ec2.holders == ("bittybot", "tao")
