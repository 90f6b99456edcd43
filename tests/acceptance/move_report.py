"""The report on measured moves: `report.md`, the raw data, and pictures, in a folder to commit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from pathlib import Path
from statistics import median

from local.load import GIVEN_UP_SECONDS, REQUESTS_A_SECOND, Answer
from tests.acceptance.move_charge import in_words
from tests.acceptance.move_data import write_moves, write_requests
from tests.acceptance.move_picture import LEVELS, draw
from tests.acceptance.move_waits import MOVES_IN, PERCENTILES, Measured, Wait, percentile

UNKNOWN = 'unknown; `FROM="an office in Vienna"` names it'
ROOT = Path(__file__).resolve().parent.parent.parent
Chosen = Callable[[Measured], Wait]
# What a report shows of each move: its name, and its pictures' title.
WAITS: dict[str, Chosen] = {
    "time without a good answer": attrgetter("without_good_answer"),
    "time until the new server answers": attrgetter("until_new_server"),
}


@dataclass(frozen=True)
class Circumstances:
    """What the numbers depend on. `endpoint` is the one that answered if it is not AWS's own; `wanted` moves."""

    region: str
    endpoint: str | None
    day: date
    ran_on: str | None
    command: str
    wanted: int

    def folder(self, root: Path = ROOT) -> Path:
        """A new folder for the report: what AWS did not answer is not for committing."""
        parent = root / ".local" / "acceptance" if self.endpoint else root / "measured"
        name = f"moves-{self.region}-{self.day}"
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            if not (folder := parent / f"{name}{suffix}").exists():
                folder.mkdir(parents=True)
                return folder
        raise FileExistsError(f"{parent / name} and 998 more")


def where_this_runs(environment: Mapping[str, str] = os.environ) -> str | None:
    """The kind of machine, if the environment says it, else None. Never its name."""
    if environment.get("GITHUB_ACTIONS"):
        return "a runner of GitHub Actions"
    if environment.get("CODEBUILD_BUILD_ID"):
        return f"AWS CodeBuild in {environment.get('AWS_REGION')}"
    if environment.get("AWS_EXECUTION_ENV") == "CloudShell":
        return f"AWS CloudShell in {environment.get('AWS_REGION')}"
    return None


def summary(moves: Sequence[Measured], chosen: Chosen) -> str:
    """`p50 12 ms, p90 ..., p99 ..., maximum ...`."""
    levels = zip(LEVELS, _levels([chosen(each) for each in moves]), strict=True)
    return ", ".join(f"{name} {value}" for name, value in levels)


def write(folder: Path, circumstances: Circumstances, moves: Sequence[Measured], answers: Sequence[Answer]) -> None:
    """Writes the report. Times are those `from_first_move`. Raises ValueError if there are no moves."""
    write_moves(folder, moves)
    requests = write_requests(folder, answers)
    (folder / "report.md").write_text("\n".join(_report(circumstances, moves, answers, requests.name)) + "\n")
    panels = {name: [chosen(each) for each in moves] for name, chosen in WAITS.items()}
    for name, is_dark in (("waits.svg", False), ("waits-dark.svg", True)):
        draw(folder / name, panels, title=f"How long users waited, {in_words(len(moves))}", is_dark=is_dark)


def _levels(values: Sequence[Wait]) -> list[Wait]:
    return [*(percentile(percent, values) for percent in PERCENTILES), max(values)]


def _report(
    circumstances: Circumstances, moves: Sequence[Measured], answers: Sequence[Answer], raw: str
) -> Iterator[str]:
    requests, failed = sum(each.requests for each in moves), sum(each.failed for each in moves)
    affected = sum(each.failed > 0 for each in moves)
    quiet = [answer.milliseconds for answer in answers if answer.sent < moves[0].move.began]
    yield f"# Moves of a production address, {circumstances.region}, {circumstances.day}\n"
    if circumstances.endpoint:
        yield f"**This is not AWS.** {circumstances.endpoint} answered, so the numbers say nothing about AWS.\n"
    yield "| | |\n| --- | --- |"
    yield f"| Region | {circumstances.region} |"
    yield f"| date | {circumstances.day} |"
    yield f"| ran on | {circumstances.ran_on or UNKNOWN} |"
    yield f"| command | `{circumstances.command}` |"
    yield f"| moves | {len(moves)} of {circumstances.wanted}, each by an execution |"
    each = "each on a new connection, whatever happened to earlier ones"
    yield f"| load | {REQUESTS_A_SECOND} requests per second, {each} |"
    yield f"| requests | {requests:,}, of which {failed:,} failed, in {affected} of the moves |"
    if quiet:
        text = f"median {median(quiet):.0f} ms, slowest {max(quiet):.0f} ms"
        yield f"| answers before the first move | {text} |"
    yield f"\n## How long users waited\n\n| | {' | '.join(LEVELS)} |\n| --- |{' ---: |' * len(LEVELS)}"
    for name, values in (
        *((f"**{name}**", [chosen(each) for each in moves]) for name, chosen in WAITS.items()),
        ("until requests succeeded again", [each.disturbed for each in moves]),
        ("slowest answer", [Wait(False, each.slowest_seconds) for each in moves]),
    ):
        yield f"| {name} | {' | '.join(map(str, _levels(values)))} |"
    yield f"""
<picture>
<source media="(prefers-color-scheme: dark)" srcset="waits-dark.svg">
<img src="waits.svg" alt="The share of moves with at most so long a wait, for a good answer and for the new server.">
</picture>

- **Time without a good answer**: a user arrives when a request is due, and tries again with every later request. For
  each move, this is the longest wait of such a user. A good answer is a complete 200 within {GIVEN_UP_SECONDS:.0f} s.
- **Time until the new server answers**: from when the execution entered `{MOVES_IN}`, which moves production,
  until every request gets a good answer of the new server. The end is the first such answer to a request that was due
  after the last one that ended differently. A good answer of the former server does not count.
- **Until requests succeeded again**: from when the first failed request was due to the first good answer to a request
  that was due after the last failed one. It is 0 if no request failed.
- **Slowest answer**: from when a request was due to the end of its answer, failed requests included.
- A percentile is a value that was measured (the nearest rank). With fewer than 100 moves, p99 is the maximum.
- **More than** so long: the observation ended before the wait did.

The moves are in [moves.csv](moves.csv), and all requests in [{raw}]({raw}): every number above can be
computed from them. Times are from the beginning of the first move."""
