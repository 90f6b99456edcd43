"""What an evaluation of a pair costs, and what the evaluations of a month cost at the default of one a day.

`python -m benchmarks.readiness` measures only this, and prints it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import cost
from benchmarks.cost import Price
from benchmarks.report import Section, table
from local.aws import PAIR, LocalAws

LIMIT_DOLLARS = 0.50
DAYS, HOURS = 30, 720  # of a month
# Rules call these every few minutes, whether a pair is evaluated or not.
CALLED_BY_RULES = ("report_locks", "measure_gap")
# At most what a pair costs in the call that starts the evaluations of many. Tests compare it with the function.
STARTER = cost.Invocation("start_evaluations", milliseconds=3000, megabytes=256)
SCANS = 12 * HOURS  # by `report_locks`
BYTES_PER_READ, BYTES_PER_GB = 4096, 1024**3
SCHEDULED = Price(1.00 / 1e6, "EventBridge Scheduler pricing: $1.00 per million invocations")
METRIC_HOUR = Price(0.30 / HOURS, "CloudWatch pricing: $0.30 per custom metric and month, for the hours with data")
LOGGED_GB = Price(0.50 + 6 * 0.03, "CloudWatch pricing: $0.50 per GB, and $0.03 for each of the 6 months it is kept")
ALARM = Price(0.10, "CloudWatch pricing: $0.10 per alarm and month")


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that has ended: the events of its history, what it invoked, the lines that its functions logged,
    and the bytes of the result in the pair's item. Step Functions logs every event of the history, with its data."""

    events: Sequence[Mapping[str, Any]]
    invoked: Sequence[cost.Invocation]
    lines: Sequence[str]
    result_bytes: int

    @property
    def metrics(self) -> int:
        """The metrics that get data: those of the functions, and `Ready` of the pair, which `report_locks` emits."""
        documents = [json.loads(line) for line in self.lines if '"_aws"' in line]
        directives = [each for document in documents for each in document["_aws"]["CloudWatchMetrics"]]
        return 1 + sum(len(each["Dimensions"]) * len(each["Metrics"]) for each in directives)

    @property
    def log_bytes(self) -> int:
        logged = [*self.lines, *(json.dumps(event, default=str) for event in self.events)]
        return sum(len(line.encode()) for line in logged)

    @property
    def items(self) -> list[tuple[str, float, Price]]:
        return [
            *cost.items(self.events, [*self.invoked, STARTER]),
            ("EventBridge Scheduler, invocations", 1, SCHEDULED),
            ("CloudWatch, custom metrics for an hour", self.metrics, METRIC_HOUR),
            ("CloudWatch, GB of logs", self.log_bytes / BYTES_PER_GB, LOGGED_GB),
        ]

    @property
    def reads_of_the_result(self) -> int:
        """By the scans of a month, at most."""
        return SCANS * math.ceil(self.result_bytes / BYTES_PER_READ)

    @property
    def month(self) -> float:
        """The dollars of a pair that is evaluated every day."""
        read = cost.REQUESTS["dynamodb:getItem"][1].dollars
        return DAYS * sum(count * price.dollars for _, count, price in self.items) + self.reads_of_the_result * read


def evaluation(aws: LocalAws, machine: str, request: object) -> Evaluation:
    """One execution of this state machine. Raises RuntimeError if it does not succeed."""
    began = time.time()
    started = aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(request))
    ended = aws.wait(started["executionArn"])
    if ended.status != "SUCCEEDED":
        raise RuntimeError(f"the evaluation ended {ended.status}: {ended.error}: {ended.cause}")
    time.sleep(1)
    meanwhile = began, time.time()
    item = aws.client("dynamodb").get_item(TableName=aws.outputs["LockTableName"], Key={"pair": {"S": PAIR}})["Item"]
    return Evaluation(
        aws.history(ended.arn),
        [each for each in cost.invocations(aws, *meanwhile) if each.module not in CALLED_BY_RULES],
        [line for module, line in cost.logged(aws, *meanwhile) if module not in CALLED_BY_RULES],
        len(item.get("readiness", {}).get("S", "")),
    )


def measured(aws: LocalAws) -> Section:
    """The section about evaluations. The first one only warms the functions."""
    machine, request = f"{aws.state_machine_arn}-readiness", {"pair": PAIR}
    evaluation(aws, machine, request)
    return Section("What an evaluation costs", text(evaluation(aws, machine, request)))


def text(evaluated: Evaluation) -> str:
    read = cost.REQUESTS["dynamodb:getItem"][1]
    reads, shared = evaluated.reads_of_the_result, METRIC_HOUR.dollars * HOURS + ALARM.dollars
    once = sum(count * price.dollars for _, count, price in evaluated.items)
    rows = {
        name: [f"{count:.3g}", f"${DAYS * count * price.dollars:.6f}", price.source]
        for name, count, price in evaluated.items
    }
    rows["DynamoDB, reads of the result by `report_locks`, at most"] = ["", f"${reads * read.dollars:.6f}", read.source]
    rows["**a pair**"] = [f"**${once:.5f}**", f"**${evaluated.month:.4f}**", ""]
    rows["once for all pairs: the lowest `Ready`, and its alarm"] = ["", f"${shared:.2f}", ALARM.source]
    rows["**the only pair of a stack**"] = [
        "",
        f"**${evaluated.month + shared:.3f}**",
        f"the limit is ${LIMIT_DOLLARS:.2f}",
    ]
    intro = (
        f"One evaluation of a pair that is ready, counted like the cutover above, and {DAYS} of them, one a day. A "
        "metric is billed for the hours in which it has data. The GB-seconds include the pause of `start_evaluations` "
        "before the next evaluation. Not counted: traces, and the free tier."
    )
    return f"{intro}\n\n{table(['', 'one evaluation', 'a month', 'price'], rows)}"


if __name__ == "__main__":
    with LocalAws() as alone:
        print(measured(alone).text)
