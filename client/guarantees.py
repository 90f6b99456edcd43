"""What the workflow guarantees, and the checker of it. Events say what happened to one pair, in their order. They come
from a simulation, the fault matrix, or the history of a real execution, so an event may lack what its source cannot
see. Then the guarantee is not judged. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from domain.lock import LAST_CALL_SECONDS
from domain.pair import Json, Pair
from domain.record import Record

GUARANTEES: Mapping[str, str] = {
    "production-stays-on-a-server": "No call of ours takes production off a server: it moves in one call.",
    "nothing-before-the-checks": "Nothing changes before the plan, the checks and the approval; only staging is repaired.",
    "each-change-follows-a-look": "The function that changes an address describes both addresses first.",
    "sound-after-failure": "After a failure that does not ask for a person, production is where it was and the pair is sound.",
    "the-outcome-is-true": "An execution changed what its outcome says, and the addresses stand as its outcome says.",
    "changes-follow-the-plan": "Each change is a step of the execution's plan, and is made once. A dry run changes nothing.",
    "one-holder": "Only the execution that holds the pair's lock changes an address or begins a command.",
    "takeovers-wait": "A lock is taken over only from an execution that has ended, and whose last call is over.",
    "one-command-at-a-time": "Commands run one at a time, each once, and none while the lock is free.",
    "hooks-are-undone": "If a cutover does not happen, the hooks before it are undone.",
    "everything-settles": "Without faults, the pair is soon sound and its lock free, unless a person was asked to act.",
    "only-the-pair": "Only the pair's two addresses are changed, and they go only to the pair's two servers.",
    "nobody-is-displaced": "No address of someone else is displaced, and production is not taken from someone else.",
    "only-good-releases-go-live": "Only a server that passes its checks, with the expected release, becomes and stays live.",
    "rollbacks-go-to-a-good-server": "A rollback never goes to a server whose cutover failed, or that was deployed to since.",
    "the-record-is-true": "A released lock leaves a record of this outcome, and of the server to go back to.",
}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The instances (or someone else's interfaces) that hold both addresses; None: an address is on no server."""

    production: str | None
    staging: str | None


@dataclass(frozen=True)
class Event:
    """`at` is in seconds since 1970. `execution` is an ARN; None is someone else, or nobody in particular."""

    at: float
    execution: str | None


@dataclass(frozen=True)
class Entered(Event):
    state: str


@dataclass(frozen=True)
class Passed(Event):
    """A state ended well, with this output. The branches of a Parallel state pass on their own."""

    state: str
    output: Json | None = None


@dataclass(frozen=True)
class Failed(Event):
    """A state failed, after all its tries."""

    state: str
    error: str


@dataclass(frozen=True)
class Locked(Event):
    """From now on, this execution holds the pair's lock."""


@dataclass(frozen=True)
class Unlocked(Event):
    """The execution's lock was removed: by another execution, or if `by` is None, by itself. `record` is the pair's
    record after it."""

    by: str | None = None
    record: Record | None = None


@dataclass(frozen=True)
class Changed(Event):
    """A call took effect that changes an address, or could: it was accepted, even if `before` equals `after`. By someone
    else, it may be anything that changes `Places`, such as TerminateInstances. `instance_id` is where the address goes.
    `state` made the call; `looked` is what its function was last shown before it, None if it did not look. `displaced`
    has the allocation ids of other addresses that were on a server and are on none now. Without `before`, unknown."""

    action: str
    allocation_id: str | None
    instance_id: str | None
    before: Places | None = None
    after: Places | None = None
    displaced: tuple[str, ...] = ()
    request_id: str | None = None
    state: str = ""
    looked: Places | None = None

    @property
    def effective(self) -> bool:
        return self.before is None or self.before != self.after


@dataclass(frozen=True)
class Seen(Event):
    """Both addresses as they are. A move that no `Changed` explains counts as ours."""

    places: Places


@dataclass(frozen=True)
class Serving(Event):
    """From now on, whether this server passes its checks as staging and as production, and its release; None: unknown."""

    instance_id: str
    staging: bool | None
    production: bool | None
    release: str | None = None


@dataclass(frozen=True)
class CommandBegan(Event):
    step: str
    instance_id: str | None


@dataclass(frozen=True)
class CommandEnded(CommandBegan):
    pass


@dataclass(frozen=True)
class Ended(Event):
    """`outcome` is the outcome or the error. An execution that ended without one has its status there."""

    status: str
    outcome: str
    output: Json | None = None
    cause: str | None = None
    places: Places | None = None


@dataclass(frozen=True)
class Broken:
    guarantee: str
    at: float
    text: str
