"""A move that takes its time is not seen before; what was seen before is."""

import time

from local.propagation import Moving

LONG = 60.0
SHORT = 0.05


class Ec2:
    """Says who holds the address, and that it has changed."""

    def __init__(self, seconds: float) -> None:
        self.holder: str | None = None
        self.moving = Moving[str](lambda _address: self.holder)
        self.move("bittybot")
        self.moving.seconds = seconds

    def move(self, holder: str | None) -> None:
        self.holder = holder
        self.moving.changed("production")

    @property
    def reached(self) -> str | None:
        return self.moving.reached("production")


def test_a_move_is_seen_at_once_unless_it_takes_its_time() -> None:
    ec2 = Ec2(seconds=0)
    ec2.move("tao")
    assert ec2.reached == "tao"


def test_the_former_server_is_reached_until_the_time_is_over() -> None:
    ec2 = Ec2(seconds=SHORT)
    ec2.move("tao")
    assert ec2.reached == "bittybot"
    time.sleep(SHORT)
    assert ec2.reached == "tao"


def test_an_address_that_is_taken_away_is_reached_for_as_long() -> None:
    ec2 = Ec2(seconds=LONG)
    ec2.move(None)
    assert ec2.reached == "bittybot"


def test_a_move_that_is_taken_back_in_time_is_never_seen() -> None:
    ec2 = Ec2(seconds=LONG)
    ec2.move("tao")
    ec2.move("bittybot")
    assert ec2.reached == "bittybot"


def test_a_change_of_something_else_delays_no_move() -> None:
    ec2 = Ec2(seconds=2 * SHORT)
    ec2.move("tao")
    time.sleep(SHORT)
    ec2.moving.changed("production")
    time.sleep(SHORT)
    assert ec2.reached == "tao"


def test_every_move_arrives_when_it_is_told_to() -> None:
    ec2 = Ec2(seconds=LONG)
    ec2.move("tao")
    ec2.moving.arrive()
    assert ec2.reached == "tao"
    ec2.move("bittybot")
    assert ec2.reached == "bittybot"
