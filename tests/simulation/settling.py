"""The end of a run."""

from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation


def settle(simulation: Simulation, scenario: Scenario) -> None:
    simulation.schedule.faults = False
