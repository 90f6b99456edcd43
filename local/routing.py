"""Connections to the Elastic IPs of the account lead to the machines that hold them: network, delay and machines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Protocol, Self

from local.network import Endpoint, Network
from local.propagation import Propagation

NO_PORT = 0


class Machine(Protocol):
    """What runs on an instance, at `address`:`port`. The port is None while nothing runs there."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int | None: ...


class Routing:
    """`with Routing(...) as routing:` carries connections to the Elastic IPs until the block ends. All of them answer
    on one port, `port`. Those in `ips` are there from the start, and `public_ips` gives those of the account.

    `holder` gives the id of the instance that holds an Elastic IP, and `machines` what runs on the instances, by their
    ids. Call `follow` after every change.
    """

    def __init__(
        self,
        ips: Sequence[str],
        *,
        public_ips: Callable[[], Sequence[str]],
        holder: Callable[[str], str | None],
        machines: Callable[[], Mapping[str, Machine]],
    ) -> None:
        self._ips, self._public_ips, self._machines = ips, public_ips, machines
        self._propagation: Propagation[str] = Propagation(holder)
        self._network = Network(ips, self._route)
        self._following = threading.Lock()
        self._problem = ""
        self.port = self._network.port

    def __enter__(self) -> Self:
        self._network.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.__exit__(kind, error, trace)

    def follow(self) -> None:
        """Addresses, their holders, or the machines may have changed. Returns when new connections follow."""
        with self._following:
            ips = {*self._ips, *self._public_ips()}
            try:
                self._network.add([ip for ip in ips if ip_address(ip).is_loopback])
            except (RuntimeError, OSError) as error:
                self.report(error)
            for ip in ips:
                self._propagation.changed(ip)
            self._network.refresh()
            if self.seconds:
                self._network.refresh_in(self.seconds)

    def report(self, error: Exception) -> None:
        """Print why an address leads nowhere, once. The call of EC2 has succeeded: its client should not try again."""
        if str(error) != self._problem:
            self._problem = str(error)
            print(f"An address of the local AWS leads nowhere. {error}", file=sys.stderr, flush=True)

    def complete(self) -> None:
        """Complete all moves: every address leads to the machine that EC2 says. Moves no longer take time."""
        self._propagation.complete()
        self._network.refresh()

    @property
    def seconds(self) -> float:
        """After an address moves, new connections still reach its former server for so long."""
        return self._propagation.seconds

    @seconds.setter
    def seconds(self, seconds: float) -> None:
        self._propagation.seconds = seconds

    def _route(self, ip: str) -> Endpoint | None:
        """The target of a new connection to an Elastic IP. If its machine is down, a port where nothing listens."""
        machine = self._machines().get(self._propagation.reached(ip) or "")
        return (machine.address, machine.port or NO_PORT) if machine else None
