"""What happens during a cutover: the rows of every table."""

from __future__ import annotations

from dataclasses import dataclass

from local.server import Behaviour


@dataclass(frozen=True)
class Case:
    """A release, and what EC2 and the person who started the cutover do meanwhile. `name` is the picture's."""

    name: str
    title: str
    behaviour: Behaviour = "good"
    starts: bool = True
    stopped: bool = False
    call_seconds: float = 0
    propagation_seconds: float = 0


GOOD = Case("good", "a good release")
ANSWERS_500 = Case("answers-500", "a release that answers 500", behaviour="broken")
CASES = (
    GOOD,
    Case("does-not-start", "a release that does not start", starts=False),
    ANSWERS_500,
    Case("fails-as-production", "one that passes staging and fails as production", behaviour="fails-as-production"),
    Case("stopped-half-way", "stopped half way, when production has moved", stopped=True),
    Case("calls-take-0.5-s", "every EC2 call takes 0.5 s", call_seconds=0.5),
    Case("calls-take-2-s", "every EC2 call takes 2 s", call_seconds=2),
    Case("moves-in-5-s", "an address takes 5 s to move", propagation_seconds=5),
)
