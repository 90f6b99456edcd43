"""ministack, whose executions can be held at the entry of a state: `StopExecution` meets them in any state then.

A state that is not a Lambda function's is over within a millisecond here, sooner than a test can stop it. A `Hold` is a
file, which the emulator looks for at the entry of every state and waits beside for as long as it is there.

Run as a script, this file *is* the emulator: ministack itself, with a wait in front of its states, with the `Assign` of
a Parallel state, which ministack loses, and with asynchronous calls of functions, for which ministack waits.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

FOLDER = "LOCAL_HOLDS"
"""The environment variable with the folder of the holds."""
LOOKS_APART_SECONDS = 0.005


class Hold:
    """Meanwhile, executions of the workflow that enter the state stay there until they are stopped.

    Those that are not stopped go on when the hold is over.
    """

    def __init__(self, folder: Path, *, workflow: str, state: str) -> None:
        self._file = _file(folder, workflow, state)

    def __enter__(self) -> Self:
        self._file.touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.unlink()

    @property
    def execution(self) -> str | None:
        """The ARN of the execution that was held last, None before there is one."""
        return self._file.read_text() or None


def _file(folder: Path, workflow: str, state: str) -> Path:
    return folder / f"{workflow} {state}"


def _wait_at(folder: Path, execution: dict[str, Any], state: str) -> None:
    """In the emulator: returns when nothing holds the execution here, and ends its thread if it was stopped here."""
    workflow = execution["stateMachineArn"].rpartition(":")[2]
    file = _file(folder, workflow, state)
    try:
        with file.open("r+") as hold:  # never creates it: the hold may be over this instant
            hold.write(execution["executionArn"])
    except FileNotFoundError:
        return
    while file.exists() and execution["status"] == "RUNNING":
        time.sleep(LOOKS_APART_SECONDS)
    if execution["status"] != "RUNNING":
        raise SystemExit  # ministack looks whether it still runs only after the state, and runs a Fail state regardless


def main() -> None:
    """ministack, as `python -m ministack` runs it."""
    from ministack import app  # noqa: PLC0415  # whoever only holds needs none of it
    from ministack.services import stepfunctions  # noqa: PLC0415

    folder = Path(os.environ[FOLDER])
    add_event, run_sub_machine = stepfunctions._add_event, stepfunctions._run_sub_machine
    run_parallel, invoke = stepfunctions._run_parallel_branches, stepfunctions._invoke_resource

    def add_event_and_wait(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        event = add_event(execution, kind, details)
        if kind.endswith("StateEntered"):
            _wait_at(folder, execution, details["stateEnteredEventDetails"]["name"])
        return event

    class Waiting(dict[str, Any]):
        """The states of a branch, of whose entry no event tells: each is looked up when it is entered."""

        def __init__(self, states: Any, execution: dict[str, Any]) -> None:
            super().__init__(states)
            self._execution = execution

        def get(self, name: str, default: Any = None) -> Any:
            _wait_at(folder, self._execution, name)
            return super().get(name, default)

    def wait_and_run_branch(states: Any, start_at: str, value: Any, execution: dict[str, Any], context: Any) -> Any:
        return run_sub_machine(Waiting(states, execution), start_at, value, execution, context)

    def run_parallel_and_assign(state: Any, value: Any, execution: dict[str, Any], context: Any) -> Any:
        output, following = run_parallel(state, value, execution, context)
        stepfunctions._apply_state_assign(state, value, context, result=output)
        return output, following

    def invoke_and_go_on(resource: str, value: Any) -> Any:
        if value.get("InvocationType") != "Event":
            return invoke(resource, value)
        threading.Thread(target=invoke, args=(resource, value), daemon=True).start()
        return {"StatusCode": 202}

    stepfunctions._add_event = add_event_and_wait
    stepfunctions._invoke_resource = invoke_and_go_on
    stepfunctions._run_parallel_branches = run_parallel_and_assign
    stepfunctions._run_sub_machine = wait_and_run_branch
    app.main()


if __name__ == "__main__":
    main()
