"""An address is reached at its new place after the delay, and not before."""

import time

import pytest

from local.propagation import Propagation

LONG = 60.0
SHORT = 0.05


class Ec2:
    """Says who holds the address, and that it has changed."""

    def __init__(self, seconds: float) -> None:
        self.holder: str | None = None
        self.propagation = Propagation[str](lambda _address: self.holder)
        self.move("bittybot")
        self.propagation.seconds = seconds

    def move(self, holder: str | None) -> None:
        self.holder = holder
        self.propagation.changed("production")

    @property
    def reached(self) -> str | None:
        return self.propagation.reached("production")


@pytest.mark.parametrize(
    ("seconds", "moves", "reached"),
    [
        (0, ["tao"], "tao"),
        (LONG, ["tao"], "bittybot"),
        (LONG, [None], "bittybot"),
        (LONG, ["tao", "bittybot"], "bittybot"),
    ],
    ids=["without a delay", "delayed", "taken away", "undone in time"],
)
def test_the_former_server_is_reached_during_the_delay(seconds: float, moves: list[str | None], reached: str) -> None:
    ec2 = Ec2(seconds)
    for holder in moves:
        ec2.move(holder)
    assert ec2.reached == reached


def test_the_new_server_is_reached_after_the_delay_even_after_another_change() -> None:
    ec2 = Ec2(seconds=2 * SHORT)
    ec2.move("tao")
    assert ec2.reached == "bittybot"
    time.sleep(SHORT)
    ec2.propagation.changed("production")
    time.sleep(SHORT)
    assert ec2.reached == "tao"


def test_completing_ends_all_delays() -> None:
    ec2 = Ec2(seconds=LONG)
    ec2.move("tao")
    ec2.propagation.complete()
    assert ec2.reached == "tao"
    ec2.move("bittybot")
    assert ec2.reached == "bittybot"
