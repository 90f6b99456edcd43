"""Histories in ministack: each event says which event it follows, and the states of a Parallel have events.

A task has its `TaskStarted`, its parameters, and its resource in two parts. `TaskTimedOut` is an event of its own.
Nothing is added after the end of an execution: its thread ends there, while a function that it called goes on.

Sources: Step Functions API Reference, HistoryEvent; Developer Guide, "Viewing execution details in the console".
"""

from __future__ import annotations

import json
import threading
from contextvars import ContextVar
from typing import Any

TASK = ("taskScheduledEventDetails", "taskSucceededEventDetails", "taskFailedEventDetails")


def correct_histories(stepfunctions: Any) -> None:
    """Correct this module of ministack, in this process."""
    _link_events(stepfunctions)
    _show_branches(stepfunctions)


def _link_events(stepfunctions: Any) -> None:
    add_event, arguments_of = stepfunctions._add_event, stepfunctions._apply_jsonata_arguments
    # ministack copies the context for each branch, which therefore begins with the last event before it.
    last: ContextVar[tuple[str, int]] = ContextVar("last", default=("", 0))
    arguments: ContextVar[object] = ContextVar("arguments")
    one_event = threading.Lock()

    def add_linked_event(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        if execution["status"] != "RUNNING" and not kind.startswith("Execution"):
            raise SystemExit  # of the thread of a branch or of the execution
        kind, details = _task(kind, details or {}, arguments.get(None))
        arn, previous = last.get()
        with one_event:
            linked = {**details, "previousEventId": previous if arn == execution["executionArn"] else 0}
            event = add_event(execution, kind, linked)
        last.set((execution["executionArn"], event["id"]))
        if kind == "TaskScheduled":
            started = {key: details[TASK[0]].get(key) for key in ("resourceType", "resource")}
            add_linked_event(execution, "TaskStarted", {"taskStartedEventDetails": started})
        return event

    def arguments_kept(state: Any, value: Any, context: Any = None) -> Any:
        arguments.set(arguments_of(state, value, context))
        return arguments.get()

    stepfunctions._add_event = add_linked_event
    stepfunctions._apply_jsonata_arguments = arguments_kept


def _show_branches(stepfunctions: Any) -> None:
    run_parallel = stepfunctions._run_parallel_branches

    def run_parallel_with_events(state: Any, value: Any, execution: dict[str, Any], context: Any) -> Any:
        stepfunctions._add_event(execution, "ParallelStateStarted")
        try:
            result = run_parallel(state, value, execution, context)
        except stepfunctions._ExecutionError:
            stepfunctions._add_event(execution, "ParallelStateFailed")
            raise
        stepfunctions._add_event(execution, "ParallelStateSucceeded")
        return result

    def run_branch(states: Any, start_at: str, value: Any, execution: dict[str, Any], context: Any) -> Any:
        """As ministack's, with events. Each branch has a context of its own, because its states run beside others."""
        name: str | None = start_at
        context = {**context}
        while name:
            state, entered = states[name], {"name": name, "input": json.dumps(value)}
            kind = state["Type"]
            context["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
            stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
            if kind == "Fail":
                raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, value, context))
            if kind == "Succeed":
                value = stepfunctions._apply_input_path(state, value, context)
                output, following = stepfunctions._apply_output_path(state, value, context), None
            else:
                execute = getattr(stepfunctions, f"_execute_{kind.lower()}")
                in_execution = [execution] if kind in ("Task", "Parallel", "Map") else []
                output, following = execute(state, value, *in_execution, context)
            exited = {"name": name, "output": json.dumps(output)}
            stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
            name, value = following, output
        return value

    stepfunctions._run_parallel_branches = run_parallel_with_events
    stepfunctions._run_sub_machine = run_branch


def _task(kind: str, details: dict[str, Any], parameters: object) -> tuple[str, dict[str, Any]]:
    """An event of a task as AWS shows it, from ministack's; any other event unchanged."""
    key = next((key for key in TASK if key in details), "")
    resource_type, is_integration, resource = details.get(key, {}).get("resource", "").rpartition(":")
    if not is_integration or ":::" not in resource_type:
        return kind, details
    task = {**details[key], "resourceType": resource_type.partition(":::")[2], "resource": resource}
    if kind == "TaskScheduled":
        task |= {"region": "us-east-1", "parameters": json.dumps(parameters)}
    if task.get("error") == "States.Timeout":
        return "TaskTimedOut", {"taskTimedOutEventDetails": task}
    return kind, {key: task}
