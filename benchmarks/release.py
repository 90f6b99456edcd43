"""What a release costs: one execution that deploys, checks, cuts over and bakes; and how many requests fail."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks import cost
from benchmarks.report import Section, table
from local.aws import LocalAws
from local.load import Load
from stacks.configuration.pairs import LONGEST_MOMENT_SECONDS
from stacks.functions.functions import COMMANDS_MEBIBYTES

BAKE_SECONDS, DEPLOY_SECONDS = 10, 5
DEPLOY = {"command": f'sleep {DEPLOY_SECONDS} && deploy "$RELEASE"', "timeoutSeconds": 60}
# While a command runs, the function reads the lock's item and the command's state, at most so far apart.
READS_APART_SECONDS = 3
LIMIT_DOLLARS = 0.003


def measured(say: Callable[[str], None]) -> Section:
    """The section about a release."""
    with LocalAws(pair={"deploy": DEPLOY, "bakeSeconds": BAKE_SECONDS}) as aws:
        for release in ("5", "6"):  # so that all functions are warm, on both servers
            aws.execute({"release": release})
        say("A release ...")
        with Load(aws.production_ip, aws.server_port) as load:
            began = time.time()
            ended = aws.execute({"release": "7"})
            seconds = time.time() - began
        again = aws.execute({"release": "7"})
        events = aws.history(ended.arn)
        invoked = cost.invocations(aws, began, began + seconds + 1)
    failed = sum(not answer.good for answer in load.answers)
    dollars = cost.dollars(events, invoked)
    longest = dollars + (LONGEST_MOMENT_SECONDS - DEPLOY_SECONDS) * _dollars_a_second()
    rows = {
        "outcome, and outcome of the same input again": [f"{ended.output['outcome']}, {again.output['outcome']}"],
        "seconds": [f"{seconds:.1f}"],
        "requests of users, failed": [f"{len(load.answers)}, **{failed} failed**"],
        "state transitions": [f"{cost.transitions(events)}"],
        "invocations": [f"{len(invoked)}"],
        "cost": [f"**${dollars:.5f}**"],
        f"cost with a deployment of {LONGEST_MOMENT_SECONDS} s, the longest": [f"**${longest:.5f}**"],
        "limit": [f"${LIMIT_DOLLARS}"],
    }
    text = (
        f'One execution with `{{"release": "7"}}` deploys by Systems Manager (a command of {DEPLOY_SECONDS} s), '
        f"checks, cuts over, and bakes for {BAKE_SECONDS} s, with 200 requests a second to production. Counted as "
        f"above. The longest deployment is computed: {COMMANDS_MEBIBYTES} MB wait for it, and read the lock's item. "
        f"Run Command itself is free on EC2 (Systems Manager pricing)."
    )
    return Section("What a release costs", f"{text}\n\n{table(['', 'a release'], rows)}")


def _dollars_a_second() -> float:
    """Of a function that waits for a command."""
    reads = cost.REQUESTS["dynamodb:getItem"][1].dollars / READS_APART_SECONDS
    return COMMANDS_MEBIBYTES / cost.MB_PER_GB * cost.GB_SECOND.dollars + reads
