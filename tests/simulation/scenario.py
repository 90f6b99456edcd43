"""What a run is about: what the pair looks like, and who does what when. All of it follows from the seed.

Without deviations it is one cutover of a sound pair. Everything else is a deviation of the schedule with a key of its
own (`pair ...` or `actor ...`), so that it can be left out when a failure is shrunk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

PAIR, BITTYBOT, TAO = "web", "i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"
PRODUCTION, STAGING = "eipalloc-0aaaaaaaaaaaaaaaa", "eipalloc-0bbbbbbbbbbbbbbbb"
NAMES = {BITTYBOT: "bittybot", TAO: "tao"}
HOOK_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:hook"
MOMENTS = ("beforeCutover", "afterCutover", "afterRollback")
BAKE_SECONDS, APPROVAL_MINUTES, COMMAND_SECONDS = 15, 2, 30
NEW_RELEASE, OTHER_RELEASE = "2", "9"

Health = Literal["unhealthy", "silent", "unhealthy as production", "unhealthy after the move", "slow"]
CommandResult = Literal["fails", "hangs", "is slow"]
Place = Literal["nowhere", "stranger", "bittybot", "tao"]


@dataclass(frozen=True)
class Moment:
    """So many seconds after the beginning, or after a call of an execution has taken effect, by the call's number."""

    seconds: float
    execution: str | None = None
    call: int = 0

    def __str__(self) -> str:
        of_call = f" after call {self.call} of {self.execution}" if self.execution else ""
        return f"{self.seconds:.3f} s{of_call}"


@dataclass(frozen=True)
class Start:
    """An execution of a workflow with an input."""

    workflow: Literal["cutover", "repair", "readiness"]
    name: str
    input: Mapping[str, Any]
    when: Moment

    def __str__(self) -> str:
        return f"{self.name} starts with {dict(self.input)}, {self.when}"


@dataclass(frozen=True)
class Stop:
    execution: str
    when: Moment

    def __str__(self) -> str:
        return f"someone stops {self.execution}, {self.when}"


@dataclass(frozen=True)
class StopIn:
    """Someone stops an execution when it enters a state for the first time, or so many seconds later."""

    execution: str
    state: str
    seconds: float

    def __str__(self) -> str:
        return f"someone stops {self.execution}, {self.seconds:.3f} s after it has entered {self.state}"


@dataclass(frozen=True)
class Redrive:
    """So many seconds after it has ended without success, for the first time."""

    execution: str
    seconds: float

    def __str__(self) -> str:
        return f"someone redrives {self.execution}, {self.seconds:.3f} s after its end"


@dataclass(frozen=True)
class Next:
    """An execution of the cutover that begins so many seconds after the end of another one. If `stale`, EC2 shows it
    the past at first."""

    name: str
    input: Mapping[str, Any]
    after: str
    seconds: float
    stale: bool

    def __str__(self) -> str:
        stale = ", and EC2 shows it the past at first" if self.stale else ""
        return f"{self.name} starts with {dict(self.input)}, {self.seconds:.3f} s after the end of {self.after}{stale}"


@dataclass(frozen=True)
class Answer:
    """To each release that waits for approval, after so many seconds."""

    approves: bool
    seconds: float

    def __str__(self) -> str:
        return f"a person {'approves' if self.approves else 'rejects'} each release, {self.seconds:.3f} s later"


@dataclass(frozen=True)
class Move:
    """Someone else moves an address, `third` if it is not one of the pair."""

    address: Literal["production", "staging", "third"]
    to: Place
    when: Moment

    def __str__(self) -> str:
        return f"a stranger moves {self.address}: {self.to}, {self.when}"


@dataclass(frozen=True)
class Race:
    """Someone else moves an address when an execution enters a state, or just after its function has described the
    addresses, for the first time."""

    execution: str
    state: str
    after: Literal["entered", "described"]
    address: Literal["production", "staging"]
    to: Place

    def __str__(self) -> str:
        return f"a stranger moves {self.address}: {self.to}, after {self.execution} has {self.after} at {self.state}"


@dataclass(frozen=True)
class Interrupt:
    """Someone stops or terminates an instance."""

    instance_id: str
    how: Literal["stop", "terminate"]
    when: Moment

    def __str__(self) -> str:
        return f"a stranger does to {NAMES[self.instance_id]}: {self.how}, {self.when}"


@dataclass(frozen=True)
class Outage:
    """For some seconds, every call of an action has this kind of fate."""

    action: str
    how: str
    when: Moment
    lasts: float

    def __str__(self) -> str:
        return f"every {self.action}: {self.how}, for {self.lasts} s, {self.when}"


@dataclass(frozen=True)
class Lost:
    """Step Functions loses the first try of a state, which starts late; then EC2 refuses the next change, if any, so
    that its execution rolls back meanwhile."""

    execution: str
    state: str
    refused: str | None

    def __str__(self) -> str:
        refused = f", and EC2 refuses {self.refused}" if self.refused else ""
        return f"the first {self.state} of {self.execution} is lost, and starts late{refused}"


Actor = Lost | Next | Outage | Start | Stop | StopIn | Redrive | Answer | Move | Race | Interrupt


@dataclass(frozen=True)
class Oddities:
    """How the pair differs from a sound one at the beginning. `places` are of its addresses, and of `third`. With
    `second_private_ips`, each server has two private addresses, and its Elastic IP is on the second one."""

    places: Mapping[str, Place] = field(default_factory=dict)
    instances: Mapping[str, Literal["stop", "terminate"]] = field(default_factory=dict)
    alarm: bool = False
    rollback_to: str | None = None
    rejected: tuple[str, ...] = ()
    has_record: bool = False
    dead_lock: bool = False
    moving_seconds: float = 0.0
    second_private_ips: bool = False


@dataclass(frozen=True)
class Scenario:
    """`health` is of servers that are not healthy, by instance, and of the new release; `commands` are the steps that
    do not succeed at once. `delivered_after`: as in `Simulation`."""

    pair: Mapping[str, Any]
    oddities: Oddities
    health: Mapping[str, Health]
    commands: Mapping[str, CommandResult]
    actors: Sequence[Actor]
    delivered_after: tuple[float, ...] | None
    texts: Sequence[str]

    @property
    def pairs(self) -> dict[str, Any]:
        return {PAIR: self.pair}

    @cached_property
    def live(self) -> str:
        """The instance of the server that production is on at the beginning, unless it is odd."""
        instance: str = next(iter(self.pair["servers"].values()))
        return instance
