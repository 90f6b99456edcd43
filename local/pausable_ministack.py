"""ministack with executions that can be paused at the entry of a state, so that `StopExecution` can stop any state.

A state that calls no function takes less than a millisecond here: too short for a test to stop it. A `Pause` is a file.
The emulator checks for the file whenever an execution enters a state, and waits while the file exists.

Run as a script, this file is the emulator: ministack with these pauses and with corrections. It keeps the `Assign` of
a Parallel state, which ministack loses. It does not wait for asynchronous calls of functions, as ministack does. It
begins an execution at once, and ministack 0.15 s after StartExecution. `local.corrections` has the other corrections.
Only requests with the access key of its start, or with the key of an assumed role, are answered (`local.access`).
Functions get the key of its start. The runtime API of a function, which hands it its events, answers only functions.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from hmac import compare_digest
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

FOLDER = "LOCAL_PAUSES"
"""The environment variable that names the folder of the pauses."""
SECONDS_APART = 0.005
OTHER_PORT = "LOCAL_OTHER_PORT"
"""The environment variable with the port that also leads here (`local.cloudwatch`)."""
RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"


class Pause:
    """Within the block, executions of the workflow that enter the state stay there until they are stopped.

    Executions that are not stopped continue when the block ends.
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
        """The ARN of the execution that was paused last; None if no execution was paused."""
        return self._file.read_text() or None


def _file(folder: Path, workflow: str, state: str) -> Path:
    return folder / f"{workflow} {state}"


def _pause_at(folder: Path, execution: dict[str, Any], state: str) -> None:
    """In the emulator: returns when nothing pauses the execution. If the execution was stopped, ends its thread."""
    workflow = execution["stateMachineArn"].rpartition(":")[2]
    file = _file(folder, workflow, state)
    try:
        with file.open("r+") as pause:  # does not create the file, because the pause may end at this moment
            pause.write(execution["executionArn"])
    except FileNotFoundError:
        return
    while file.exists() and execution["status"] == "RUNNING":
        time.sleep(SECONDS_APART)
    if execution["status"] != "RUNNING":
        raise SystemExit  # ministack checks for a stop only after the state, and runs a Fail state regardless


def main() -> None:
    """ministack, as `python -m ministack` runs it."""
    from ministack import app  # noqa: PLC0415  # a process that only pauses does not need it
    from ministack.core import lambda_runtime  # noqa: PLC0415
    from ministack.services import lambda_svc, stepfunctions, sts  # noqa: PLC0415

    from local.access import guard_http_servers, guarded  # noqa: PLC0415  # a script finds these only here
    from local.corrections import correct_ministack  # noqa: PLC0415

    correct_ministack()
    access_key = os.environ["AWS_ACCESS_KEY_ID"]
    credentials = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    folder = Path(os.environ[FOLDER])
    add_event, invoke = stepfunctions._add_event, stepfunctions._invoke_resource
    run_parallel = stepfunctions._run_parallel_branches
    run_execution, beginning = stepfunctions._run_execution, threading.local()
    worker_environment, runtime_secret = lambda_svc._provided_worker_env, secrets.token_hex()

    def add_event_and_pause(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        event = add_event(execution, kind, details)
        if kind.endswith("StateEntered"):
            _pause_at(folder, execution, details["stateEnteredEventDetails"]["name"])
        return event

    def run_execution_at_once(arn: str) -> None:
        beginning.is_now = True
        run_execution(arn)

    def sleep_unless_beginning(seconds: float) -> None:
        if getattr(beginning, "is_now", False):
            beginning.is_now = False
        else:
            time.sleep(seconds)

    def run_parallel_and_assign(state: Any, value: Any, execution: dict[str, Any], context: Any) -> Any:
        output, following = run_parallel(state, value, execution, context)
        stepfunctions._apply_state_assign(state, value, context, result=output)
        return output, following

    def invoke_and_go_on(resource: str, value: Any) -> Any:
        if value.get("InvocationType") != "Event":
            return invoke(resource, value)
        threading.Thread(target=invoke, args=(resource, value), daemon=True).start()
        return {"StatusCode": 202}

    def worker_environment_with_secret(config: Any, code_folder: Any, port: Any) -> Any:
        variables = worker_environment(config, code_folder, port)
        return variables | {RUNTIME_API: f"{variables[RUNTIME_API]}/{runtime_secret}"}

    def admits(key: str) -> bool:
        return compare_digest(key, access_key) or key in sts._sessions

    ports = [int(os.environ[variable]) for variable in ("GATEWAY_PORT", OTHER_PORT)]
    app.app = guarded(app.app, ports=ports, admits=admits)
    guard_http_servers(runtime_secret)
    lambda_svc._provided_worker_env = worker_environment_with_secret
    lambda_svc.execution_credentials = lambda_runtime.execution_credentials = lambda _: credentials
    stepfunctions._add_event = add_event_and_pause
    stepfunctions._invoke_resource = invoke_and_go_on
    stepfunctions._run_execution = run_execution_at_once
    stepfunctions._run_parallel_branches = run_parallel_and_assign
    stepfunctions.time = SimpleNamespace(**{**vars(time), "sleep": sleep_unless_beginning})
    app.main()


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent.parent))  # of this process only: the functions do not inherit it
    main()
