"""`make demo`: a cutover, a refusal and a rollback, on this machine, while a client sends requests to production.

It also draws every request and state as `.local/demo.html`. Its exit status is 0 only if all three end as expected.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from local.aws import Execution, LocalAws
from local.console import INTERRUPTED, end_on_signals
from local.headline import Headline, headline
from local.load import THREADS_TAKE_TURNS_SECONDS, Answer, Load
from local.page import Run, page
from local.panel import Panel, bands, marks
from local.run_folder import LOCAL
from local.server import Behaviour
from local.summary import Summary, summarized
from local.terminal import Terminal

PAGE = LOCAL / "demo.html"
SECONDS_APART = 0.1
SECONDS_BEFORE = SECONDS_AFTER = 0.5  # of load, around an execution


@dataclass(frozen=True)
class Scene:
    """One release, which the workflow deploys to the idle server, and the expected result."""

    title: str
    release: str
    behaviour: Behaviour
    outcome: str
    moves: bool
    answers_all: bool


SCENES = (
    Scene("A good release", "2", "good", "CUT_OVER", moves=True, answers_all=True),
    Scene("An unhealthy release", "3", "unhealthy", "StagingUnhealthy", moves=False, answers_all=True),
    Scene(
        "A release that passes as staging and fails as production",
        "4",
        "fails-as-production",
        "RolledBack",
        moves=False,
        answers_all=False,
    ),
)


def main() -> None:
    end_on_signals()
    sys.setswitchinterval(THREADS_TAKE_TURNS_SECONDS)
    out = Terminal(sys.stdout)
    try:
        out.say("", "Starting AWS on this machine: EC2, two servers, and the stack, deployed by the CDK ...")
        with LocalAws() as aws:
            out.say("", f"It is up, after {sum(aws.seconds.values()):.0f} s. A dry run starts the functions ...")
            aws.execute({"dryRun": True})
            plays = [play(out, aws, number, scene) for number, scene in enumerate(SCENES, start=1)]
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (RuntimeError, OSError) as error:
        sys.exit(f"The demo failed. {error}")
    out.say()
    for scene, (problems, run) in zip(SCENES, plays, strict=True):
        if problems or not run:
            out.say("  failed   ", f"{scene.title}: {'; '.join(problems)}", "red")
        else:
            out.say("  passed   ", scene.title)
            out.say("           ", f"{run.headline.text} ({run.outcome})", colour(run.headline))
    PAGE.write_text(page("A cutover, a refusal and a rollback", [run for _, run in plays if run]), encoding="utf-8")
    out.say()
    out.link("  Every request and every state as a picture: ", PAGE.as_uri())
    sys.exit(1 if any(problems for problems, _ in plays) else 0)


def play(out: Terminal, aws: LocalAws, number: int, scene: Scene) -> tuple[list[str], Run | None]:
    """Play one scene. Returns what was not as expected, and the run to draw."""
    live, idle = aws.holder("production"), aws.holder("staging")
    if live is None or idle is None:
        return ["the pair was not sound at the beginning"], None
    story = f"{live} is live. Release {scene.release} is deployed to {idle}, the idle server, which is restarted."
    out.say()
    out.say(f"{number}. ", scene.title)
    out.say("   ", story)
    out.say()
    aws.servers[idle].expect(scene.behaviour)

    first = len(aws.moves)
    with Load(aws.production_ip, aws.server_port) as load:
        time.sleep(SECONDS_BEFORE)
        execution = watch(out, aws, load, {"release": scene.release})
        time.sleep(SECONDS_AFTER)
    summary, moves = summarized(load.answers), aws.moves[first:]
    states = bands(aws.history(execution.arn), ahead=time.time() - time.monotonic())
    live_after = aws.holder("production")
    run = Run(
        headline=headline(execution, summary, moved=bool(moves), back=live_after == live),
        story=story,
        outcome=outcome_of(execution),
        cause=execution.cause,
        live_before=live,
        live_after=live_after,
        panel=Panel(scene.title, load.answers, states, marks(moves)),
    )
    summarize(out, run, summary, load.answers)
    return list(problems_of(aws, scene, run, summary, live=live, idle=idle)), run


def watch(out: Terminal, aws: LocalAws, load: Load, request: object) -> Execution:
    """Start an execution, and print its states and who answers until it has ended."""
    began = time.monotonic()
    out.say("   seconds  state                   production is answered by")
    arn = aws.start(request)
    printed = 0
    last: str | None = None
    while True:
        execution = aws.look(arn)
        states = states_entered(aws, arn)
        for state in states[printed:]:
            out.say(f"   {time.monotonic() - began:7.2f}  {state:<22}  ", *answered_by(load))
        if printed == len(states) and last is not None and answered_by(load)[0] != last:
            out.say(f"   {time.monotonic() - began:7.2f}  {'':<22}  ", *answered_by(load))
        printed, last = len(states), answered_by(load)[0]
        if execution.status != "RUNNING":
            return execution
        time.sleep(SECONDS_APART)


def states_entered(aws: LocalAws, arn: str) -> list[str]:
    return [
        event["stateEnteredEventDetails"]["name"] for event in aws.history(arn) if "stateEnteredEventDetails" in event
    ]


def outcome_of(execution: Execution) -> str:
    return str(execution.output["outcome"] if execution.output else execution.error)


def answered_by(load: Load) -> tuple[str, str]:
    """Who answered last, and in which colour to print it."""
    if not load.answers:
        return "nobody yet", ""
    last = load.answers[-1]
    return (last.who or "nobody") + (f" ({last.error})" if last.error else ""), "" if last.good else "red"


def colour(verdict: Headline) -> str:
    return "green" if verdict.good else "red"


def summarize(out: Terminal, run: Run, summary: Summary, answers: Sequence[Answer]) -> None:
    out.say()
    out.say("   ", run.headline.text, colour(run.headline))
    out.say("   outcome       ", run.outcome)
    if run.cause:
        out.say("   cause         ", run.cause)
    out.say("   was live      ", run.live_before or "nobody")
    out.say("   is live       ", run.live_after or "nobody")
    out.say("   requests      ", f"{summary.sent:,} sent, {summary.failed:,} failed")
    if summary.failed:
        out.say("   failed with   ", ", ".join(sorted({answer.error for answer in answers if answer.error})))
    out.say("   the slowest   ", f"took {summary.slowest:.0f} ms")


def problems_of(aws: LocalAws, scene: Scene, run: Run, summary: Summary, *, live: str, idle: str) -> Iterator[str]:
    if run.outcome != scene.outcome:
        yield f"the outcome is {run.outcome}, not {scene.outcome}"
    now = (aws.holder("production"), aws.holder("staging"))
    if now != ((idle, live) if scene.moves else (live, idle)):
        yield f"production is on {now[0]} and staging on {now[1]}"
    if scene.answers_all and summary.failed:
        yield f"{summary.failed} requests failed"
    if not summary.recovered:
        yield "requests still failed at the end"


if __name__ == "__main__":
    main()
