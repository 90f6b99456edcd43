"""`make demo`: a cutover, a refusal and a rollback, on this machine, while a client sends requests to production.

It also draws every request and state as `.local/demo.html`. Its exit status is 0 only if all three end as expected.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.aws import Execution, LocalAws
from local.client import Answer, Client
from local.console import INTERRUPTED, end_on_signals
from local.deployment import ROOT
from local.page import Run, page
from local.run_folder import LOCAL
from local.server import Behaviour
from local.timeline import Panel, Request, bands

PAGE = LOCAL / "demo.html"
SECONDS_APART = 0.05


@dataclass(frozen=True)
class Scene:
    """One release, deployed to the idle server, and the expected result."""

    title: str
    release: int
    behaviour: Behaviour
    outcome: str
    moves: bool
    answers_all: bool


SCENES = (
    Scene("A good release", 2, "good", "CUT_OVER", moves=True, answers_all=True),
    Scene("An unhealthy release", 3, "unhealthy", "StagingUnhealthy", moves=False, answers_all=True),
    Scene(
        "A release that passes as staging and fails as production",
        4,
        "fails-as-production",
        "RolledBack",
        moves=False,
        answers_all=False,
    ),
)


def main() -> None:
    end_on_signals()
    try:
        say("Starting AWS on this machine: EC2, two servers, and the stack that the CDK deploys ...")
        with LocalAws() as aws:
            say(f"AWS is ready after {sum(aws.seconds.values()):.0f} s.")
            plays = [play(aws, number, scene) for number, scene in enumerate(SCENES, start=1)]
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (RuntimeError, OSError) as error:
        sys.exit(f"The demo failed. {error}")
    say("")
    for scene, (problems, _) in zip(SCENES, plays, strict=True):
        say(f"  {'failed' if problems else 'passed'}   {scene.title}: {'; '.join(problems) or scene.outcome}")
    PAGE.write_text(page("A cutover, a refusal and a rollback", [run for _, run in plays if run]), encoding="utf-8")
    say(f"\n  A picture of every request and every state: {PAGE.relative_to(ROOT)}")
    sys.exit(1 if any(problems for problems, _ in plays) else 0)


def play(aws: LocalAws, number: int, scene: Scene) -> tuple[list[str], Run | None]:
    """Play one scene. Returns the problems, and the run to draw."""
    live, idle = aws.holder("production"), aws.holder("staging")
    if live is None or idle is None:
        return ["the pair was not sound at the beginning"], None
    story = f"{live} is live. Release {scene.release} is deployed to {idle}, the idle server, and {idle} is restarted."
    say(f"\n{number}. {scene.title}\n   {story}\n")
    aws.servers[idle].deploy(release=scene.release, behaviour=scene.behaviour)
    aws.servers[idle].restart()

    with Client(aws.production_ip, aws.server_port) as client:
        execution = watch(aws, client)
    summarize(aws, execution, client.answers, live)
    requests = [Request(each.sent, each.milliseconds, each.who, each.error) for each in client.answers]
    states = bands(history(aws, execution.arn), ahead=time.time() - time.monotonic())
    run = Run(
        story=story,
        outcome=outcome_of(execution),
        cause=execution.cause,
        live_before=live,
        live_after=aws.holder("production"),
        panel=Panel(scene.title, requests, states),
    )
    return list(problems_of(aws, scene, execution, client.answers, live=live, idle=idle)), run


def watch(aws: LocalAws, client: Client) -> Execution:
    """Start an execution. Until it ends, print its states and the server that answers."""
    began = time.monotonic()
    say("   seconds  state                   production is answered by")
    arn = aws.start({})
    printed = 0
    last: str | None = None
    while True:
        execution = aws.look(arn)
        states = states_entered(aws, arn)
        for state in states[printed:]:
            say(f"   {time.monotonic() - began:7.2f}  {state:<22}  {answered_by(client)}")
        if printed == len(states) and last is not None and answered_by(client) != last:
            say(f"   {time.monotonic() - began:7.2f}  {'':<22}  {answered_by(client)}")
        printed, last = len(states), answered_by(client)
        if execution.status != "RUNNING":
            return execution
        time.sleep(SECONDS_APART)


def states_entered(aws: LocalAws, arn: str) -> list[str]:
    return [
        event["stateEnteredEventDetails"]["name"] for event in history(aws, arn) if "stateEnteredEventDetails" in event
    ]


def history(aws: LocalAws, arn: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = aws.client("stepfunctions").get_execution_history(executionArn=arn)["events"]
    return events


def outcome_of(execution: Execution) -> str:
    return str(execution.output["outcome"] if execution.output else execution.error)


def answered_by(client: Client) -> str:
    if not client.answers:
        return "no server yet"
    last = client.answers[-1]
    return (last.who or "no server") + (f" ({last.error})" if last.error else "")


def summarize(aws: LocalAws, execution: Execution, answers: list[Answer], live_before: str) -> None:
    failed = [answer for answer in answers if not answer.good]
    slowest = max(answers, key=lambda answer: answer.milliseconds)
    say("")
    say(f"   outcome       {outcome_of(execution)}")
    if execution.cause:
        say(f"   cause         {execution.cause}")
    say(f"   was live      {live_before}")
    say(f"   is live       {aws.holder('production')}")
    say(f"   requests      {len(answers)} sent, {len(failed)} failed")
    if failed:
        say(f"   failed for    {failed[-1].sent - failed[0].sent:.2f} s, with {failed[0].error}")
    say(f"   the slowest   took {slowest.milliseconds:.0f} ms")


def problems_of(
    aws: LocalAws, scene: Scene, execution: Execution, answers: list[Answer], *, live: str, idle: str
) -> Iterator[str]:
    outcome = outcome_of(execution)
    if outcome != scene.outcome:
        yield f"the outcome is {outcome}, not {scene.outcome}"
    now = (aws.holder("production"), aws.holder("staging"))
    if now != ((idle, live) if scene.moves else (live, idle)):
        yield f"production is on {now[0]} and staging on {now[1]}"
    if not answers:
        yield "no request was sent"
    failed = sum(not answer.good for answer in answers)
    if scene.answers_all and failed:
        yield f"{failed} requests failed"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
