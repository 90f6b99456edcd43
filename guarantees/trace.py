"""What happened to a pair: events, in their order, and what they say about an execution. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.pair import Json
from domain.record import Record

# So long after the end of an execution, a call of it may take effect: 10 s for a cold start, 12 s of the function, and
# 3 s of reserve (docs/decisions/0022). This is a promise of its own: it does not follow what the product waits.
LAST_CALL_SECONDS = 25
MOVE = "ReassociateProduction"
CHECKS = ("HealthCheckStaging", "CheckServers", "RehearseDisassociate", "RehearseAssociateProduction",
          "RehearseAssociateStaging")  # fmt: skip
BEFORE = {"RepairStaging": (), "DisassociateStaging": CHECKS, MOVE: (*CHECKS, "DisassociateStaging"),
          "ReassociateStaging": (MOVE,), "RestoreProduction": (), "RestoreStaging": ()}  # fmt: skip


@dataclass(frozen=True)
class Places:
    """The instances that hold both addresses, or someone else's network interfaces; None: on no server."""

    production: str | None
    staging: str | None

    @staticmethod
    def shown(addresses: Mapping[str, Any]) -> "Places":
        """From the keys `production` and `staging` of a plan or an outcome (`Address.to_json`)."""
        held = [addresses[name] or {} for name in ("production", "staging")]
        return Places(*(each.get("instanceId") or each.get("associationId") for each in held))


@dataclass(frozen=True)
class Event:
    """`at` is in seconds since 1970."""

    at: float


@dataclass(frozen=True)
class Seen(Event):
    """Both addresses as they are. A move that no `Changed` explains counts as ours."""

    places: Places


@dataclass(frozen=True)
class Step(Event):
    """Done by this execution (its ARN). For `Changed`, None is someone else."""

    execution: str | None


@dataclass(frozen=True)
class Entered(Step):
    state: str


@dataclass(frozen=True)
class Passed(Entered):
    """The state has ended well, with this output. The branches of a Parallel state count, even if another one fails."""

    output: Json | None = None


@dataclass(frozen=True)
class Locked(Step):
    """From now on, this execution holds the pair's lock."""


@dataclass(frozen=True)
class Unlocked(Step):
    """The lock of this execution was removed by itself, or by the execution `by`. `record` is the record after that."""

    by: str | None = None
    record: Record | None = None


@dataclass(frozen=True)
class Changed(Step):
    """A call to EC2 by the function of `state` that changes an address, or would: `before` equals `after` if it changed
    nothing; both are None if that is not known. `instance_id` is where the address goes, or a network interface."""

    action: str
    allocation_id: str | None
    instance_id: str | None
    before: Places | None = None
    after: Places | None = None
    state: str = ""


@dataclass(frozen=True)
class CommandBegan(Step):
    step: str
    instance_id: str | None


@dataclass(frozen=True)
class Ended(Step):
    """`outcome` is the outcome, the error, or for an execution without either, the status."""

    status: str
    outcome: str
    output: Json | None = None
    cause: str | None = None

    @property
    def is_interruption(self) -> bool:
        return self.status in ("ABORTED", "TIMED_OUT") or self.outcome.startswith("States.")


@dataclass
class Execution:
    """What the events so far say of an execution. `entered` and `passed` number its states, `passed` since its plan.
    Its outcome counts from the moment of the number `first`; its new server answered as production at `answered_at`."""

    arn: str
    plan: Json = field(default_factory=dict)
    planned_at: float = 0.0
    answered_at: float = 0.0
    entered: dict[str, int] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    changes: list[Changed] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    first: int = 0
    ended_at: float | None = None
    record: Record | None = None

    def server(self, place: str) -> str | None:
        """The instance of a place of the plan."""
        return (self.plan.get(place) or {}).get("instanceId")

    def moves(self, production: str, staging: str) -> dict[str, list[tuple[str, str | None]]]:
        """What each state may put where. The states that move staging also put production back that they displaced."""
        live, idle, beside = (self.server(place) for place in ("live", "idle", "stagingTo"))
        to_idle: list[tuple[str, str | None]] = [(staging, idle), (production, live)]
        if idle is None or self.plan.get("dryRun"):
            return {}
        if self.plan["decision"] != "CUT_OVER":
            return {"RepairStaging": to_idle}
        return {
            "RepairStaging": to_idle, "RestoreStaging": to_idle, "RestoreProduction": [(production, live)],
            "DisassociateStaging": [(staging, None)], MOVE: [(production, idle)],
            "ReassociateStaging": [(staging, beside), (production, idle)],
        }  # fmt: skip

    def missing(self, state: str) -> list[str]:
        """The states that have to pass before a state changes something, and have not. Checks before a deployment or
        an approval do not count."""
        plan, needed = self.plan, [*BEFORE.get(state, ())]
        if CHECKS[0] in needed:
            needed += ["DeployRelease"] if plan["deploys"] else []
            needed += ["WaitForApproval"] if plan["approvalMinutes"] else []
            needed += ["BeforeCutover"] if "beforeCutover" in plan["hooks"] and not plan["tolerant"] else []
        since = max(self.passed.get(each, 0) for each in ("DeployRelease", "WaitForApproval"))
        return [each for each in needed if self.passed.get(each, -1) < (since if each in CHECKS else 0)]
