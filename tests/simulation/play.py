"""Plays the scenario of a seed to its end: first with faults, then without."""

from collections.abc import Callable

from tests.simulation.actors import Actors
from tests.simulation.author import scenario_of
from tests.simulation.scenario import Scenario
from tests.simulation.schedule import Schedule
from tests.simulation.settling import settle
from tests.simulation.simulation import Simulation

# While faults last, executions may wait for each other for 600 s, events come up to 600 s late, and retries take some
# minutes. What still runs then runs on without faults.
FAULTS_SECONDS = 1800.0


def play(
    schedule: Schedule, *, watch: Callable[[Simulation, Scenario], object] = lambda *_: None, settles: bool = True
) -> tuple[Simulation, Scenario]:
    """The run when it is over. `watch` gets it before anything happens. Raises NotSettled, and what `watch` has let
    it raise."""
    scenario = scenario_of(schedule)
    with Simulation(schedule, scenario.pairs) as simulation:
        watch(simulation, scenario)
        Actors(simulation, scenario).begin()
        simulation.run(FAULTS_SECONDS)
        if settles:
            settle(simulation, scenario)
    return simulation, scenario
