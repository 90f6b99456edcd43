"""`time` and `datetime` show the virtual time while a run is present, and the real time otherwise."""

import datetime as real
import time
from typing import Self

from tests.simulation.seams.present import is_running, present

real_time, real_monotonic, real_sleep = time.time, time.monotonic, time.sleep


def now() -> float:
    return present().scheduler.now if is_running() else real_time()


def monotonic() -> float:
    return present().scheduler.now if is_running() else real_monotonic()


def sleep(seconds: float) -> None:
    if is_running():
        present().scheduler.sleep(seconds)
    else:
        real_sleep(seconds)


class Datetime(real.datetime):
    """As `datetime.datetime`."""

    @classmethod
    def now(cls, tz: real.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(now(), tz or real.UTC)
