"""Reports to CloudWatch how executions ended, from the event that each of them puts on the event bus at its end.

The workflow waits for neither EventBridge nor this function. EventBridge delivers an event at least once, in no order,
maybe late: an event that comes twice is counted twice (User Guide, "How EventBridge retries delivering events").
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit

from aws.metrics import Metric, emit
from domain.pair import NAME_PATTERN

PAIR_OR_SERVER = re.compile(NAME_PATTERN)
OUTCOME = re.compile(r"[A-Za-z_]{1,64}")
ROLLBACKS = ("RolledBack", "RollbackFailed")
SHOWN_CHARACTERS = 2000
MILLISECOND = timedelta(milliseconds=1)

logger = Logger()


class Malformed(Exception):
    """The event is not one that an execution puts; the message names the key."""


@logger.inject_lambda_context(correlation_id_path="detail.execution")
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Emits the metrics of one event, "Elastic IP Cutover Ended"; returns `{"reported": how many}`.

    A malformed event is logged and done with: another try would find it as it is.
    """
    try:
        metrics = metrics_of(event)
    except Malformed as malformed:
        logger.error("Malformed event: %s", malformed, extra={"event": repr(event)[:SHOWN_CHARACTERS]})
        return {"reported": 0}
    emit(metrics)
    return {"reported": len(metrics)}


def metrics_of(event: Mapping[str, Any]) -> list[Metric]:
    """The metrics of one execution, from EventBridge's envelope. Raises Malformed.

    What only a pair has is left out where the pair is unknown. The metrics are of the time of the event's arrival,
    since an alarm does not look back at what arrives late; but who is live is reported as of the end of the execution,
    since events come in no order.
    """
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise Malformed("detail is no object")
    outcome = {"outcome": _text(detail, "outcome", OUTCOME)}
    pair = {"pair": _text(detail, "pair", PAIR_OR_SERVER)} if detail.get("pair") is not None else {}
    started, ended = _moment(detail, "startedAt"), _moment(detail, "endedAt")
    if ended < started:
        raise Malformed("endedAt is before startedAt")
    live = _server(detail, "production")
    previous = detail.get("previous") if isinstance(detail.get("previous"), Mapping) else {}
    others = _server(detail, "staging"), _server(previous, "production"), _server(previous, "staging")
    # Where production's place is unknown, so is who is live.
    servers = {name for name in (live, *others) if name} if "production" in detail else set()
    if not pair:
        return [Metric("Outcomes", MetricUnit.Count, (1,), (outcome,))]
    return [
        Metric("Outcomes", MetricUnit.Count, (1,), (pair | outcome, outcome)),
        Metric("Duration", MetricUnit.Milliseconds, ((ended - started) / MILLISECOND,), (pair | outcome,)),
        Metric("Rollbacks", MetricUnit.Count, (int(outcome["outcome"] in ROLLBACKS),), (pair,)),
        *(
            Metric("Live", MetricUnit.Count, (int(server == live),), (pair | {"server": server},), ended)
            for server in sorted(servers)
        ),
    ]


def _text(detail: Mapping[str, Any], key: str, allowed: re.Pattern[str]) -> str:
    value = detail.get(key)
    if not isinstance(value, str) or not allowed.fullmatch(value):
        raise Malformed(f"{key} is {repr(value)[:80]}")
    return value


def _moment(detail: Mapping[str, Any], key: str) -> datetime:
    try:
        moment = datetime.fromisoformat(detail[key])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"{key} is {repr(detail.get(key))[:80]}, not a time in ISO 8601") from error
    if moment.tzinfo is None:
        raise Malformed(f"{key} is {detail[key]}, a time without a time zone")
    return moment


def _server(addresses: Any, key: str) -> str | None:
    """The name of the server that holds an address; None of one that is not of the pair, or is not there."""
    address = addresses.get(key)
    if address is None:
        return None
    if not isinstance(address, Mapping):
        raise Malformed(f"{key} is {repr(address)[:80]}")
    return _text(address, "server", PAIR_OR_SERVER) if address.get("server") is not None else None
