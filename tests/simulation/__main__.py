"""Runs one execution: `python -m tests.simulation --seed 1`."""

import argparse
import time

began = time.perf_counter()

from tests.simulation import process  # noqa: E402

real = time.process_time
process.install()

from tests.simulation.schedule import Schedule  # noqa: E402
from tests.simulation.simulation import Simulation  # noqa: E402
from tests.simulation.scheduler import START
from tests.simulation.synthesized import CUTOVER  # noqa: E402

PAIRS = {
    "web": {
        "production": "eipalloc-0aaaaaaaaaaaaaaaa", "staging": "eipalloc-0bbbbbbbbbbbbbbbb",
        "servers": {"bittybot": "i-0aaaaaaaaaaaaaaaa", "tao": "i-0bbbbbbbbbbbbbbbb"},
        "healthCheck": [{
            "protocol": "HTTP", "port": 80, "path": "/health", "matcher": "200", "intervalSeconds": 1,
            "timeoutSeconds": 1, "healthyThresholdCount": 2, "unhealthyThresholdCount": 2, "startPeriodSeconds": 0,
            "deadlineSeconds": 30,
        }],
        "bakeSeconds": 0, "alarms": [],
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--story", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    options = parser.parse_args()
    profile = None
    for seed in range(options.seed, options.seed + options.count):
        if options.profile and seed == options.seed + 3:
            import cProfile
            profile = cProfile.Profile(time.process_time)
            profile.enable()
        started = real()
        run(seed, story=options.story)
        took = real() - started
        import sys
        print(f"{took * 1000:.1f} ms", file=sys.stderr)
    if profile:
        import pstats
        profile.disable()
        pstats.Stats(profile).sort_stats(options.sort).print_stats(45).print_callers("isinstance|hasattr|getattr|_strip_annot|'join'")


def run(seed: int, *, story: bool) -> None:
    schedule = Schedule(seed)
    with Simulation(schedule, PAIRS) as simulation:
        if story:
            simulation.scheduler.notes = []
        simulation.executions.start(CUTOVER, {}, "cutover-1")
        simulation.run()
        places = simulation.world.ec2.places()
        for each in simulation.executions.all.values():
            print(seed, each.name, each.outcome, f"{(each.ended or 0) - each.started:.3f}", places, simulation.scheduler.calls, each.cause and each.cause[:300])
        print("  ", dict(schedule.deviations))
    for at, key, text in simulation.scheduler.notes or []:
        print(f"{at - START:9.3f} {key}: {text}")


main()
