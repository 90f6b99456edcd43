"""CheckServers: EC2's status checks of the server that should become live, and which alarms count in an urgent bake."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from aws_lambda_powertools import Logger

from aws.alarms import alarms_in_alarm, named, refuse_alarms
from aws.calls import HURRIED, Ec2, Sleep, aws_client, ec2_client, refused_as_preflight
from aws.records import RollbackRequest
from aws.servers import Servers
from domain.events import PairEvent, read
from domain.pair import Json, deployed_pairs
from domain.text import capitalized

logger = Logger()
ec2 = ec2_client()


@dataclass(frozen=True)
class CheckServersEvent(PairEvent):
    """The names of the `server` to check and of the pair's `alarms`. An `urgent` request goes on although one is in
    ALARM. `again` is after an approval: by then, one may be in ALARM. `lock` is as in `RollbackRequest`."""

    server: str
    alarms: list[str] = field(default_factory=list)
    urgent: bool = False
    again: bool = False
    lock: dict[str, str] | None = None


@logger.inject_lambda_context(correlation_id_path="execution")
def handler(event: Json, _context: object, *, ec2: Ec2 = ec2, sleep: Sleep = time.sleep) -> Json:
    """Waits at most the longest `deadlineSeconds`. Returns `{"passed": true, "alarms", "warnings", "soon"}`: which
    alarms count in the bake, why others do not, and what will soon prevent a cutover, also in `warnings`. Raises
    PreflightFailed, RollbackRequested, EC2Throttled, EC2Unavailable."""
    asked = read(CheckServersEvent, event)
    pair = deployed_pairs()[asked.pair]
    longest = max(check["deadlineSeconds"] for check in pair.health_check)
    listening = partial(RollbackRequest(asked.lock).sleep, sleep=sleep)
    with refused_as_preflight():
        soon = Servers(pair, ec2, sleep=listening).wait_for_status_checks(pair.place(asked.server).server, longest)
    if asked.again and asked.alarms:
        refuse_alarms(asked.alarms)
    logger.info("Status checks passed", pair=pair.name, server=asked.server)
    alarms, warnings = counting(asked.alarms) if asked.urgent and asked.alarms else (asked.alarms, [])
    return {"passed": True, "alarms": alarms, "warnings": [*warnings, *soon], "soon": soon}


def counting(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of the alarms that are not in ALARM; none if they cannot be read within about a second. And why, in words.
    CodeDeploy's `overrideAlarmConfiguration` and ECS leave them out, too: they tell of the release that users have."""
    states = alarms_in_alarm(aws_client("cloudwatch", HURRIED), names)
    if states.unreadable:
        return [], [f"The pair's alarms do not count, because they cannot be read: {states.unreadable}."]
    warnings = [f"{capitalized(alarm)}. It does not count in this cutover." for alarm in states.in_alarm.values()]
    if states.missing:
        warnings.append(f"CloudWatch has no alarm named {named(states.missing)}.")
    return [name for name in names if name not in states.in_alarm and name not in states.missing], warnings
