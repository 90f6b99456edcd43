"""`status`: who is live, where both addresses of each pair stand, and who holds its lock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from client.account import Account, Lock, Pair
from client.errors import NotAnExecution, Problem, UnknownExecution
from client.result import place
from client.text import JsonObject, plain

GONE, UNKNOWN = "GONE", "UNKNOWN"


@dataclass(frozen=True)
class Standing:
    """A pair as it stands now. `holder_status` is that of the execution that holds the lock, GONE if it is no more."""

    pair: Pair
    production: JsonObject | None
    staging: JsonObject | None
    lock: Lock | None = None
    holder_status: str | None = None

    @property
    def live(self) -> str | None:
        return self.production["server"] if self.production else None

    @property
    def idle(self) -> str | None:
        return self.pair.other(self.live) if self.live else None

    @property
    def is_sound(self) -> bool:
        """Production on one server, staging on the other."""
        return self.idle is not None and self.staging is not None and self.staging["server"] == self.idle

    def to_json(self) -> JsonObject:
        held = self.lock and {
            "execution": self.lock.execution,
            "since": self.lock.since,
            "server": self.lock.server,
            "status": self.holder_status,
        }
        return {
            "pair": self.pair.name,
            "live": self.live,
            "idle": self.idle,
            "sound": self.is_sound,
            "production": self.production,
            "staging": self.staging,
            "lock": held,
        }

    def lines(self) -> list[tuple[str, str]]:
        missing = "{} is not an address of this account and Region"
        return [
            ("pair", self.pair.name),
            ("live", self.live or "nobody of the pair"),
            ("production", place(self.production) or missing.format(self.pair.production)),
            ("staging", place(self.staging) or missing.format(self.pair.staging)),
            (
                "sound",
                "yes" if self.is_sound else "no; starting the workflow puts it right, or says what a person must",
            ),
            ("lock", self._lock_line()),
        ]

    def _lock_line(self) -> str:
        if self.lock is None:
            return "free"
        holder = f"{self.lock.execution}, since {self.lock.since}, for {self.lock.server}"
        if self.holder_status == "RUNNING":
            return f"held by {holder}, which runs"
        if self.holder_status == UNKNOWN:
            return f"held by {holder}, which is not an execution; see whether `unlock` has advice"
        ended = "which does not exist any more" if self.holder_status == GONE else f"which ended {self.holder_status}"
        return f"dead: held by {holder}, {ended}; the next execution takes it over, or `unlock` deletes it"


def chosen_pairs(account: Account, name: str | None) -> list[Pair]:
    """The pair of this name, or all. Raises Problem where there is none."""
    if name is None:
        if not account.pairs:
            raise Problem(f"The stack {account.stack_name} publishes no pairs under {account.stack.pairs_path}.")
        return list(account.pairs.values())
    if name not in account.pairs:
        raise Problem(f"There is no pair {plain(name)!r}; the stack serves {', '.join(account.pairs)}.")
    return [account.pairs[name]]


def chosen_pair(account: Account, name: str | None) -> Pair:
    """The pair of this name, or the only one. Raises Problem where it is not clear which."""
    pairs = chosen_pairs(account, name)
    if len(pairs) > 1:
        raise Problem(f"Which pair? The stack serves {', '.join(pair.name for pair in pairs)}; choose with --pair.")
    return pairs[0]


def standings(account: Account, pairs: list[Pair], *, with_locks: bool = True) -> list[Standing]:
    addresses = account.addresses(pairs)
    locks = account.locks() if with_locks else {}
    return [_standing(account, pair, addresses, locks.get(pair.name)) for pair in pairs]


def status_of(account: Account, execution: str) -> str:
    """The status of an execution, GONE where Step Functions does not know it, UNKNOWN where it is none."""
    try:
        return str(account.describe(execution)["status"])
    except UnknownExecution:
        return GONE
    except NotAnExecution:
        return UNKNOWN


def _standing(account: Account, pair: Pair, addresses: Mapping[str, Any], lock: Lock | None) -> Standing:
    production, staging = (_address(pair, addresses.get(allocation)) for allocation in (pair.production, pair.staging))
    return Standing(pair, production, staging, lock, status_of(account, lock.execution) if lock else None)


def _address(pair: Pair, found: Mapping[str, Any] | None) -> JsonObject | None:
    """In the shape that every outcome of an execution reports."""
    if found is None:
        return None
    instance = found.get("InstanceId") or None
    return {
        "publicIp": found.get("PublicIp"),
        "allocationId": found["AllocationId"],
        "associationId": found.get("AssociationId") or None,
        "server": pair.server_on(instance),
        "instanceId": instance,
        "privateIp": found.get("PrivateIpAddress") or None,
    }
