"""What the servers answer to requests, by who holds the address that is asked."""

from collections.abc import Callable, Mapping
from functools import cache, partial

from tests.simulation.world.associations import Associations

# The status of an answer, given which address was asked ("production", "staging", or "" for any other one), and when.
# None: the server closes the connection without an answer.
Behaviour = Callable[[str, float], int | None]
REASONS = {200: "OK", 500: "Internal Server Error", 503: "Service Unavailable"}


def healthy(_address: str, _at: float) -> int | None:
    return 200


def unhealthy(_address: str, _at: float) -> int | None:
    return 500


def unhealthy_as_production(address: str, _at: float) -> int | None:
    return 500 if address == "production" else 200


def silent(_address: str, _at: float) -> int | None:
    return None


def unhealthy_from(moment: float) -> Behaviour:
    return partial(_unhealthy_from, moment)


def _unhealthy_from(moment: float, _address: str, at: float) -> int | None:
    return 500 if at >= moment else 200


class Web:
    """`behaviours` are by instance id; a server without one is healthy. `delays` are the seconds until it answers.
    `headers` are what each server says of itself; its release is `release_of` it. For `moving_seconds` after a move of
    an address, requests still arrive where it was."""

    def __init__(
        self,
        ec2: Associations,
        clock: Callable[[], float],
        *,
        addresses: Mapping[str, str],
        release_of: Callable[[str], str],
    ) -> None:
        self._ec2, self._clock, self._release_of = ec2, clock, release_of
        self._addresses = {ec2.addresses[allocation_id].public_ip: allocation_id for allocation_id in ec2.addresses}
        self._names = {ec2.addresses[allocation_id].public_ip: name for allocation_id, name in addresses.items()}
        self.behaviours: dict[str, Behaviour] = {}
        self.delays: dict[str, float] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.moving_seconds = 0.0

    def holder(self, ip: str) -> str | None:
        """The running instance that a new connection to an address reaches; None: nothing answers, not even TCP."""
        if ip not in self._addresses:
            return None
        at = self._clock() - self.moving_seconds if self.moving_seconds else None
        holder = self._ec2.holder(self._addresses[ip], at)
        return holder if holder and self._ec2.instances[holder].state == "running" else None

    def delay(self, holder: str) -> float:
        """The seconds that a server takes to answer."""
        return self.delays.get(holder, 0.0)

    def response(self, ip: str, request: bytes, holder: str | None) -> bytes | None:
        """What the holder answers now to a request that was sent to an address. None: the connection ends."""
        if holder is None or not request.startswith(b"GET ") or self._ec2.instances[holder].state != "running":
            return None
        status = self.behaviours.get(holder, healthy)(self._names.get(ip, ""), self._clock())
        if status is None:
            return None
        headers = {**self.headers.get(holder, {}), "X-Release": self._release_of(holder)}
        return _response(status, tuple(headers.items()))


@cache
def _response(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "Content-Length: 2", "Connection: close", "", "ok"]).encode()
