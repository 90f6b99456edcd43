"""A replay tells a doctored history from a true one."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from tests.simulation.interpreter import iso_8601
from tests.simulation.replay import differences
from tests.simulation.states import Machine
from tests.workflow.account import Aws, Execution
from tests.workflow.engine import REGION
from tests.workflow.web import Web, sick

Events = list[dict[str, Any]]
Doctor = Callable[[Events], Any]


@pytest.fixture
def history(aws: Aws) -> Callable[[Execution], Events]:
    def of(execution: Execution) -> Events:
        paginator = aws.sfn.get_paginator("get_execution_history")
        return [event for page in paginator.paginate(executionArn=execution.arn) for event in page["events"]]

    return of


def replayed(execution: Execution, events: Events) -> list[str]:
    running = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID][REGION].describe_execution(execution.arn)
    name, started = execution.arn.rpartition(":")[2], iso_8601(running.start_date.timestamp())
    context = {"Id": execution.arn, "Name": name, "Input": running.input_data, "StartTime": started}
    return differences(Machine(json.loads(running.state_machine.definition)), events, context)


def of_state(events: Events, state: str, kind: str) -> dict[str, Any]:
    """The details of the event of this kind, such as TaskScheduled, in a state that was entered once."""
    entered = next(event for event in events if event.get("stateEnteredEventDetails", {}).get("name") == state)
    event = next(event for event in events if event["id"] > entered["id"] and event["type"] == kind)
    return next(value for key, value in event.items() if key.endswith("EventDetails"))


def change(state: str, kind: str, key: str, before: str, after: str) -> Doctor:
    def doctor(events: Events) -> None:
        details = of_state(events, state, kind)
        text = str(details[key])
        assert re.search(before, text)
        details[key] = re.sub(before, after, text, count=1)

    return doctor


def assign(state: str, name: str, text: str) -> Doctor:
    def doctor(events: Events) -> None:
        of_state(events, state, "TaskStateExited")["assignedVariables"][name] = text

    return doctor


def rename(before: str, after: str) -> Doctor:
    def doctor(events: Events) -> None:
        for event in events:
            for key in ("stateEnteredEventDetails", "stateExitedEventDetails"):
                if event.get(key, {}).get("name") == before:
                    event[key]["name"] = after

    return doctor


def drop(state: str) -> Doctor:
    def doctor(events: Events) -> None:
        dropped = next(event for event in events if event.get("stateExitedEventDetails", {}).get("name") == state)
        events.remove(dropped)
        for event in events:
            if event["previousEventId"] == dropped["id"]:
                event["previousEventId"] = dropped["previousEventId"]

    return doctor


def drop_from(state: str) -> Doctor:
    """All but the end."""

    def doctor(events: Events) -> None:
        first = next(event["id"] for event in events if event.get("stateEnteredEventDetails", {}).get("name") == state)
        del events[first - 1 : -1]

    return doctor


DOCTORED: dict[str, tuple[Doctor, str]] = {
    "an argument": (
        change("ReassociateProduction", "TaskScheduled", "parameters", '"server": "tao"', '"server": "bittybot"'),
        "the arguments of try 0 of ReassociateProduction",
    ),
    "an argument in a branch": (
        change("CheckServers", "TaskScheduled", "parameters", '"alarms": \\[\\]', '"alarms": ["an-alarm"]'),
        "the arguments of try 0 of CheckServers",
    ),
    "a boolean that became a number": (
        change("DisassociateStaging", "TaskScheduled", "parameters", '"firstTry": true', '"firstTry": 1'),
        "the arguments of try 0 of DisassociateStaging",
    ),
    "a timeout": (
        change("ReleaseLock", "TaskScheduled", "timeoutInSeconds", "30", "31"), "the timeout of try 0 of ReleaseLock",
    ),
    "an output": (
        change("MeasureGap", "TaskStateExited", "output", '"healthy":true', '"healthy":false'),
        "the output of MeasureGap",
    ),
    "a variable": (assign("HealthCheckProduction", "outcome", '"RolledBack"'), "$outcome after HealthCheckProduction"),
    "one more variable": (assign("ReleaseLock", "more", "1"), "what ReleaseLock assigns"),
    "another state": (rename("Bake?", "AfterCutover?"), "enters Bake?, not as in the history"),
    "a state that was not left": (drop("AcquireLock"), "leaves AcquireLock, not as in the history"),
    "the last states": (drop_from("Notify"), "the history ends early, with ExecutionSucceeded"),
    "the end": (lambda events: events[-1].update(type="ExecutionFailed"), "the end"),
    "the result": (
        lambda events: events[-1]["executionSucceededEventDetails"].update(output='{"outcome": "REPAIRED"}'), "the end",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("doctor", "expected"), DOCTORED.values(), ids=DOCTORED)
def test_a_doctored_history_of_a_cutover_is_distinguished_from_the_true_one(
    aws: Aws, history: Callable[[Execution], Events], doctor: Doctor, expected: str
) -> None:
    execution = aws.execute({})
    events = history(execution)
    assert replayed(execution, events) == []
    doctor(events)
    assert expected in replayed(execution, events)[0]


def test_a_history_that_goes_on_after_the_end_of_the_interpreter_is_reported(
    aws: Aws, history: Callable[[Execution], Events]
) -> None:
    execution = aws.execute({})
    events = history(execution)
    more = dict(events[-2], id=999, previousEventId=events[-2]["id"])
    assert "the history goes on: event 999, Exited" in replayed(execution, [*events, more])[0]


def test_a_branch_that_failed_with_another_error_is_reported(
    aws: Aws, web: Web, history: Callable[[Execution], Events]
) -> None:
    web.behaviour["tao"] = sick
    execution = aws.execute({})
    events = history(execution)
    assert execution.outcome == "StagingUnhealthy"
    assert replayed(execution, events) == []
    of_state(events, "HealthCheckStaging", "TaskFailed")["error"] = "MovedMeanwhile"
    assert "Preflight" in replayed(execution, events)[0]


def test_a_stopped_execution_is_compared_as_far_as_it_came(
    aws: Aws, stopped: Callable[[], str], history: Callable[[Execution], Events]
) -> None:
    execution = aws.wait(stopped())
    events = history(execution)
    assert replayed(execution, events) == []
    of_state(events, "AcquireLock", "TaskScheduled")["parameters"] = "{}"
    assert "the arguments of try 0 of AcquireLock" in replayed(execution, events)[0]


def test_a_state_may_have_asked_for_the_time_until_it_was_left(
    aws: Aws, held: Callable[[str], str], web: Web, history: Callable[[Execution], Events]
) -> None:
    """Here, the time to wait for another execution was over between the begin and the end of a Choice."""
    holder = held("staging")
    execution = aws.execute({"waitSeconds": 1})
    web.open_gates()
    aws.wait(holder)
    events = history(execution)
    last = max(
        event["id"] for event in events
        if event.get("stateEnteredEventDetails", {}).get("name") == "HolderRunning?"
    )  # fmt: skip
    started = events[0]["timestamp"]
    for event in events[1:last]:
        event["timestamp"] = min(event["timestamp"], started + timedelta(seconds=0.99))
    assert replayed(execution, events) == []
    for event in events:
        event["timestamp"] = min(event["timestamp"], started + timedelta(seconds=0.99))
    assert any("HolderRunning?" in difference for difference in replayed(execution, events))
