"""What the tests of scenarios ask of runs: `python -m tests.simulation.scenario_runs WHAT ARGUMENT` answers in JSON."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from tests.simulation import process

process.install()

from tests.simulation.author import scenario_of  # noqa: E402
from tests.simulation.executions import Execution  # noqa: E402  # what runs in the simulation, after all that
from tests.simulation.observer import GuaranteeBroken  # noqa: E402
from tests.simulation.play import FAULTS_SECONDS, play  # noqa: E402
from tests.simulation.scenario import PAIR, STAGING, Scenario  # noqa: E402
from tests.simulation.schedule import Schedule  # noqa: E402
from tests.simulation.settling import NotSettled  # noqa: E402
from tests.simulation.simulation import Simulation  # noqa: E402

NOBODY = "arn:aws:states:us-east-1:123456789012:execution:eip-cutover:nobody"
LATE = FAULTS_SECONDS - 1
# Seed 7 stops its cutover amid its changes, if it stops it; nothing else deviates.
STOPPED = Schedule(7, only=frozenset(), forced={"actor stop": ""})


def reached(seeds: str) -> dict[str, Any]:
    """What this many seeds reach. A broken guarantee is not what is asked for here."""
    outcomes, states, actors = dict[str, int](), dict[str, int](), dict[str, int]()

    def watch(simulation: Simulation, scenario: Scenario) -> None:
        runs.append(simulation)
        count(actors, {type(each).__name__ for each in scenario.actors})

    def count(counts: dict[str, int], names: set[str]) -> None:
        for name in names:
            counts[name] = counts.get(name, 0) + 1

    for seed in range(int(seeds)):
        runs: list[Simulation] = []
        with suppress(GuaranteeBroken, NotSettled):
            play(Schedule(seed), watch=watch)
        executions = runs[0].executions.all.values()
        count(outcomes, {each.outcome for each in executions})
        count(states, {state for each in executions for state in each.states})
    return {"outcomes": outcomes, "states": states, "actors": actors}


def bare(seeds: str) -> list[dict[str, str]]:
    """The executions of this many seeds of which nothing deviates."""
    runs = (play(Schedule(seed, only=frozenset()), settles=False) for seed in range(int(seeds)))
    return [{each.name: each.outcome for each in simulation.executions.all.values()} for simulation, _ in runs]


def parts(seeds: str) -> list[dict[str, Any]]:
    """The deviations of this many scenarios, and what is left of them without each actor."""
    return [_parts(seed) for seed in range(int(seeds))]


def _parts(seed: int) -> dict[str, Any]:
    schedule = Schedule(seed)
    scenario_of(schedule)
    every, without = schedule.deviations, dict[str, dict[str, str]]()
    for key in every:
        if key.startswith("actor"):
            others = Schedule(seed, only=frozenset(every) - {key})
            scenario_of(others)
            without[key] = others.deviations
    return {"all": every, "without": without}


def unsettled(how: str) -> dict[str, Any]:
    """What the end of a run says if this is broken on purpose."""
    try:
        play(STOPPED, watch=BREAKS[how])
    except NotSettled as failure:
        return {"failure": str(failure)}
    return {"failure": None}


def _free_staging(simulation: Simulation, _: Scenario) -> None:
    ec2 = simulation.world.ec2

    def free() -> None:
        ec2.answer("DisassociateAddress", {"AssociationId": ec2.addresses[STAGING].association_id})

    simulation.scheduler.at(LATE, free)


def _hold_lock(simulation: Simulation, _: Scenario) -> None:
    lock = {"execution": {"S": NOBODY}, "since": {"S": "2026-09-21T14:00:00Z"}}
    simulation.scheduler.at(LATE, partial(simulation.world.dynamodb.put, PAIR, lock))


def _obstruct_the_next_cutover(simulation: Simulation, scenario: Scenario) -> None:
    def obstruct(execution: Execution) -> None:
        if execution.name == "following":
            simulation.world.ec2.move(simulation.world.ec2.third, simulation.world.ec2.places().staging)

    simulation.executions.on_change.append(obstruct)


BREAKS: dict[str, Callable[[Simulation, Scenario], None]] = {
    "staging": _free_staging, "lock": _hold_lock, "cutover": _obstruct_the_next_cutover, "nothing": lambda *_: None,
}  # fmt: skip
ANSWERS = {"reached": reached, "bare": bare, "parts": parts, "unsettled": unsettled}

if __name__ == "__main__":
    what, argument = sys.argv[1:]
    print(json.dumps(ANSWERS[what](argument)))
