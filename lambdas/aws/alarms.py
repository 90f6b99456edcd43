"""The only module that reads CloudWatch alarms: which of them are in ALARM, once or for a while."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger

from aws.calls import FAILURES, Clock, Wait, aws_client
from domain.errors import PreflightFailed
from domain.text import capitalized, printable

REASON_CHARACTERS, NAME_CHARACTERS, SHOWN_ALARMS = 200, 80, 3
READS_APART_SECONDS, LAST_READS_APART_SECONDS, LAST_READS = 5.0, 2.0, 3

logger = Logger(child=True)


@dataclass(frozen=True)
class AlarmStates:
    """Which of the alarms are in ALARM (by name, in words), for which names there is no alarm, and which have
    INSUFFICIENT_DATA. If the states could not be read, all are empty, and `unreadable` says why."""

    in_alarm: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    without_data: tuple[str, ...] = ()
    unreadable: str = ""


def alarms_in_alarm(client: Any, names: Sequence[str]) -> AlarmStates:
    """The current states of the metric and composite alarms with these names, at most 100. CloudWatch omits unknown
    names, and composite alarms unless asked (API Reference, DescribeAlarms, AlarmTypes)."""
    both = {"AlarmNames": names, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    try:
        pages = client.get_paginator("describe_alarms").paginate(**both, PaginationConfig={"PageSize": 100})
        found = pages.build_full_result()
    except FAILURES as failure:
        return AlarmStates(unreadable=f"DescribeAlarms failed: {printable(str(failure), REASON_CHARACTERS)}")
    alarms = {each["AlarmName"]: each for kind in ("MetricAlarms", "CompositeAlarms") for each in found.get(kind, [])}
    states = {name: alarms[name]["StateValue"] if name in alarms else None for name in names}
    return AlarmStates(
        in_alarm={name: _in_words(alarms[name]) for name, state in states.items() if state == "ALARM"},
        missing=tuple(name for name, state in states.items() if state is None),
        without_data=tuple(name for name, state in states.items() if state == "INSUFFICIENT_DATA"),
    )


def refuse_alarms(names: Sequence[str]) -> list[str]:
    """Raises PreflightFailed if an alarm is in ALARM, does not exist or cannot be read. No data is only a warning."""
    states = alarms_in_alarm(aws_client("cloudwatch"), names)
    if states.unreadable:
        raise PreflightFailed(f"The pair's alarms cannot be read: {states.unreadable}.")
    if states.missing:
        raise PreflightFailed(
            f"CloudWatch has no alarm named {named(states.missing)}. Correct alarms in cdk.json and deploy."
        )
    if first := next(iter(states.in_alarm.values()), None):
        raise PreflightFailed(
            f"{capitalized(first)}. A cutover does not begin while one of the pair's alarms is in ALARM. "
            f"Fix what the alarm reports. If the live release raised it, roll back, or start again "
            f'with "emergency": true.'
        )
    do = "Check that their metrics get data, or remove them from alarms in cdk.json and deploy."
    without_data = named(states.without_data)
    return [f"Alarms in INSUFFICIENT_DATA guard nothing: {without_data}. {do}"] if without_data else []


def watch(
    read: Callable[[], AlarmStates], seconds: float, clock: Clock, wait: Wait, *, tolerant: bool = False
) -> str | None:
    """What is wrong with the alarms; None if nothing is. It reads them at once, every 5 s, and at the end. If they
    cannot be read, it tries again, at the end three times in all; that is not wrong if it is `tolerant`."""
    begin, last_reads = clock(), 0
    while True:
        last = (began := clock() - begin) >= seconds
        last_reads += last
        states = read()
        if states.in_alarm:
            first, *others = states.in_alarm.values()
            return f"{first}{f' (and {len(others)} more)' if others else ''}"
        missing = f"no metric or composite alarm is named {named(states.missing)}" if states.missing else ""
        if unreadable := states.unreadable or missing:
            if last_reads == LAST_READS:
                return None if tolerant else f"its alarms cannot be read: {unreadable}"
            logger.warning("alarms not read, will try again", extra={"reason": unreadable})
        next_read = min(began + READS_APART_SECONDS, seconds) - (clock() - begin)
        if (last and not unreadable) or wait(LAST_READS_APART_SECONDS if last else max(next_read, 0)):
            return None


def named(names: Sequence[str]) -> str:
    """The names of alarms for a message: the first three, shortened, and how many more."""
    shown = ", ".join(f'"{printable(name, NAME_CHARACTERS)}"' for name in names[:SHOWN_ALARMS])
    return f"{shown} (and {len(names) - SHOWN_ALARMS} more)" if len(names) > SHOWN_ALARMS else shown


def _in_words(shown: Mapping[str, Any]) -> str:
    """An alarm in the state ALARM: its name, since when (ISO 8601), and CloudWatch's reason. All is printable ASCII."""
    since = shown.get("StateTransitionedTimestamp") or shown.get("StateUpdatedTimestamp")
    when = since.isoformat(timespec="seconds") if since else "an unknown time"
    reason = printable(shown.get("StateReason") or "no reason given", REASON_CHARACTERS)
    return f'the alarm "{printable(shown["AlarmName"], NAME_CHARACTERS)}" has been in ALARM since {when}: {reason}'
