"""A seed's run, from its beginning to its end."""

import traceback
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.simulation.coverage import Feature, covered
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START
from tests.simulation.simulation import Simulation
from tests.simulation.synthesized import CUTOVER

CHECK = {
    "protocol": "HTTP", "port": 80, "path": "/health", "matcher": "200", "intervalSeconds": 1, "timeoutSeconds": 1,
    "healthyThresholdCount": 2, "unhealthyThresholdCount": 2, "startPeriodSeconds": 0, "deadlineSeconds": 30,
}  # fmt: skip
PAIRS: dict[str, Any] = {
    "web": {
        "production": "eipalloc-0aaaaaaaaaaaaaaaa", "staging": "eipalloc-0bbbbbbbbbbbbbbbb",
        "servers": {"bittybot": "i-0aaaaaaaaaaaaaaaa", "tao": "i-0bbbbbbbbbbbbbbbb"},
        "healthCheck": [CHECK], "bakeSeconds": 0, "alarms": [],
    },
}  # fmt: skip


@dataclass
class Finished:
    """`failure` is what the seed is reported for: a broken guarantee, or a mistake of the simulation."""

    seed: int
    notes: list[tuple[float, str, str]]
    summary: str
    deviations: int
    calls: int
    features: list[Feature] = field(default_factory=list)
    failure: str | None = None

    @property
    def story(self) -> str:
        return "\n".join(f"{at - START:10.3f} {key}: {text}" for at, key, text in self.notes)

    @property
    def fingerprint(self) -> str:
        """The same if everything has happened in the same order, at the same times."""
        return sha256(f"{self.notes} {self.summary}".encode()).hexdigest()[:16]


def run(schedule: Schedule, *, stop_after: float | None = None) -> Finished:
    failure = None
    with Simulation(schedule, PAIRS) as simulation:
        notes = simulation.scheduler.notes = []
        try:
            execution = simulation.executions.start(CUTOVER, {}, "cutover-1")
            if stop_after is not None:
                simulation.scheduler.at(stop_after, lambda: simulation.executions.stop(execution.arn))
            simulation.run()
        except Exception:  # every seed is reported, also if the simulation has a mistake
            failure = traceback.format_exc()
    ended = ", ".join(f"{each.name} {each.outcome}" for each in simulation.executions.all.values())
    deviations = "; ".join(f"{key} {kind}" for key, kind in schedule.deviations.items())
    summary = f"{ended}. {simulation.world.ec2.places()}. Deviations: {deviations or 'none'}."
    counts = len(schedule.deviations), simulation.scheduler.calls
    return Finished(schedule.seed, notes, summary, *counts, covered(simulation), failure)
