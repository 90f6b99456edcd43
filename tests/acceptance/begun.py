"""What takes AWS a while to show. It begins before the first question, and is asked by the last tests of the suite."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from tests.acceptance.answers import NO_ERROR, ask
from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.stack import resources

LATE_SECONDS = 25  # until a log, or an alarm's history, has what it will have
ORDINARY = "only letters, digits and -"
ODD_NAMES = {"a dot": "a.b", "a letter outside of ASCII": "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "@": "@"}


@dataclass(frozen=True)
class Begun:
    """What takes AWS a while to show. It begins before the first question, and is asked by the last ones.

    `arns` are executions by the kind of their name, and `refused` the error codes of names that were refused.
    """

    at: datetime
    arns: dict[str, str]
    refused: dict[str, str]
    alarm: Mapping[str, Any] | None
    alarm_code: str

    def await_(self, is_so: Callable[[], object]) -> None:
        """Return when it is so, or when that takes too long."""
        with suppress(TimeoutError):
            passed = (datetime.now(UTC) - self.at).total_seconds()
            until(is_so, "what AWS shows late", seconds=max(0, LATE_SECONDS - passed))


def begin(pair: PairOnAws) -> Begun:
    """An alarm goes off, and is put back; executions with odd names are made."""
    at, states, cloudwatch = datetime.now(UTC), pair.client("stepfunctions"), pair.client("cloudwatch")
    names = [*resources(pair, "AWS::CloudWatch::Alarm").values()]
    alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] if names else []
    alarm = next((each for each in alarms if each["StateValue"] != "ALARM" and each["AlarmActions"]), None)

    def set_state(state: str, reason: str) -> str:
        call = partial(cloudwatch.set_alarm_state, StateValue=state, StateReason=reason)
        return ask(lambda: call(AlarmName=alarm["AlarmName"]))[1] if alarm else NO_ERROR

    code = set_state("ALARM", "A test of make acceptance: does this alarm reach its topic? Nothing is wrong.")
    arns, refused = dict[str, str](), dict[str, str]()
    try:
        for kind, odd in {ORDINARY: "", **ODD_NAMES}.items():
            name, text = f"acceptance-{odd}{uuid4().hex[:12]}", json.dumps({"pair": pair.name})
            start = partial(states.start_execution, stateMachineArn=pair.readiness_arn, name=name, input=text)
            started, refusal = ask(start)
            if started:
                arns[kind] = started["executionArn"]
            else:
                refused[kind] = refusal
        for arn in arns.values():
            pair.wait(arn)
    finally:
        if alarm:
            set_state(alarm["StateValue"], "The end of the test of make acceptance.")
    return Begun(at, arns, refused, alarm, code)
