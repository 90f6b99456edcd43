"""What a run has covered of the workflows: their states, the ways of their rules and catchers, and beside them what
makes a run different from others: how executions ended, and which fate met which call."""

import re

from tests.simulation.simulation import Simulation
from tests.simulation.synthesized import synthesized

STATES, EDGES, ENDS, FATES = KINDS = ("states", "edges", "ends", "fates")
Feature = tuple[str, str]
NUMBERS = re.compile(r"[.-]\d+")


def all_there_are() -> dict[str, int]:
    """How many states and edges the three definitions have."""
    machines = synthesized().machines.values()
    states = [state for machine in machines for state in machine.every_state()]
    return {STATES: len(states), EDGES: sum(way.edge is not None for state in states for way in state.ways())}


def covered(simulation: Simulation) -> list[Feature]:
    """In the order of their names."""
    features: set[Feature] = set()
    for execution in simulation.executions.all.values():
        features.update((STATES, f"{execution.machine} {state}") for state in execution.states)
        features.add((ENDS, f"{execution.machine} {execution.outcome}"))
    features.update((EDGES, f"{machine} {edge}") for machine, edge in simulation.executions.edges())
    features.update((FATES, f"{NUMBERS.sub('', key)} {kind}") for key, kind in simulation.schedule.deviations.items())
    return sorted(features)
