"""A run as a story for a person: who did what when, what became of a call, what has changed, and what broke."""

from collections.abc import Iterator

from guarantees.checker import GUARANTEES
from guarantees.trace import Places
from tests.simulation.fates import KINDS
from tests.simulation.one_run import Finished
from tests.simulation.scenario import NAMES, PAIR, Scenario
from tests.simulation.scheduler import START
from tests.simulation.simulation import Simulation

USUAL = "answered"
NOBODY = "nobody"


class Story:
    """`watch` comes before the run, and `text` after it. Calls that are answered as usual, and states that are passed,
    are shown only if `verbose`."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._scenario: list[str] = []
        self._changes: list[tuple[int, float, str]] = []  # after how many notes, when, what
        self._shown: tuple[str, ...] = ()

    def watch(self, simulation: Simulation, scenario: Scenario) -> None:
        self._scenario = list(scenario.texts)
        scheduler, judges = simulation.scheduler, simulation.scheduler.after_step

        def step() -> None:
            self._look(simulation)
            judges()

        scheduler.after_step = step

    def _look(self, simulation: Simulation) -> None:
        """At the addresses and at the lock, after every step."""
        item = simulation.world.dynamodb.item(PAIR) or {}
        holder = item.get("execution", {}).get("S", NOBODY).rpartition(":")[2]
        shown = (_places(simulation.world.ec2.places()), f"{holder} holds the lock")
        for before, now in zip(self._shown or ("", ""), shown, strict=True):
            if before != now:
                number = len(simulation.scheduler.notes or ())
                self._changes.append((number, simulation.scheduler.now, now))
        self._shown = shown

    def text(self, finished: Finished) -> str:
        return "\n".join((*self._begins(), *self._happens(finished), *self._ends(finished)))

    def _begins(self) -> Iterator[str]:
        if self._scenario:
            yield "What is unusual from the beginning, and who else acts:"
        yield from (f"  {text}" for text in self._scenario)

    def _happens(self, finished: Finished) -> Iterator[str]:
        changes = list(self._changes)
        for number, (at, key, text) in enumerate(finished.notes):
            while changes and changes[0][0] <= number:
                _, when, what = changes.pop(0)
                yield _line(when, "", f"=> {what}")
            who, _, call = key.partition("/")
            if self._verbose or _unusual(call, text):
                yield _line(at, who, _call(call, text) if call else text)
        yield from (_line(when, "", f"=> {what}") for _, when, what in changes)

    def _ends(self, finished: Finished) -> Iterator[str]:
        if finished.failure:
            promise = GUARANTEES.get(finished.failure.guarantee, "")
            yield f"BROKEN: {finished.failure.guarantee}. {promise}".rstrip()


def _unusual(call: str, text: str) -> bool:
    if call:
        return text != USUAL
    return not text.startswith("passed ") and not text.endswith("?")


def _call(call: str, text: str) -> str:
    """With why it may happen, as AWS documents it."""
    state, _, what = call.partition("/")
    why = f" ({KINDS[text].why})" if text in KINDS else ""
    return f"{state}, {what}: {text}{why}" if what else f"{state}: {text}{why}"


def _places(places: Places) -> str:
    on = [NAMES.get(each, each) if each else "no server" for each in (places.production, places.staging)]
    return f"production is on {on[0]}, staging is on {on[1]}"


def _line(at: float, who: str, text: str) -> str:
    return f"{at - START:10.3f}  {who:<20} {text}"
