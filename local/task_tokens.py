"""Tasks that wait for their token, in ministack: they time out, end with their execution, and close their token.

A task's `TimeoutSeconds` may be JSONata, and is shorter by `SFN_WAIT_SCALE`. ministack waits on after the execution was
stopped, and has no name for a token whose task has ended.

Sources: Step Functions API Reference, SendTaskSuccess; Developer Guide, "Wait for a callback with task token".
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

SECONDS_APART = 0.005


def correct_tokens(stepfunctions: Any) -> None:
    """Correct this module of ministack, in this process."""
    execute_task, waiting = stepfunctions._execute_task, threading.local()
    closed: set[str] = set()

    class EventOfTask(threading.Event):
        """Set by SendTaskSuccess and SendTaskFailure."""

        def wait(self, timeout: float | None = None) -> bool:
            ends = time.monotonic() + (threading.TIMEOUT_MAX if timeout is None else timeout)
            while not super().wait(SECONDS_APART):
                if waiting.execution["status"] != "RUNNING":
                    raise SystemExit  # of the execution's thread: ministack would still run a Catch
                if time.monotonic() > ends:
                    return False
            return True

    def execute_task_with_token(state: Any, value: Any, execution: dict[str, Any], context: Any) -> Any:
        waiting.execution = execution
        if ".waitForTaskToken" not in state.get("Resource", ""):
            return execute_task(state, value, execution, context)
        if "TimeoutSeconds" in state:
            seconds = stepfunctions._apply_jsonata_template(state["TimeoutSeconds"], value, context)
            state = {**state, "TimeoutSeconds": seconds * stepfunctions._SFN_WAIT_SCALE}
        try:
            return execute_task(state, value, execution, context)
        finally:
            token = context["Task"]["Token"]
            closed.add(token)
            stepfunctions._task_tokens.pop(token, None)

    def unless_closed(send: Any) -> Any:
        def send_unless_closed(request: Any) -> Any:
            token = request.get("taskToken")
            if token in closed:
                reason = "Task Timed Out: 'Provided task does not exist anymore'"
                return stepfunctions.error_response_json("TaskTimedOut", reason, 400)
            if token not in stepfunctions._task_tokens:
                return stepfunctions.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
            return send(request)

        return send_unless_closed

    stepfunctions._execute_task = execute_task_with_token
    stepfunctions._send_task_success = unless_closed(stepfunctions._send_task_success)
    stepfunctions._send_task_failure = unless_closed(stepfunctions._send_task_failure)
    stepfunctions.threading = SimpleNamespace(**{**vars(threading), "Event": EventOfTask})
