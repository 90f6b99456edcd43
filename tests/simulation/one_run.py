"""Runs one execution of the pair `web` with the input {}, by seed, and prints what happens."""

import argparse
from typing import Any

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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1, help="so many seeds, from this one on, without their stories")
    forced: dict[str, Any] = {"nargs": 2, "action": "append", "default": [], "metavar": ("CALL", "KIND")}
    parser.add_argument("--force", help="this kind of fate for this call", **forced)
    parser.add_argument("--stop", type=float, metavar="SECONDS", help="stops the execution after so many seconds")
    options = parser.parse_args()
    for seed in range(options.seed, options.seed + options.count):
        schedule = Schedule(seed, forced=dict(options.force))
        run(schedule, story=options.count == 1, stop_after=options.stop)


def run(schedule: Schedule, *, story: bool, stop_after: float | None) -> None:
    with Simulation(schedule, PAIRS) as simulation:
        simulation.scheduler.notes = [] if story else None
        execution = simulation.executions.start(CUTOVER, {}, "cutover-1")
        if stop_after is not None:
            simulation.scheduler.at(stop_after, lambda: simulation.executions.stop(execution.arn))
        simulation.run()
    for at, key, text in simulation.scheduler.notes or []:
        print(f"{at - START:10.3f} {key}: {text}")
    places = simulation.world.ec2.places()
    ended = ", ".join(f"{each.name} {each.outcome}" for each in simulation.executions.all.values())
    deviations = "; ".join(f"{key} {kind}" for key, kind in schedule.deviations.items())
    print(f"seed {schedule.seed}: {ended}. {places}. Deviations: {deviations or 'none'}.")
