"""`make bench`: all parts, in order, into `results.md` and `pictures`."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import cost, functions, growth, pictures, readiness, release, report, rollback, traffic
from benchmarks.cases import GOOD
from benchmarks.methods import WORKFLOW
from benchmarks.synthesized import synthesized
from local.aws import LocalAws
from local.console import INTERRUPTED, end_on_signals
from local.load import THREADS_TAKE_TURNS_SECONDS


def main() -> None:
    end_on_signals()
    sys.setswitchinterval(THREADS_TAKE_TURNS_SECONDS)
    began, load = time.monotonic(), os.getloadavg()[0]
    sections: list[report.Section] = []
    try:
        say("Starting AWS on this machine ...")
        with LocalAws() as aws:
            say("Under live traffic ...")
            unchanged = traffic.without_a_change(aws)
            runs = traffic.run_all(aws, say)
            sections += traffic.sections(aws, runs, unchanged)
            pictures.draw_all(pictures.panels(aws, runs))
            sections.append(cost.measured(aws, runs[GOOD, WORKFLOW]))
            say("An evaluation ...")
            sections.append(readiness.measured(aws))
        say("Rolling back in an emergency ...")
        sections.append(rollback.measured(say))
        say("Releasing ...")
        sections.append(release.measured(say))
        with tempfile.TemporaryDirectory() as folder:
            assembly = Path(folder)
            synthesized(assembly)
            say("Many pairs at once ...")
            sections.append(growth.measured(assembly))
            say("The functions ...")
            sections.append(functions.measured(assembly))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    report.write(sections, seconds=time.monotonic() - began, load=load)
    say(f"{report.RESULTS.name} is written, after {time.monotonic() - began:.0f} s.")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
