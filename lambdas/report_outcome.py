"""Reports to CloudWatch how executions ended, from the event that each puts on the event bus. Anyone who may put events
can forge or repeat it. So it only names the execution, which Step Functions describes, and counts only soon after the
end. It may be late or come twice (EventBridge User Guide, "How EventBridge retries delivering events")."""

import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.calls import Sleep, aws_client
from aws.metrics import Metric, emit
from domain.lock import object_of
from domain.pair import Json, deployed_pairs

# The event comes just before the end. After these pauses, Lambda calls twice more, one and two minutes later.
SECONDS_BETWEEN_CHECKS = (0.5, 1, 2, 4, 8)
# EventBridge tries for a day; so late an event is lost. Without a limit, a repeated event could raise its alarm again.
LONGEST_DELIVERY = timedelta(minutes=15)
EXECUTION_NAME = re.compile(r"[^\s:]{1,80}")

logger = Logger()
states = aws_client("stepfunctions")


class Refused(Exception):
    """No execution of this stack put this event when it ended; the message says why."""


class NotConfirmed(Exception):
    """DescribeExecution, which is eventually consistent, does not yet say that the execution has ended."""


@logger.inject_lambda_context(correlation_id_path="detail.execution")
def handler(event: Json, _context: object, *, states: Any = states, sleep: Sleep = time.sleep) -> Json:
    """Emits the metrics of one event, "Elastic IP Cutover Ended"; returns `{"reported": how many}`. A refused event is
    only logged; after NotConfirmed and AWS's errors, Lambda tries again. WORKFLOWS has both ARNs, the repair last."""
    try:
        metrics = metrics_of(event, states, sleep)
    except Refused as refused:
        logger.error("Refused event: %s", refused, extra={"event": repr(event)[:2000]})
        metrics = []
    emit(metrics)
    return {"reported": len(metrics)}


def metrics_of(event: Mapping[str, Any], states: Any, sleep: Sleep) -> list[Metric]:
    """Those of a pair only if the execution says which pair it was for. Their time is the arrival of the event, because
    an alarm does not evaluate late data; that of `Live` is the end of the execution, because events have no order."""
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise Refused("detail is not an object")
    outcome, name, pairs = detail.get("outcome"), detail.get("pair"), deployed_pairs()
    if not isinstance(outcome, str):
        raise Refused(f"outcome is {outcome!r:.80}")
    if name is not None and (not isinstance(name, str) or name not in pairs):
        raise Refused(f"pair is {name!r:.80}")
    arn, is_repair = _execution_of(event, detail)
    execution = _ended(states, arn, sleep)
    output = object_of(execution.get("output"))
    actual = output.get("outcome", execution.get("error"))
    if actual != outcome:
        raise Refused(f"outcome is {outcome}, and the execution has {actual!r:.80}")
    asked = output.get("pair") or object_of(execution.get("input")).get("pair")  # of any type
    if name and asked not in (None, name):
        raise Refused(f"pair is {name}, and the execution has {asked!r:.80}")
    started, ended = execution["startDate"], execution["stopDate"]
    if datetime.now(UTC) - ended > LONGEST_DELIVERY:
        raise Refused(f"the execution ended at {ended}")
    by_outcome = {"outcome": outcome}
    if not name or (asked is None and len(pairs) > 1):
        return [Metric("Outcomes", MetricUnit.Count, (1,), (by_outcome,))]
    pair, count, servers = {"pair": name}, MetricUnit.Count, sorted(_servers(output).items())
    milliseconds = (ended - started) / timedelta(milliseconds=1)
    return [
        Metric("Outcomes", count, (1,), (pair | by_outcome, by_outcome)),
        Metric("Duration", MetricUnit.Milliseconds, (milliseconds,), (pair | by_outcome,)),
        Metric("Rollbacks", count, (int(outcome in ("RolledBack", "RollbackFailed")),), (pair,)),
        *([Metric("Repairs", count, (1,))] if is_repair and outcome == "REPAIRED" else []),
        *(Metric("Live", count, (int(is_live),), (pair | {"server": each},), ended) for each, is_live in servers),
    ]


def _execution_of(event: Mapping[str, Any], detail: Mapping[str, Any]) -> tuple[str, bool]:
    """The ARN of the execution, and whether it is a repair. The account that put the event must be this stack's."""
    arn, workflows = str(detail.get("execution")), os.environ["WORKFLOWS"].split()
    if [event.get("region"), event.get("account")] != workflows[-1].split(":")[3:5]:
        raise Refused(f"account is {event.get('account')!r:.80}, region is {event.get('region')!r:.80}")
    workflow, _, name = arn.replace(":execution:", ":stateMachine:", 1).rpartition(":")
    if workflow not in workflows or not EXECUTION_NAME.fullmatch(name):
        raise Refused(f"execution is {arn!r:.300}")
    return arn, workflow == workflows[-1]


def _ended(states: Any, arn: str, sleep: Sleep) -> Json:
    """The execution, from DescribeExecution, once it has ended. Raises Refused and NotConfirmed."""
    for seconds in (*SECONDS_BETWEEN_CHECKS, 0):
        status = "ExecutionDoesNotExist"  # it has just begun
        try:
            execution: Json = states.describe_execution(executionArn=arn)
            status = execution["status"]
            if status != "RUNNING":
                return execution
        except states.exceptions.InvalidArn as error:
            raise Refused(f"execution is {arn!r:.300}") from error
        except states.exceptions.ExecutionDoesNotExist:
            pass
        if seconds:
            sleep(seconds)
    raise NotConfirmed(f"DescribeExecution returns {status} for {arn}, whose event says that it has ended")


def _servers(output: Mapping[str, Any]) -> dict[str, bool]:
    """Whether each server is live, by name; empty if the output does not say who is live."""
    if "production" not in output:
        return {}
    live, previous = output["production"]["server"], output.get("previous", {})
    addresses = (output["production"], output.get("staging"), previous.get("production"), previous.get("staging"))
    return {address["server"]: address["server"] == live for address in addresses if address and address["server"]}
