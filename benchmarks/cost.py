"""What one cutover costs, in dollars: everything that AWS counts, from the records of an execution."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Section, table
from benchmarks.traffic import SECONDS_AFTER, Run
from local.aws import LocalAws

BILLED = re.compile(r"^REPORT .*\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB")
MB_PER_GB = 1024
# The limits of `lambdas/measure_gap.py`. Its import makes an AWS client, so a test compares the limits instead.
LONGEST_SECONDS, SAVED_EVERY_SECONDS = 10.0, 1.0
COLD_START_SECONDS = 1.0


@dataclass(frozen=True)
class Price:
    """The dollars for one unit in us-east-1, without the free tier. `source` says where AWS publishes the price."""

    dollars: float
    source: str


TRANSITION = Price(0.025 / 1000, "Step Functions pricing, Standard Workflows: $0.025 per 1,000 state transitions")
INVOCATION = Price(0.20 / 1e6, "Lambda pricing: $0.20 per million requests")
GB_SECOND = Price(0.0000133334, "Lambda pricing, arm64: $0.0000133334 per GB-second")
# The requests of the workflow's states, by the resource in the history.
REQUESTS: dict[str, tuple[str, Price]] = {
    "dynamodb:updateItem": ("DynamoDB, writes", Price(0.625 / 1e6, "DynamoDB pricing, on demand: $0.625 per million")),
    "dynamodb:getItem": ("DynamoDB, reads", Price(0.125 / 1e6, "DynamoDB pricing, on demand: $0.125 per million")),
    "sns:publish": ("SNS, requests", Price(0.50 / 1e6, "SNS pricing: $0.50 per million requests")),
    "events:putEvents": (
        "EventBridge, events",
        Price(1.00 / 1e6, "EventBridge pricing: $1.00 per million custom events"),
    ),
}


@dataclass(frozen=True)
class Invocation:
    """An invocation of a function, as Lambda would bill it. `module` is the module of the handler."""

    module: str
    milliseconds: int
    megabytes: int

    @property
    def gb_seconds(self) -> float:
        return self.milliseconds / 1000 * self.megabytes / MB_PER_GB


def transitions(events: Sequence[Mapping[str, Any]]) -> int:
    """The state transitions of an execution's history. A retry is a transition, too."""
    kinds = Counter(str(event["type"]) for event in events)
    entered = sum(count for kind, count in kinds.items() if kind.endswith("StateEntered"))
    return entered + kinds["TaskScheduled"] - kinds["TaskStateEntered"]


def requests(events: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """The number of tasks of a history by their request: `lambda:invoke`, `dynamodb:updateItem`."""
    scheduled = [event["taskScheduledEventDetails"] for event in events if "taskScheduledEventDetails" in event]
    return Counter(f"{details['resourceType']}:{details['resource']}" for details in scheduled)


def invocations(aws: LocalAws, began: float, ended: float) -> list[Invocation]:
    """The invocations that ended between two moments of the wall clock, from the lines that Lambda logs."""
    billed = ((module, BILLED.match(line)) for module, line in logged(aws, began, ended))
    return [Invocation(module, int(each[1]), int(each[2])) for module, each in billed if each]


def logged(aws: LocalAws, began: float, ended: float) -> Iterator[tuple[str, str]]:
    """The lines of all functions' logs between two moments of the wall clock, each with its handler's module."""
    for function in aws.client("lambda").get_paginator("list_functions").paginate().search("Functions[]"):
        pages = (
            aws.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=function["LoggingConfig"]["LogGroup"],
                startTime=int(began * 1000),
                endTime=int(ended * 1000),
            )
        )
        module = function["Handler"].partition(".")[0]
        yield from ((module, str(event["message"])) for page in pages for event in page["events"])


def measured(aws: LocalAws, run: Run) -> Section:
    """The cost of a cutover by the workflow, in the run of a good release."""
    (execution,) = run.ended.executions
    events = aws.history(execution)
    began, ended = (moment + run.wall_clock_ahead for moment in (run.ended.began, run.ended.ended + SECONDS_AFTER))
    invoked = invocations(aws, began, ended)
    calls = Counter(call.action for call in run.calls)
    intro = (
        "Counted in the run of a good release above: from the history of its execution, the lines that Lambda logs of "
        "every invocation, and the record of the local EC2. The milliseconds of functions are this machine's, not "
        "Lambda's, and all functions were warm. Calls to EC2 are free. Not counted: logs, traces, the topic's key, "
        "what costs money even without a cutover, and the free tier."
    )
    return Section(
        "What one cutover costs",
        "\n\n".join([intro, _bill(events, invoked), _gap(invoked), _functions(invoked), _ec2(calls)]),
    )


def dollars(events: Sequence[Mapping[str, Any]], invoked: Sequence[Invocation]) -> float:
    """The cost of an execution in all."""
    return sum(count * price.dollars for _, count, price in items(events, invoked))


def _bill(events: Sequence[Mapping[str, Any]], invoked: Sequence[Invocation]) -> str:
    rows = {
        name: [f"{count:.3g}", f"${count * price.dollars:.7f}", price.source]
        for name, count, price in items(events, invoked)
    }
    total = f"**${dollars(events, invoked):.5f}**"
    return table(["", "count", "dollars", "price"], rows | {"**in all**": ["", total, ""]})


def items(events: Sequence[Mapping[str, Any]], invoked: Sequence[Invocation]) -> list[tuple[str, float, Price]]:
    """What AWS bills of an execution: its name, how many, and the price of one."""
    asked = requests(events)
    measuring = sum(each.milliseconds for each in invoked if each.module == "measure_gap") / 1000
    written = (_writes(measuring) if measuring else 0) + _written(invoked)
    return [
        ("Step Functions, state transitions", transitions(events), TRANSITION),
        ("Lambda, invocations", len(invoked), INVOCATION),
        ("Lambda, GB-seconds", sum(each.gb_seconds for each in invoked), GB_SECOND),
        ("DynamoDB, writes of functions, at most", written, REQUESTS["dynamodb:updateItem"][1]),
        ("DynamoDB, reads of functions, at most", _reads(invoked), REQUESTS["dynamodb:getItem"][1]),
        *((f"{name} (`{each}`)", asked[each], price) for each, (name, price) in REQUESTS.items() if asked[each]),
    ]


def _writes(seconds: float) -> int:
    """The writes of a gap that is measured for so long: one a second, and one at the new server's first answer."""
    return math.ceil(seconds / SAVED_EVERY_SECONDS) + 1


def _written(invoked: Sequence[Invocation]) -> int:
    """A command is written before it is sent, after it, at each change of its state, and at its end."""
    return 6 * sum(each.module == "run_commands" for each in invoked)


def _reads(invoked: Sequence[Invocation]) -> int:
    """`describe_addresses` and `disassociate_address` read the item once; a check and a command, once a second."""
    waits = ("health_check", "run_commands")
    checking = sum(each.milliseconds for each in invoked if each.module in waits) / 1000
    once = ("describe_addresses", "disassociate_address", *waits)
    return sum(each.module in once for each in invoked) + math.ceil(checking)


def _gap(invoked: Sequence[Invocation]) -> str:
    """The cost of measuring, and its highest cost, for the full 10 s."""
    measuring = [each for each in invoked if each.module == "measure_gap"]
    write = REQUESTS["dynamodb:updateItem"][1].dollars

    def dollars_of(seconds: float, gb_seconds: float) -> float:
        calls = TRANSITION.dollars + 2 * INVOCATION.dollars
        return calls + gb_seconds * GB_SECOND.dollars + _writes(seconds) * write

    seconds = sum(each.milliseconds for each in measuring) / 1000
    longest = LONGEST_SECONDS + COLD_START_SECONDS
    most = dollars_of(longest, longest * max(each.megabytes for each in measuring) / MB_PER_GB)
    here = dollars_of(seconds, sum(each.gb_seconds for each in measuring))
    return (
        f"Of it, the measured gap (a transition, two invocations, a write a second): **${here:.5f}**, and at most "
        f"${most:.5f}, with {LONGEST_SECONDS:.0f} s of measuring and a cold start of {COLD_START_SECONDS:g} s."
    )


def _functions(invoked: Sequence[Invocation]) -> str:
    spent: dict[str, list[int]] = {}
    for each in invoked:
        spent.setdefault(f"`{each.module}`", []).append(each.milliseconds)
    rows = {module: [f"{len(each)}", f"{sum(each)}"] for module, each in sorted(spent.items())}
    rows["**in all**"] = [f"{len(invoked)}", f"{sum(each.milliseconds for each in invoked)}"]
    return table(["function", "invocations", "milliseconds billed"], rows)


def _ec2(calls: Counter[str]) -> str:
    rows = {f"`{action}`": [f"{count}"] for action, count in sorted(calls.items())}
    return table(["call to EC2", "count"], rows | {"**in all**": [f"{calls.total()}"]})
