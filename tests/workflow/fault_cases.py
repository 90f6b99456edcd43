"""All cases of the fault matrix: every call of every path through the workflow, with every fault that applies to it.

The calls are recorded from runs without a second fault (`recorded_calls.json`, kept true by a test), so a call that the
workflow begins to make tomorrow is in the matrix tomorrow.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from local.faults import Fault
from tests.workflow.ec2_calls import Call
from tests.workflow.web import Behaviour, sick_as_production, well

RECORDED = Path(__file__).with_name("recorded_calls.json")
ROLLBACK_BEGINS = ("RestoreProduction", "RestoreStaging")
LIVE = ("bittybot", "tao")
OF_A_RELEASE = ("HealthCheckLive", "DeployRelease", "BeforeCutover", "AfterCutover", "AfterRollback")
CHANGES = ("AssociateAddress", "DisassociateAddress")


@dataclass(frozen=True)
class Way:
    """A way through the workflow: where staging stands before, what sends it into the rollback, if anything, and what
    the input asks for beside a server."""

    name: str
    first: Fault | None = None
    new_release: Behaviour = well
    staging_on_a_server: bool = True
    asked: str | None = None
    deploys: bool = False

    @property
    def rolls_back(self) -> bool:
        return self.first is not None or self.new_release is not well


def _refused(action: str, nth: int) -> Fault:
    return Fault(action=action, kind="refused", nth=nth)


def _unheard(state: str) -> Fault:
    return Fault(action=f"function {state}", kind="crashed-after", times=None)


WAYS = (
    Way("cutover"),
    Way("rollback", asked="rollback"),
    Way("emergency", asked="emergency"),
    Way("release", deploys=True),
    Way("sick-release-deployed", new_release=sick_as_production, deploys=True),
    Way("repair", staging_on_a_server=False),
    Way("sick-release", new_release=sick_as_production),
    Way("sick-release-after-repair", new_release=sick_as_production, staging_on_a_server=False),
    Way("staging-not-freed", _refused("DisassociateAddress", 1)),
    Way("production-refused", _refused("AssociateAddress", 1)),
    Way("staging-refused", _refused("AssociateAddress", 2)),
    Way("production-moved-unheard", _unheard("ReassociateProduction")),
    Way("staging-moved-unheard", _unheard("ReassociateStaging")),
)


BOTH_DIRECTIONS = ("cutover", "sick-release")


@dataclass(frozen=True)
class Case:
    """One execution: a way, who is live before, and the fault at one call.

    In a fault, `live`, `idle`, `stranger` stand for instance ids and `production`, `staging` for allocation ids.
    """

    way: Way
    live: str
    call: Call
    fault: Fault

    def __str__(self) -> str:
        fault = self.fault
        place = ".".join(part.replace(" ", "-") for part in (self.call.state, self.call.action) if part)
        if self.call.action.startswith("function "):
            place = f"function-{self.call.state}"
        what: list[str] = [fault.kind]
        what += [part for part in (fault.allocation_id, fault.instance_id) if part]
        what += ["once"] if fault.attempts else []
        what += ["for-ever"] if fault.times is None else [f"{fault.times}-times"] if fault.times > 1 else []
        return f"{self.way.name}.{self.live}-live.{place}.{self.call.nth}.{'-'.join(what)}"


def recorded() -> dict[str, list[Call]]:
    """The calls of each way, by its name."""
    value = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    return {way: [Call(*call) for call in calls] for way, calls in value.items()}


def record(calls: dict[str, list[Call]]) -> None:
    lines = [
        f'"{way}": [\n  ' + ",\n  ".join(json.dumps([call.state, call.action, call.nth]) for call in of_way) + "\n]"
        for way, of_way in calls.items()
    ]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def in_order(calls: list[Call]) -> list[Call]:
    """The branches of Preflight run at once: their calls come in the order of their states."""
    preflight = (
        "CheckServers",
        "HealthCheckStaging",
        "RehearseAssociateProduction",
        "RehearseAssociateStaging",
        "RehearseDisassociate",
    )
    mixed = sorted((call for call in calls if call.state in preflight), key=lambda call: call.state)
    begin = next((index for index, call in enumerate(calls) if call.state in preflight), 0)
    rest = [call for call in calls if call.state not in preflight]
    return [*rest[:begin], *mixed, *rest[begin:]]


def cases() -> Iterator[Case]:
    """In an order that never changes. Outside the main paths, each fault happens in one direction, in turn."""
    calls = recorded()
    for way in WAYS:
        for call in under_test(way, calls.get(way.name, [])):
            for number, fault in enumerate(faults_of(call, way)):
                directions = LIVE if way.name in BOTH_DIRECTIONS else LIVE[number % 2 :][:1]
                for live in directions:
                    yield Case(way, live, call, fault)


def under_test(way: Way, calls: list[Call]) -> list[Call]:
    """The calls that only this path has. A rollback: from its first call on. A repair: up to its last call, because a
    cutover follows. A release: those of the states that only it has. A cutover: all calls."""
    if way.deploys:
        return [call for call in calls if call.state in OF_A_RELEASE]
    if way.rolls_back:
        return calls[next(index for index, call in enumerate(calls) if call.state in ROLLBACK_BEGINS) :]
    if not way.staging_on_a_server:
        return calls[: max(index for index, call in enumerate(calls) if call.state == "RepairStaging") + 1]
    return calls


def faults_of(call: Call, way: Way) -> list[Fault]:
    """What can happen to a call.

    If an EC2 call or a function has failed before, servers end and others move addresses only just before changes.
    """
    main = way.first is None
    action = call.action
    if action.startswith("function "):
        kinds = ["throttled", "crashed-before", "crashed-after", "timed-out-after"]
        for_ever = ["crashed-before", "crashed-after"]
    elif action.startswith(("dynamodb", "sns", "events", "ssm")):
        kinds, for_ever = ["throttled", "answer-lost"], ["throttled"]
    elif action in CHANGES:
        kinds = ["throttled", "internal-error", "denied", "refused", "reset", "answer-lost", "slow"]
        for_ever = ["throttled", "denied", "answer-lost"]
    else:
        kinds, for_ever = ["throttled", "internal-error", "denied", "reset"], ["throttled", "denied"]
    at = Fault(action=action, kind="throttled", nth=call.nth)
    faults = [replace(at, kind=kind) for kind in kinds]  # type: ignore[arg-type]
    faults += [replace(at, kind=kind, times=None) for kind in for_ever]  # type: ignore[arg-type]
    if action in CHANGES:
        faults.append(replace(at, kind="answer-lost", attempts=1))
    if action == "DescribeAddresses":
        faults += [replace(at, kind="stale", times=times) for times in (1, 3, None)]
    if action in CHANGES or (action == "DescribeAddresses" and main):
        for instance in ("live", "idle"):
            faults += [replace(at, kind="terminated", instance_id=instance)]
            faults += [replace(at, kind="stopped", instance_id=instance)]
        for address, instance in (
            ("production", "stranger"),
            ("production", "idle"),
            ("production", "live"),
            ("staging", "stranger"),
            ("staging", "live"),
            ("staging", "idle"),
        ):
            faults.append(replace(at, kind="moved", allocation_id=address, instance_id=instance))
    return faults
