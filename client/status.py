"""`status`: which server is live, where both addresses of each pair are, and which execution holds its lock."""

from collections.abc import Mapping
from dataclasses import dataclass

from client.account import Account
from client.errors import NotAnExecution, Problem, UnknownExecution
from client.result import in_words
from client.text import JsonObject, plain
from domain.lock import Lock
from domain.pair import Address, AddressName, Pair

GONE, NOT_KNOWN_YET, UNKNOWN = "GONE", "NOT_KNOWN_YET", "UNKNOWN"


@dataclass(frozen=True)
class Standing:
    """The state of a pair now.

    `holder_status` is the status of the execution that holds the lock: GONE if Step Functions does not know that
    execution, NOT_KNOWN_YET if the lock is also so new that this may change, UNKNOWN if the lock does not name an
    execution.
    """

    pair: Pair
    production: Address | None
    staging: Address | None
    lock: Lock | None = None
    holder_status: str | None = None

    @property
    def live(self) -> str | None:
        return self.production.server if self.production else None

    @property
    def idle(self) -> str | None:
        live = self.pair.server_named(self.live)
        return self.pair.other(live).name if live else None

    @property
    def is_sound(self) -> bool:
        """Whether production is on one server and staging on the other."""
        return self.idle is not None and self.staging is not None and self.staging.server == self.idle

    def to_json(self) -> JsonObject:
        lock = self.lock
        held = lock and {"execution": lock.execution, "since": lock.since, "server": lock.server}
        return {
            "pair": self.pair.name,
            "live": self.live,
            "idle": self.idle,
            "sound": self.is_sound,
            "production": self.production and self.production.to_json(),
            "staging": self.staging and self.staging.to_json(),
            "lock": held and {**held, "status": self.holder_status},
        }

    def lines(self) -> list[tuple[str, str]]:
        missing = "{} is not an address of this account and Region"
        return [
            ("pair", self.pair.name),
            ("live", self.live or "no server of the pair"),
            ("production", in_words(self.production) or missing.format(self.pair.production)),
            ("staging", in_words(self.staging) or missing.format(self.pair.staging)),
            ("sound", "yes" if self.is_sound else "no; start the workflow, which fixes this or says what to do"),
            ("lock", self._lock_line()),
        ]

    def _lock_line(self) -> str:
        if self.lock is None:
            return "free"
        held = f"held by {self.lock.execution} since {self.lock.since} to make {self.lock.server} live"
        if self.holder_status == "RUNNING":
            return f"{held}; the execution is running"
        if self.holder_status == NOT_KNOWN_YET:
            return f"{held}; Step Functions does not know the execution yet. Run `status` again in a minute"
        if self.holder_status == UNKNOWN:
            return f"{held}; the holder is not an execution, and `unlock` says what to do"
        ended = "no longer exists" if self.holder_status == GONE else f"ended {self.holder_status}"
        return f"dead: {held}; the execution {ended}. The next execution takes over the lock, or `unlock` deletes it"


def chosen_pairs(account: Account, name: str | None) -> list[Pair]:
    """The pair of this name, or all pairs. Raises Problem if there is no such pair."""
    if not account.pairs:
        raise Problem(f"The stack {account.stack_name} publishes no pairs under {account.output('PairsPath')}.")
    if name is None:
        return list(account.pairs.values())
    if name not in account.pairs:
        raise Problem(f"There is no pair {plain(name)!r}; the stack has {', '.join(account.pairs)}.")
    return [account.pairs[name]]


def chosen_pair(account: Account, name: str | None) -> Pair:
    """The pair of this name, or the only pair. Raises Problem if there is no such pair, or if there are several."""
    pairs = chosen_pairs(account, name)
    if len(pairs) > 1:
        raise Problem(f"Choose a pair with --pair. The stack has {', '.join(pair.name for pair in pairs)}.")
    return pairs[0]


def standings(account: Account, pairs: list[Pair], locks: Mapping[str, Lock]) -> list[Standing]:
    """The state of these pairs. `locks` are the held locks, by pair."""
    addresses = account.addresses(pairs)

    def address(role: AddressName, pair: Pair) -> Address | None:
        shown = addresses.get(getattr(pair, role))
        return pair.address(role, shown) if shown else None

    def standing(pair: Pair) -> Standing:
        lock = locks.get(pair.name)
        status = _status(account, lock) if lock else None
        return Standing(pair, address("production", pair), address("staging", pair), lock, status)

    return [standing(pair) for pair in pairs]


def _status(account: Account, lock: Lock) -> str:
    try:
        return str(account.describe(lock.execution)["status"])
    except UnknownExecution as error:
        return NOT_KNOWN_YET if lock.may_be_new(error.moment) else GONE
    except NotAnExecution:
        return UNKNOWN
