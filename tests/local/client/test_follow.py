"""The client while it follows an execution: `watch`, an interruption, a stop, on a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess

from local.aws import LocalAws
from tests.local.client.runs import CLIENT, Run, environment
from tests.local.situation import SWAPPED, locks, places, start_slowly, until


def test_watch_follows_the_execution_that_runs_or_reports_the_newest(aws: LocalAws, run: Run) -> None:
    arn = aws.start({"dryRun": True})
    for words in ([], [arn], [arn.rsplit(":", 1)[-1]]):
        done = run("watch", *words, "--json", "--detailed-exit-code")
        assert (done.returncode, json.loads(done.stdout)["execution"]) == (5, arn)
    running = start_slowly(aws)
    aws.execute({"pair": "nobody"})  # newer, and ended
    done = run("watch", "--json")
    assert (done.returncode, json.loads(done.stdout)["execution"]) == (0, running)
    unknown = run("watch", "nobody")
    assert unknown.returncode == 1
    assert "does not know the execution" in unknown.stderr


def on_a_terminal(aws: LocalAws, *words: str, interrupt_at: str | None = None) -> tuple[int, str]:
    """The exit code, and what a person sees, colours and all; with a Ctrl-C when a text is seen."""
    ours, theirs = pty.openpty()
    variables = environment(aws, TERM="xterm-256color", COLUMNS="100")
    # A shell lets its background jobs ignore SIGINT, and so would the client if the tests are such a job.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    client = subprocess.Popen(
        [*CLIENT, *words], env=variables, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    signal.signal(signal.SIGINT, before)
    os.close(theirs)
    seen = ""
    while client.poll() is None or select.select([ours], [], [], 0.2)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                seen += os.read(ours, 65536).decode(errors="replace")
            except OSError:  # how Linux reports that the other side is closed
                break
            if interrupt_at and interrupt_at in seen:
                client.send_signal(signal.SIGINT)
                interrupt_at = None
    os.close(ours)
    return client.wait(timeout=30), seen


def test_on_a_terminal_a_live_line_is_below_the_others(aws: LocalAws) -> None:
    code, seen = on_a_terminal(aws, "start", "--server", "tao")
    assert code == 0
    assert "\x1b[?25l" in seen, "the cursor is hidden as long as the live line is shown"
    assert "\x1b[?1049h" not in seen, "and the lines stay in the terminal's own screen"
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l"), "and the cursor is shown again"
    assert re.search(r"s  (Preflight|HealthCheckProduction)", seen)
    assert "\x1b[1;32mCUT_OVER" in seen


def test_an_interruption_restores_the_terminal(aws: LocalAws) -> None:
    with aws.emulator.pause("Preflight", workflow="eip-cutover"):  # else it may end before the client is interrupted
        code, seen = on_a_terminal(aws, "start", "--server", "tao", interrupt_at="Preflight")
    assert code == 130
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert re.search(r"^  cutover\.py watch arn:aws:states:\S+:cutover-\S+\r?$", seen, re.MULTILINE)
    until(lambda: not locks(aws) and places(aws) == SWAPPED)
