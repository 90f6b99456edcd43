"""The questions whose answers AWS shows late. They are the last tests, so the suite need not wait for them."""

import json
import re
from functools import partial

import pytest

from tests.acceptance.answers import Answers, ask, unanswered
from tests.acceptance.begun import ORDINARY, Begun
from tests.acceptance.pair_on_aws import PairOnAws
from tests.acceptance.stack import events_of_log


def test_alarms_publish_through_the_key(pair: PairOnAws, begun: Begun, answers: Answers) -> None:
    """The topic's subscribers get one message, which says that it is a test."""
    if begun.alarm is None:
        pytest.skip("the stack has no alarm that is not in ALARM")
    history = partial(pair.client("cloudwatch").describe_alarm_history, AlarmName=begun.alarm["AlarmName"])

    def actions() -> list[str]:
        items, _ = ask(lambda: history(HistoryItemType="Action", StartDate=begun.at)["AlarmHistoryItems"])
        return [item["HistorySummary"] for item in items or [] if ":sns:" in item["HistorySummary"]]

    expected = len(begun.alarm["AlarmActions"])
    begun.await_(lambda: len(actions()) >= expected)
    seen = "; ".join(re.sub(r"arn:[^ ]*:", "", summary) for summary in actions())
    lacks = unanswered({"SetAlarmState": begun.alarm_code}) or ("" if seen else "the alarm's history has no action")
    answers.add("alarm-key", f"SetAlarmState: `{begun.alarm_code}`; {seen}", lacks=lacks)


def test_how_names_of_executions_affect_logs(pair: PairOnAws, begun: Begun, answers: Answers) -> None:
    if not begun.arns:
        pytest.skip("the readiness of this pair is not evaluated")
    machine = pair.client("stepfunctions").describe_state_machine(stateMachineArn=pair.readiness_arn)
    (destination,) = machine.get("loggingConfiguration", {}).get("destinations") or [None]
    log_group = destination and destination["cloudWatchLogsLogGroup"]["logGroupArn"].split(":")[6]

    def events(arn: str) -> int:
        shown, _ = ask(lambda: events_of_log(pair, log_group, begun.at)) if log_group else ([], "")
        messages = [event["message"] for event in shown or []]
        return sum(arn in message or json.dumps(arn)[1:-1] in message for message in messages)

    begun.await_(lambda: all(map(events, begun.arns.values())))
    counts = {kind: events(arn) for kind, arn in begun.arns.items()}
    results = {kind: f"{count} event{'s' * (count != 1)}" for kind, count in counts.items()} | begun.refused
    answers.add(
        "execution-names",
        "in the log: " + ", ".join(f"{kind}: {result}" for kind, result in results.items()),
        lacks=unanswered(begun.refused) or ("" if counts.get(ORDINARY) else f"{ORDINARY}: no event in the log"),
    )
