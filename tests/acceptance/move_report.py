"""The report on measured moves: `report.md`, the raw data as `moves.csv`, and pictures, in a folder to commit."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from local.load import GIVEN_UP_SECONDS, REQUESTS_A_SECOND, Answer
from tests.acceptance.move_picture import draw
from tests.acceptance.move_waits import PERCENTILES, Measured, Wait, percentile

ROOT = Path(__file__).resolve().parent.parent.parent
# By the last published price of EC2 (docs/limits.md).
REMAPS_OF_A_MOVE, FREE_REMAPS, DOLLARS_PER_REMAP = 2, 100, 0.10
COLUMNS = (
    "number", "server", "outcome", "began_s", "execution_s", "requests", "failed",
    "without_good_answer_ms", "observed_to_its_end", "disturbed_ms", "slowest_ms",
)  # fmt: skip


@dataclass(frozen=True)
class Circumstances:
    """What the numbers depend on. `endpoint` is the one that answered if it is not AWS's own; `wanted` moves."""

    region: str
    endpoint: str | None
    day: date
    ran_on: str
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


def charge(moves: int) -> str:
    """What so many moves cost, in a sentence."""
    remaps = REMAPS_OF_A_MOVE * moves
    least, most = (DOLLARS_PER_REMAP * number for number in (max(0, remaps - FREE_REMAPS), remaps))
    return (
        f"{moves} moves are {remaps} remaps of Elastic IP addresses. By the last published price of EC2, "
        f"${DOLLARS_PER_REMAP:.2f} for each beyond {FREE_REMAPS} a month and account, they cost ${least:.2f}, or up to "
        f"${most:.2f} if the account had others this month."
    )


def where_this_runs(environment: Mapping[str, str] = os.environ) -> str:
    """The kind of machine, if the environment says it. Never its name."""
    if environment.get("GITHUB_ACTIONS"):
        return "a runner of GitHub Actions"
    if environment.get("CODEBUILD_BUILD_ID"):
        return f"AWS CodeBuild in {environment.get('AWS_REGION')}"
    if environment.get("AWS_EXECUTION_ENV") == "CloudShell":
        return f"AWS CloudShell in {environment.get('AWS_REGION')}"
    return 'not said (`FROM="an office in Vienna"` says it)'


def summary(moves: Sequence[Measured]) -> str:
    """`p50 12 ms, p90 ..., p99 ..., maximum ...`."""
    values = [each.without_good_answer for each in moves]
    names = [*(f"p{percent}" for percent in PERCENTILES), "maximum"]
    return ", ".join(f"{name} {value}" for name, value in zip(names, _levels(values), strict=True))


def write(folder: Path, circumstances: Circumstances, moves: Sequence[Measured], quiet: Sequence[Answer]) -> None:
    """Writes the report. `quiet` are the answers before the first move. Raises ValueError if there are no moves."""
    with (folder / "moves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_row(each, moves[0].move.began) for each in moves)
    (folder / "report.md").write_text("\n".join(_report(circumstances, moves, quiet)) + "\n")
    title = f"Time without a good answer, {len(moves)} moves"
    for name, is_dark in (("waits.svg", False), ("waits-dark.svg", True)):
        draw(folder / name, [each.without_good_answer for each in moves], title=title, is_dark=is_dark)


def _levels(values: Sequence[Wait]) -> list[Wait]:
    return [*(percentile(percent, values) for percent in PERCENTILES), max(values)]


def _row(each: Measured, start: float) -> list[object]:
    move, wait = each.move, each.without_good_answer
    times = (wait.seconds, each.disturbed.seconds, each.slowest_seconds)
    without, disturbed, slowest = (round(1000 * seconds, 1) for seconds in times)
    when = (round(move.began - start, 3), round(move.ended - move.began, 3))
    counts = (each.requests, each.failed)
    ended = "no" if wait.at_least else "yes"
    return [move.number, move.server, move.outcome, *when, *counts, without, ended, disturbed, slowest]


def _report(circumstances: Circumstances, moves: Sequence[Measured], quiet: Sequence[Answer]) -> Iterator[str]:
    requests, failed = sum(each.requests for each in moves), sum(each.failed for each in moves)
    affected = sum(each.failed > 0 for each in moves)
    milliseconds = [answer.milliseconds for answer in quiet]
    yield f"# Moves of a production address, {circumstances.region}, {circumstances.day}\n"
    if circumstances.endpoint:
        yield f"**This is not AWS.** {circumstances.endpoint} answered, so the numbers say nothing about AWS.\n"
    yield "| | |\n| --- | --- |"
    yield f"| Region | {circumstances.region} |"
    yield f"| date | {circumstances.day} |"
    yield f"| ran on | {circumstances.ran_on} |"
    yield f"| command | `{circumstances.command}` |"
    yield f"| moves | {len(moves)} of {circumstances.wanted}, each by an execution |"
    each = "each on a new connection, whatever happened to earlier ones"
    yield f"| load | {REQUESTS_A_SECOND} requests per second, {each} |"
    yield f"| requests | {requests:,}, of which {failed:,} failed, in {affected} of the moves |"
    if milliseconds:
        text = f"median {median(milliseconds):.0f} ms, slowest {max(milliseconds):.0f} ms"
        yield f"| answers before the first move | {text} |"
    names = [*(f"p{percent}" for percent in PERCENTILES), "maximum"]
    yield f"\n## How long users waited\n\n| | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}"
    for name, values in (
        ("**time without a good answer**", [each.without_good_answer for each in moves]),
        ("until requests succeeded again", [each.disturbed for each in moves]),
        ("slowest answer", [Wait(False, each.slowest_seconds) for each in moves]),
    ):
        yield f"| {name} | {' | '.join(map(str, _levels(values)))} |"
    yield f"""
<picture>
<source media="(prefers-color-scheme: dark)" srcset="waits-dark.svg">
<img src="waits.svg" alt="The share of moves whose time without a good answer was at most so long.">
</picture>

- **Time without a good answer**: a user arrives when a request is due, and tries again with every later request. For
  each move, this is the longest wait of such a user. A good answer is a complete 200 within {GIVEN_UP_SECONDS:.0f} s.
- **Until requests succeeded again**: from when the first failed request was due to the first good answer to a request
  that was due after the last failed one. It is 0 if no request failed.
- **Slowest answer**: from when a request was due to the end of its answer, failed requests included.
- A percentile is a value that was measured (the nearest rank). With fewer than 100 moves, p99 is the maximum.

The raw data is in [moves.csv](moves.csv), a row for each move."""
