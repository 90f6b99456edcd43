"""A seed's run, from its beginning to its end."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from tests.simulation.coverage import Feature, covered
from tests.simulation.observer import GuaranteeBroken
from tests.simulation.play import play
from tests.simulation.scenario import Scenario
from tests.simulation.schedule import Schedule
from tests.simulation.settling import NotSettled
from tests.simulation.simulation import Simulation

MISTAKE = "mistake-of-the-simulation"


@dataclass(frozen=True)
class Failure:
    """What a seed is reported for: a guarantee that broke, or a mistake of the simulation."""

    guarantee: str
    text: str

    def __str__(self) -> str:
        return f"{self.guarantee}: {self.text}"


@dataclass(frozen=True)
class Finished:
    """A run that is over. `notes` are what happened: when, to whom, what."""

    seed: int
    notes: list[tuple[float, str, str]]
    summary: str
    deviations: dict[str, str]
    calls: int
    features: list[Feature]
    failure: Failure | None

    @property
    def fingerprint(self) -> str:
        """The same if everything has happened in the same order, at the same times."""
        return sha256(f"{self.notes} {self.summary}".encode()).hexdigest()[:16]


def run(
    schedule: Schedule,
    play: Callable[..., object] = play,
    *,
    watch: Callable[[Simulation, Scenario], object] = lambda *_: None,
) -> Finished:
    """Reports what breaks, and raises nothing. `watch` gets the run before anything happens."""
    runs: list[Simulation] = []
    notes: list[tuple[float, str, str]] = []

    def begin(simulation: Simulation, scenario: Scenario) -> None:
        simulation.scheduler.notes = notes
        runs.append(simulation)
        watch(simulation, scenario)

    failure = None
    try:
        play(schedule, watch=begin)
    except GuaranteeBroken as broken:
        failure = Failure(broken.broken.guarantee, broken.broken.text)
    except NotSettled as not_settled:
        failure = Failure(not_settled.guarantee, str(not_settled))
    except Exception:  # every seed is reported, also if the simulation has a mistake
        failure = Failure(MISTAKE, traceback.format_exc())
    if not runs:
        return Finished(schedule.seed, notes, "not begun", dict(schedule.deviations), 0, [], failure)
    (simulation,) = runs
    ended = ", ".join(f"{each.name} {each.outcome}" for each in simulation.executions.all.values())
    summary = f"{ended}. {simulation.world.ec2.places()}."
    deviations, calls = dict(schedule.deviations), simulation.scheduler.calls
    return Finished(schedule.seed, notes, summary, deviations, calls, covered(simulation), failure)
