"""What happens to a pair in an execution, as the checker of the guarantees observes it. A test leaves an event out,
adds another event, or gives an execution another plan."""

from dataclasses import dataclass, field
from typing import Any

from domain.pair import Pair
from domain.record import Record, RollbackTo
from guarantees.trace import Entered, Event, Locked, Passed, Places, Unlocked
from tests.guarantees_seen_whole import EndedAt, GuaranteesSeenWhole, WatchedChange

A, B, STRANGER = "i-a", "i-b", "i-stranger"
PRODUCTION, STAGING, THIRD = "eipalloc-production", "eipalloc-staging", "eipalloc-third"
ONE, TWO, REPAIR = "execution:one", "execution:two", "execution:repair"
PAIR = Pair.from_json("web", {
    "production": PRODUCTION, "staging": STAGING, "servers": {"a": A, "b": B}, "healthCheck": [], "bakeSeconds": 0,
    "alarms": [],
})  # fmt: skip
SOUND, CUT_OVER = Places(A, B), Places(B, A)
CHECKS = (
    "HealthCheckStaging", "CheckServers", "RehearseDisassociate", "RehearseAssociateProduction",
    "RehearseAssociateStaging",
)  # fmt: skip


def plan(**keys: Any) -> dict[str, Any]:
    """Of a cutover from a to b."""
    a, b = ({"name": name, "instanceId": f"i-{name}", "privateIp": "10.0.0.1"} for name in "ab")
    return {
        "decision": "CUT_OVER", "live": a, "idle": b, "stagingTo": a, "checksStaging": True, "canRollBack": True,
        "dryRun": False, "rollback": False, "deploys": False, "approvalMinutes": None, "hooks": [], "tolerant": False,
        "bakeSeconds": 0, "expectedRelease": None, "record": {"rollbackTo": {"server": None, "rejected": []}},
        "production": {"instanceId": A}, "staging": {"instanceId": B}, **keys,
    }  # fmt: skip


def addresses(places: Places) -> dict[str, Any]:
    held = {"production": places.production, "staging": places.staging}
    return {name: {"instanceId": instance, "associationId": instance} for name, instance in held.items()}


def record(outcome: str, *, back: str | None = None, execution: str = ONE) -> Record:
    cutover = {"execution": execution} if outcome == "CUT_OVER" else None
    last = {"outcome": outcome, "execution": execution}
    rejected = ("b",) if outcome in ("RolledBack", "RollbackFailed") else ()
    return Record(rollback_to=RollbackTo(back, rejected=rejected), last_cutover=cutover, last_outcome=last)


@dataclass
class Trace:
    """The events so far, ten seconds apart, and where the addresses are. `execution` does what follows."""

    places: Places = SOUND
    execution: str = ONE
    at: float = 1_000.0
    events: list[Event] = field(default_factory=list)

    def add(self, kind: type[Event], *values: Any, **keys: Any) -> "Trace":
        self.at += 10
        self.events.append(kind(self.at, *values, **keys))
        return self

    def passes(self, *states: str, output: Any = None) -> "Trace":
        for state in states:
            self.add(Entered, self.execution, state).add(Passed, self.execution, state, output)
        return self

    def planned(self, **keys: Any) -> "Trace":
        """The execution has planned and holds the lock."""
        return self.passes("DescribeAddresses", output=plan(**keys)).add(Locked, self.execution)

    def moves(self, state: str, allocation_id: str, to: str | None, **keys: Any) -> "Trace":
        """An address moves, and displaces what was there, as EC2 does it; and the state passes."""
        before, other = self.places, {"production": "staging", "staging": "production"}
        name = "production" if allocation_id == PRODUCTION else "staging"
        held = {"production": before.production, "staging": before.staging}
        displaced = {other[name]: None} if to and held[other[name]] == to else {}
        self.places = Places(**{**held, name: to, **displaced})
        action = "AssociateAddress" if to else "DisassociateAddress"
        known: dict[str, Any] = {"before": before, "after": self.places, "described": before, "state": state}
        self.add(Entered, self.execution, state)
        self.add(WatchedChange, self.execution, action, allocation_id, to, **{**known, **keys})
        return self.add(Passed, self.execution, state)

    def someone_moves(self, allocation_id: str | None, places: Places) -> "Trace":
        self.add(WatchedChange, None, "AssociateAddress", allocation_id, None, self.places, places)
        self.places = places
        return self

    def swaps(self) -> "Trace":
        self.moves("DisassociateStaging", STAGING, None)
        return self.moves("ReassociateProduction", PRODUCTION, B).moves("ReassociateStaging", STAGING, A)

    def rolls_back(self) -> "Trace":
        self.moves("RestoreProduction", PRODUCTION, A).moves("RestoreStaging", STAGING, B)
        return self.passes("DescribeRestored", "HealthCheckRestored")

    def releases(self, outcome: str, *, back: str | None = None, **keys: Any) -> "Trace":
        """The execution releases its lock, and ends."""
        of = record(outcome, back=back, execution=self.execution)
        return self.add(Unlocked, self.execution, record=of).ends(outcome, **keys)

    def ends(self, outcome: str, status: str | None = None, **keys: Any) -> "Trace":
        succeeded = outcome.isupper() and status is None
        known = {"output": addresses(self.places)} if succeeded else {}
        what = status or ("SUCCEEDED" if succeeded else "FAILED")
        return self.add(EndedAt, self.execution, what, outcome, **{**known, **keys})

    def broken(self) -> list[str]:
        """The names of the guarantees that it breaks, each once."""
        guarantees = GuaranteesSeenWhole(PAIR, sees_faults=False)
        return sorted({each.guarantee for event in self.events for each in guarantees.observe(event)})


def cutover(**keys: Any) -> Trace:
    """Until production may move."""
    return Trace().planned(**keys).passes(*CHECKS)
