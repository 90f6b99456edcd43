"""Runs every case with every method under the same load, one after the other. Reports what users saw and the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.cases import CASES, GOOD, Case
from benchmarks.methods import METHODS, WORKFLOW, Ended, Method, WhenProductionMoves
from benchmarks.report import PICTURES, Section, table
from benchmarks.shares import production_share, staging_unassociated
from local.aws import LocalAws, Move
from local.fault_layer import Call
from local.load import REQUESTS_A_SECOND, Answer, Load
from local.summary import Summary, duration, summarized

SECONDS_WITHOUT_A_CHANGE = 5.0
SECONDS_BEFORE = 0.5
SECONDS_AFTER = 1.5
RELEASE = 2


@dataclass(frozen=True)
class Run:
    """One case with one method. `live` and `staging` are the servers that held the addresses at the end.

    `wall_clock_ahead` is the seconds by which the clock of an execution's history is ahead of all other clocks.
    """

    case: Case
    method: Method
    ended: Ended
    answers: Sequence[Answer]
    calls: Sequence[Call]
    moves: Sequence[Move]
    live: str | None
    staging: str | None
    wall_clock_ahead: float

    @property
    def summary(self) -> Summary:
        return summarized(self.answers)

    @property
    def seconds(self) -> float:
        return self.ended.ended - self.ended.began


Runs = Mapping[tuple[Case, Method], Run]


def without_a_change(aws: LocalAws) -> tuple[Summary, Summary]:
    """The same load while nothing runs, and during a dry run of the workflow, with warm functions.

    This load shows the machine's share in every number.
    """
    aws.reset()
    aws.execute({"dryRun": True})
    with Load(aws.production_ip, aws.server_port) as quiet:
        time.sleep(SECONDS_WITHOUT_A_CHANGE)
    with Load(aws.production_ip, aws.server_port) as dry_run:
        time.sleep(SECONDS_BEFORE)
        aws.execute({"dryRun": True})
    return summarized(quiet.answers), summarized(dry_run.answers)


def run_all(aws: LocalAws, say: Callable[[str], None]) -> Runs:
    """All cases with all methods, each from the same start. The functions must be warm."""
    moment = WhenProductionMoves(aws)
    runs = {}
    for case in CASES:
        for method in METHODS:
            run = runs[case, method] = run_one(aws, case, method, moment)
            summary = run.summary
            say(f"   {case.title}, {method.name}: {run.ended.outcome}; {summary.failed} of {summary.sent} failed")
    aws.reset()
    return runs


def run_one(aws: LocalAws, case: Case, method: Method, moment: WhenProductionMoves) -> Run:
    aws.reset()
    idle = aws.servers[aws.holder("staging") or ""]
    idle.deploy(release=RELEASE, behaviour=case.behaviour)
    idle.restart()
    if not case.starts:
        idle.stop()
    aws.ec2.latency_seconds = case.call_seconds
    aws.propagation_seconds = case.propagation_seconds
    first, first_move = len(aws.ec2.calls), len(aws.moves)
    with Load(aws.production_ip, aws.server_port) as load:
        time.sleep(SECONDS_BEFORE)
        ended = method.run(aws, moment, case.stopped)
        time.sleep(SECONDS_AFTER + case.propagation_seconds)
    calls = aws.ec2.calls[first:]
    return Run(
        case,
        method,
        ended,
        load.answers,
        calls,
        aws.moves[first_move:],
        live=aws.holder("production"),
        staging=aws.holder("staging"),
        wall_clock_ahead=time.time() - time.monotonic(),
    )


def sections(aws: LocalAws, runs: Runs, unchanged: tuple[Summary, Summary]) -> list[Section]:
    """What users saw; what the workflow measured itself; the result; how much of the time was EC2's own."""
    return [_users(runs, unchanged), _gaps(aws, runs), _ends(runs), _shares(aws, runs)]


def _users(runs: Runs, unchanged: tuple[Summary, Summary]) -> Section:
    questions: dict[str, Callable[[Run], str]] = {
        "Requests failed": lambda run: (
            f"{run.summary.failed:,} of {run.summary.sent:,}{'' if run.summary.recovered else ', and on'}"
        ),
        "Time until requests succeeded again": lambda run: run.summary.recovery,
        "Longest time without a good answer": lambda run: duration(run.summary.longest_without),
        "Slowest request": lambda run: duration(run.summary.slowest / 1000),
    }
    tables = [f"### {question}\n\n{_by_case(runs, answer)}" for question, answer in questions.items()]
    quiet, dry_run = unchanged
    before = max(each.milliseconds for run in runs.values() for each in run.answers if each.sent < run.ended.began)
    intro = (
        f"{REQUESTS_A_SECOND} requests a second on the production address, each on a new connection, from "
        f"{SECONDS_BEFORE:g} s before a cutover to {SECONDS_AFTER:g} s after it, plus the time that an address takes "
        f"to move. The share of this machine in all numbers: while nothing else runs, {quiet.failed} of "
        f"{quiet.sent:,} requests fail and the slowest takes {duration(quiet.slowest / 1000)}; during a dry run of "
        f"the workflow, which changes nothing, {dry_run.failed} of {dry_run.sent:,} and "
        f"{duration(dry_run.slowest / 1000)}; before the cutovers began, the slowest took {duration(before / 1000)}. "
        "Pictures: " + ", ".join(f"[{case.title}]({PICTURES.name}/{case.name}.png)" for case in CASES) + "."
    )
    return Section("Under live traffic: what users see", "\n\n".join([intro, *tables]))


def _gaps(aws: LocalAws, runs: Runs) -> Section:
    rows = {}
    for case in CASES:
        run = runs[case, WORKFLOW]
        gap = (aws.look(run.ended.executions[0]).output or {}).get("gap")
        if gap:
            summary = run.summary
            rows[case.title] = [
                f"{gap['failed']} of {gap['requests']} in {gap['seconds']:.1f} s",
                duration(gap["longestMs"] / 1000),
                f"{summary.failed:,} of {summary.sent:,}",
                duration(summary.longest_without),
            ]
    head = ["", "`gap`: failed", "`gap`: longest without a good answer", "the load: failed", "the load: longest"]
    intro = (
        "What the outcome of every cutover reports, beside what the load measured. The workflow sends 20 requests a "
        f"second, the load {REQUESTS_A_SECOND}: without a gap, the longest time without a good answer is their "
        f"interval, 50 ms and {1000 / REQUESTS_A_SECOND:.0f} ms."
    )
    return Section("The gap, as the workflow measures it", f"{intro}\n\n{table(head, rows)}")


def _ends(runs: Runs) -> Section:
    questions: dict[str, Callable[[Run], str]] = {
        "Who is live at the end, and where staging is": lambda run: (
            f"{run.live or 'nobody'}, {run.staging or 'nobody'}"
        ),
        "The outcome": lambda run: run.ended.outcome,
        "How long it took, including its own start": lambda run: duration(run.seconds),
    }
    tables = [f"### {question}\n\n{_by_case(runs, answer)}" for question, answer in questions.items()]
    return Section("The result", "\n\n".join(tables))


def _shares(aws: LocalAws, runs: Runs) -> Section:
    production, staging = (aws.addresses[role].allocation_id for role in ("production", "staging"))
    cases = [case for case in CASES if case == GOOD or case.call_seconds]

    def unassociated(run: Run) -> str:
        time_off = staging_unassociated(run.calls, staging)
        return f"{time_off.share:.2f} ({duration(time_off.seconds)}, {time_off.calls} calls)"

    questions: dict[str, Callable[[Run], str]] = {
        "Production's share": lambda run: f"{production_share(run.calls, production):.2f}",
        "Staging on no server": unassociated,
        "Calls to EC2": lambda run: f"{len(run.calls)}",
    }
    tables = [f"### {question}\n\n{_by_case(runs, answer, cases)}" for question, answer in questions.items()]
    return Section("How much of it is EC2's own time", "\n\n".join(tables))


def _by_case(runs: Runs, answer: Callable[[Run], str], cases: Sequence[Case] = CASES) -> str:
    head = ["", *(method.name for method in METHODS)]
    return table(head, {case.title: [answer(runs[case, method]) for method in METHODS] for case in cases})
